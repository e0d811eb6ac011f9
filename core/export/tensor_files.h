#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/safetensors.h"

namespace qw {

/// The tensors of a folder, of one safetensors file or of shards, with a note of what was asked
/// for.
class TensorFiles
{
public:
    /// @param single  the name of the file if there is no index beside it
    explicit TensorFiles(const std::filesystem::path& folder,
                         const std::string& single = "model.safetensors");
    bool has(const std::string& name) const { return m_fileOf.contains(name); }
    /// Borrowed from the map. @throws Error::NotFound, Unsupported
    at::Tensor take(const std::string& name);
    /// @throws Error::BadFile unless it has this type and shape
    at::Tensor take(const std::string& name, at::ScalarType type, at::IntArrayRef shape);
    std::vector<std::string> names() const; ///< in order
    /// As the header says. @throws Error::NotFound
    std::vector<std::int64_t> shape(const std::string& name) const;
    std::vector<std::string> unread() const;
    const std::filesystem::path& folder() const { return m_folder; }

private:
    const SafetensorsFile& fileOf(const std::string& name) const;

    std::filesystem::path m_folder;
    std::vector<SafetensorsFile> m_files;
    std::map<std::string, std::size_t> m_fileOf;
    std::set<std::string> m_taken;
};

} // namespace qw
