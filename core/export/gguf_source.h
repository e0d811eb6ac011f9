#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/files.h"
#include "export/stored_codes.h"

namespace qw {

/// A value of the metadata; numbers of any width in the widest type.
using GgufField = std::variant<std::int64_t, double, bool, std::string, std::vector<std::int64_t>,
                               std::vector<double>, std::vector<std::string>>;

/// A GGUF file opened for reading: header and tensors, checked before anything is allocated.
/// Source: ggml docs/gguf.md, src/ggml-common.h.
class GgufSource
{
public:
    /// @throws Error::NotFound, Io, BadFile, Unsupported
    explicit GgufSource(const std::filesystem::path& file);

    /// general.architecture, or empty.
    std::string architecture() const;
    /// The field of this type (one of GgufField's), or null if there is none, or of another type.
    template <class Value>
    const Value* find(const std::string& key) const
    {
        const auto found = m_fields.find(key);
        return found == m_fields.end() ? nullptr : std::get_if<Value>(&found->second);
    }
    /// A whole number. @throws Error::BadFile if it is not there, or outside 0..2^31
    std::int64_t number(const std::string& key) const;
    std::int64_t numberOr(const std::string& key, std::int64_t otherwise) const;
    double real(const std::string& key) const; ///< @throws Error::BadFile if it is not there
    double realOr(const std::string& key, double otherwise) const;
    bool has(const std::string& name) const { return m_tensors.contains(name); }
    std::int64_t elements() const; ///< of all tensors. @throws Error::BadFile
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
    GgufField readList(Cursor& in, const std::string& key) const;
    GgufField readField(Cursor& in, const std::string& key) const;
    void readTensor(Cursor& in);
    const Info& info(const std::string& name) const;
    std::int64_t elementsOf(const std::string& name) const;
    /// Its bytes, after checking that all are there. Notes the tensor as read.
    const std::uint8_t* data(const std::string& name);

    MappedFile m_map;
    std::map<std::string, Info> m_tensors;
    std::map<std::string, GgufField> m_fields;
    std::uint64_t m_data = 0;
    std::set<std::string> m_taken;
};

} // namespace qw
