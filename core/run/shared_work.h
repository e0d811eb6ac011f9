#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "base/scratch_file.h"
#include "eval/perplexity.h"
#include "run/block_quantizer.h"

namespace qw {

/// What decides the states of the full-precision model between its blocks.
struct PathKey {
    std::string model; ///< its hash
    std::string device;
    at::Tensor ids;                   ///< [windows, seqlen]
    at::ScalarType type = at::kFloat; ///< of products, or of states in a file
    std::int64_t statBatch = 0;       ///< of statistics
    bool operator==(const PathKey& other) const;
};

/// What the groups of a sweep find out about the full-precision model, kept by the first for the
/// others: statistics of the calibration windows, and the states that evaluation ends with. Same
/// bits as found again. Both lie in files without names, so that memory holds one block at a time;
/// they take less than half of the room on the disk, and what does not fit is not kept.
class SharedWork
{
public:
    /// @param folder  of the files; where it is not there, nothing is kept
    explicit SharedWork(std::filesystem::path folder) : m_folder(std::move(folder)) {}

    /// Says what the statistics are of; those of anything else are forgotten.
    void beginCalibration(PathKey key);
    bool knows(std::int64_t block) const { return m_blocks.count(block) > 0; }
    /// A copy, to do with as one likes. @throws Error::Io
    BlockStatistics statistics(std::int64_t block) const;
    /// @param statistics  of all kinds, as collected
    void keep(std::int64_t block, const BlockStatistics& statistics);

    /// Where scoring these windows leaves or finds the full-precision states, or null.
    /// @param width  of a hidden state
    ReferenceStates* reference(PathKey key, std::int64_t width);

private:
    struct Form {
        bool defined = false;
        std::vector<std::int64_t> sizes;
        at::ScalarType type = at::kFloat;
    };
    /// Statistics whose tensors are in the file, one behind the other.
    struct Kept {
        InputStatistics rest;
        std::vector<Form> forms;
        std::int64_t place = 0;
    };
    using KeptBlock = std::map<std::int64_t, Kept>; ///< by input group
    /// Beside what is held already. @throws Error::Io
    bool hasRoom(std::int64_t bytes) const;
    void write(KeptBlock& groups);

    std::filesystem::path m_folder;
    PathKey m_calibration;
    std::unique_ptr<ScratchFile> m_file;
    std::int64_t m_fileSize = 0;
    std::map<std::int64_t, KeptBlock> m_blocks;
    PathKey m_evaluation;
    std::optional<ReferenceStates> m_reference;
};

} // namespace qw
