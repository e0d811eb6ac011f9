#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace at {
class Tensor;
}

namespace qw {

/// One entry of a safetensors header.
struct TensorEntry {
    std::string name;
    std::string dtype; ///< as written: "F32", "BF16", "BOOL", ...
    std::vector<std::int64_t> shape;
    std::size_t offset = 0; ///< from the start of the file
    std::size_t bytes = 0;
    bool operator==(const TensorEntry&) const = default;
};

/// A memory-mapped safetensors file, checked as a careful reader must before anything is allocated.
class SafetensorsFile
{
public:
    /// @throws Error::NotFound, Io, BadFile (one sentence for each way a file can be wrong)
    explicit SafetensorsFile(const std::filesystem::path& file);
    ~SafetensorsFile();
    SafetensorsFile(SafetensorsFile&&) noexcept;
    SafetensorsFile& operator=(SafetensorsFile&&) noexcept;

    const std::filesystem::path& path() const;
    const std::map<std::string, TensorEntry>& entries() const;
    const std::map<std::string, std::string>& metadata() const;
    std::span<const std::byte> bytes(const TensorEntry& entry) const;
    /// A tensor over the map itself (F32, F16, BF16, I8, U8, I32, I64), or a copy if the data lies
    /// unaligned. Valid as long as this object. Do not write to it.
    /// @throws Error::NotFound, Unsupported (dtype) naming the tensor
    at::Tensor borrow(const std::string& name) const;
    /// Gives the pages of this tensor back to the system.
    void release(const std::string& name) const;

private:
    struct Private;
    std::unique_ptr<Private> d;
};

/// Writes a safetensors file tensor by tensor, without holding them all: announce, then write in
/// the order announced. Atomic: nothing under the final name before finish().
class SafetensorsWriter
{
public:
    struct Announced {
        std::string name;
        std::string dtype;
        std::vector<std::int64_t> shape;
    };
    /// @param metadata  {"format": "pt"} is always added
    /// @throws Error::Io, BadInput (duplicate name)
    SafetensorsWriter(const std::filesystem::path& file, std::vector<Announced> tensors,
                      std::map<std::string, std::string> metadata = {});
    ~SafetensorsWriter();
    /// @p tensor must have the announced dtype and shape, in the order announced.
    void write(const std::string& name, const at::Tensor& tensor);
    void finish();

private:
    struct Private;
    std::unique_ptr<Private> d;
};

/// All at once, sorted by name.
void writeSafetensors(const std::filesystem::path& file,
                      const std::map<std::string, at::Tensor>& tensors,
                      const std::map<std::string, std::string>& metadata = {});

} // namespace qw
