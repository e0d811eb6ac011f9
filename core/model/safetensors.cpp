#include "model/safetensors.h"

#include <cstring>

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include "base/error.h"
#include "base/files.h"
#include "model/dtype.h"
#include "model/safetensors_header.h"

namespace qw {

struct SafetensorsFile::Private {
    explicit Private(const std::filesystem::path& file)
        : map(file), header(readSafetensorsHeader(map.bytes(), file.string()))
    {
    }
    MappedFile map;
    SafetensorsHeader header;
};

SafetensorsFile::SafetensorsFile(const std::filesystem::path& file)
    : d(std::make_unique<Private>(file))
{
}
SafetensorsFile::~SafetensorsFile() = default;
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;
SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&&) noexcept = default;

const std::filesystem::path& SafetensorsFile::path() const
{
    return d->map.path();
}

const std::map<std::string, TensorEntry>& SafetensorsFile::entries() const
{
    return d->header.entries;
}

const std::map<std::string, std::string>& SafetensorsFile::metadata() const
{
    return d->header.metadata;
}

std::span<const std::byte> SafetensorsFile::bytes(const TensorEntry& entry) const
{
    return d->map.bytes().subspan(entry.offset, entry.bytes);
}

at::Tensor SafetensorsFile::borrow(const std::string& name) const
{
    const auto found = entries().find(name);
    QW_REQUIRE(found != entries().end(), ErrorCode::NotFound, path().string(), ": has no tensor \"",
               name, "\"");
    const TensorEntry& entry = found->second;
    const auto type = scalarTypeOf(entry.dtype);
    QW_REQUIRE(type.has_value(), ErrorCode::Unsupported, path().string(), ": tensor \"", name,
               "\" has dtype ", entry.dtype, ", which is not supported");
    const auto data = bytes(entry);
    const auto options = at::TensorOptions().dtype(*type);
    const std::size_t alignment = at::elementSize(*type);
    if (reinterpret_cast<std::uintptr_t>(data.data()) % alignment != 0 || data.empty()) {
        at::Tensor copy = at::empty(entry.shape, options);
        if (!data.empty()) {
            std::memcpy(copy.data_ptr(), data.data(), data.size());
        }
        return copy;
    }
    return at::from_blob(const_cast<std::byte*>(data.data()), entry.shape, options);
}

void SafetensorsFile::release(const std::string& name) const
{
    const auto found = entries().find(name);
    if (found != entries().end()) {
        d->map.release(found->second.offset, found->second.bytes);
    }
}

} // namespace qw
