#include "export/tensor_files.h"

#include "base/error.h"
#include "base/json_io.h"

namespace qw {

TensorFiles::TensorFiles(const std::filesystem::path& folder, const std::string& single)
    : m_folder(folder)
{
    std::set<std::string> names{single};
    const auto index = folder / (single + ".index.json");
    if (!std::filesystem::exists(folder / single) && std::filesystem::exists(index)) {
        names.clear();
        const Json json = readJsonFile(index, std::int64_t{256} << 20);
        QW_REQUIRE(json.contains("weight_map") && json["weight_map"].is_object(),
                   ErrorCode::BadFile, index.string(), ": has no weight_map");
        for (const auto& [tensor, shard] : json["weight_map"].items()) {
            QW_REQUIRE(shard.is_string() && shard.get<std::string>().find('/') == std::string::npos,
                       ErrorCode::BadFile, index.string(), ": the shard of \"", tensor,
                       "\" is not a file name");
            names.insert(shard.get<std::string>());
        }
    }
    for (const std::string& name : names) {
        m_files.emplace_back(folder / name);
        for (const auto& [tensor, entry] : m_files.back().entries()) {
            QW_REQUIRE(m_fileOf.emplace(tensor, m_files.size() - 1).second, ErrorCode::BadFile,
                       (folder / name).string(), ": tensor \"", tensor, "\" stands in two shards");
        }
    }
}

const SafetensorsFile& TensorFiles::fileOf(const std::string& name) const
{
    const auto found = m_fileOf.find(name);
    QW_REQUIRE(found != m_fileOf.end(), ErrorCode::NotFound, m_folder.string(), ": tensor \"", name,
               "\" is missing");
    return m_files[found->second];
}

std::vector<std::string> TensorFiles::names() const
{
    std::vector<std::string> names;
    for (const auto& [name, file] : m_fileOf) {
        names.push_back(name);
    }
    return names;
}

std::vector<std::int64_t> TensorFiles::shape(const std::string& name) const
{
    return fileOf(name).entries().at(name).shape;
}

at::Tensor TensorFiles::take(const std::string& name)
{
    const SafetensorsFile& file = fileOf(name);
    m_taken.insert(name);
    return file.borrow(name);
}

at::Tensor TensorFiles::take(const std::string& name, at::ScalarType type, at::IntArrayRef shape)
{
    const at::Tensor tensor = take(name);
    QW_REQUIRE(tensor.scalar_type() == type && tensor.sizes() == shape, ErrorCode::BadFile,
               m_folder.string(), ": tensor \"", name, "\" is ", tensor.scalar_type(), " ",
               tensor.sizes(), ", not ", type, " ", shape);
    return tensor;
}

std::vector<std::string> TensorFiles::unread() const
{
    std::vector<std::string> names;
    for (const auto& [name, file] : m_fileOf) {
        if (!m_taken.contains(name)) {
            names.push_back(name);
        }
    }
    return names;
}

} // namespace qw
