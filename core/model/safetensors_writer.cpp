#include <cstring>
#include <set>

#include <ATen/core/Tensor.h>

#include "base/error.h"
#include "base/files.h"
#include "base/json_io.h"
#include "model/dtype.h"
#include "model/safetensors.h"

namespace qw {

struct SafetensorsWriter::Private {
    Private(const std::filesystem::path& target, std::vector<Announced> announced)
        : file(target), name(target.string()), tensors(std::move(announced))
    {
    }
    AtomicFile file;
    std::string name;
    std::vector<Announced> tensors;
    std::size_t next = 0;
};

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& file,
                                     std::vector<Announced> tensors,
                                     std::map<std::string, std::string> metadata)
{
    metadata["format"] = "pt"; // some readers refuse files without it
    Json header = Json::object();
    header["__metadata__"] = metadata;
    std::int64_t end = 0;
    std::set<std::string> names;
    for (const Announced& tensor : tensors) {
        QW_REQUIRE(names.insert(tensor.name).second, ErrorCode::BadInput, file.string(),
                   ": tensor \"", tensor.name, "\" was announced twice");
        std::int64_t bytes = bitsOfDtype(tensor.dtype) / 8;
        for (const std::int64_t dim : tensor.shape) {
            bytes *= dim;
        }
        header[tensor.name] = {
            {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {end, end + bytes}}};
        end += bytes;
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' '); // data then begins aligned
    const std::uint64_t length = text.size();
    char prefix[8];
    std::memcpy(prefix, &length, 8);
    d = std::make_unique<Private>(file, std::move(tensors));
    d->file.write(std::string_view(prefix, 8));
    d->file.write(text);
}

SafetensorsWriter::~SafetensorsWriter() = default;

void SafetensorsWriter::write(const std::string& name, const at::Tensor& tensor)
{
    QW_REQUIRE(d->next < d->tensors.size() && d->tensors[d->next].name == name, ErrorCode::Internal,
               d->name, ": tensor \"", name, "\" was not announced next");
    const Announced& announced = d->tensors[d->next];
    QW_REQUIRE(tensor.sizes() == at::IntArrayRef(announced.shape) &&
                   dtypeName(tensor.scalar_type()) == announced.dtype,
               ErrorCode::Internal, d->name, ": tensor \"", name,
               "\" is not of the announced shape and type");
    const at::Tensor host = tensor.cpu().contiguous();
    d->file.write(std::as_bytes(std::span(static_cast<const char*>(host.data_ptr()),
                                          static_cast<std::size_t>(host.nbytes()))));
    ++d->next;
}

void SafetensorsWriter::finish()
{
    QW_REQUIRE(d->next == d->tensors.size(), ErrorCode::Internal, d->name, ": ",
               d->tensors.size() - d->next, " announced tensors were never written");
    d->file.commit();
}

void writeSafetensors(const std::filesystem::path& file,
                      const std::map<std::string, at::Tensor>& tensors,
                      const std::map<std::string, std::string>& metadata)
{
    // Wide elements first keeps every tensor aligned, as the reference writer does.
    std::vector<SafetensorsWriter::Announced> announced;
    for (const std::int64_t bytes : {8, 4, 2, 1}) {
        for (const auto& [name, tensor] : tensors) {
            if (static_cast<std::int64_t>(tensor.element_size()) == bytes) {
                announced.push_back(
                    {name, std::string(dtypeName(tensor.scalar_type())), tensor.sizes().vec()});
            }
        }
    }
    SafetensorsWriter writer(file, announced, metadata);
    for (const auto& tensor : announced) {
        writer.write(tensor.name, tensors.at(tensor.name));
    }
    writer.finish();
}

} // namespace qw
