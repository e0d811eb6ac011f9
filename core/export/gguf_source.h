#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/files.h"
#include "export/stored_codes.h"

namespace qw {

/// A GGUF file opened for reading: header and tensors, checked before anything is allocated.
/// Source: ggml docs/gguf.md, src/ggml-common.h.
class GgufSource
{
public:
    /// @throws Error::NotFound, Io, BadFile, Unsupported
    explicit GgufSource(const std::filesystem::path& file);

    const std::string& architecture() const { return m_architecture; }
    /// A u32 of the metadata. @throws Error::BadFile if it is not there
    std::uint32_t number(const std::string& key) const;
    std::optional<std::uint32_t> findNumber(const std::string& key) const;
    float alpha() const { return m_alpha; } ///< adapter.lora.alpha, or 0
    bool has(const std::string& name) const { return m_tensors.contains(name); }
    /// Rows first. @throws Error::NotFound
    std::vector<std::int64_t> shape(const std::string& name) const;
    /// Of any type that is known. @return float32, rows first. @throws Error::Unsupported, BadFile
    at::Tensor values(const std::string& name);
    /// Of a matrix in blocks; nothing if it holds plain numbers.
    std::optional<StoredCodes> codes(const std::string& name);
    std::vector<std::string> unread() const;
    std::string where() const { return m_map.path().string(); }

private:
    struct Info {
        std::vector<std::int64_t> dims; ///< fastest first
        std::uint32_t type = 0;
        std::uint64_t offset = 0;
    };
    class Cursor;
    void readHeader();
    void readValue(Cursor& in, const std::string& key, std::uint32_t type);
    void readTensor(Cursor& in);
    const Info& info(const std::string& name) const;
    /// Its bytes, after checking that all are there. Notes the tensor as read.
    const std::uint8_t* data(const std::string& name);

    MappedFile m_map;
    std::map<std::string, Info> m_tensors;
    std::map<std::string, std::uint32_t> m_numbers;
    std::set<std::string> m_keys;
    std::string m_architecture;
    float m_alpha = 0;
    std::uint64_t m_data = 0;
    std::set<std::string> m_taken;
};

} // namespace qw
