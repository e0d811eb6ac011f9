#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include "base/scratch_file.h"

namespace qw {

/// Where hidden states live: in memory up to a budget, beyond it in a file without a name.
struct HiddenStatesPlace {
    std::int64_t budgetBytes = std::int64_t{2} << 30;
    std::filesystem::path folder; ///< for the file; empty: always in memory
    /// Of the file: at::kFloat keeps every bit, at::kBFloat16 takes half the room.
    at::ScalarType fileType = at::kFloat;
};

/// The hidden states of all calibration windows between two blocks. The same bits in memory and in
/// a float32 file; a bfloat16 file rounds them. The file is gone with the object, whatever happens
/// to the process.
class HiddenStates
{
public:
    /// @throws Error::Io if the file cannot be made
    HiddenStates(std::int64_t windows, std::int64_t seqlen, std::int64_t width, std::string device,
                 const HiddenStatesPlace& place);

    std::int64_t windows() const { return m_windows; }
    std::int64_t seqlen() const { return m_seqlen; }
    /// In memory.
    std::int64_t bytes() const { return m_windows * m_seqlen * m_width * std::int64_t{4}; }
    bool inFile() const { return m_file != nullptr; }

    /// Windows first .. first + count - 1: [count, seqlen, width] float32 on the device. In memory
    /// it is a view: do not write to it.
    at::Tensor load(std::int64_t first, std::int64_t count) const;
    /// @throws Error::Io (full disk)
    void store(std::int64_t first, const at::Tensor& states);

private:
    std::int64_t windowBytes() const ///< in the file
    {
        return m_seqlen * m_width * static_cast<std::int64_t>(c10::elementSize(m_fileType));
    }

    std::int64_t m_windows;
    std::int64_t m_seqlen;
    std::int64_t m_width;
    std::string m_device;
    at::ScalarType m_fileType;
    std::unique_ptr<ScratchFile> m_file;
    at::Tensor m_memory; ///< [windows, seqlen, width] float32
};

} // namespace qw
