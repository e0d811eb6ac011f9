#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <ATen/core/Tensor.h>

#include "base/files.h"
#include "export/gguf_blocks.h"

namespace qw {

using GgufValue = std::variant<std::uint32_t, float, bool, std::string, std::vector<std::string>,
                               std::vector<float>, std::vector<std::int32_t>>;
using GgufMetadata = std::vector<std::pair<std::string, GgufValue>>;

struct GgufTensor {
    std::string name;
    std::vector<std::int64_t> shape; ///< rows first; the file has it reversed
    GgufType type = GgufType::F32;
    std::int64_t bytes() const;
};

/// A GGUF version 3 file: announce all tensors, then write them in that order. Atomic.
/// Source: ggml docs/gguf.md.
class GgufWriter
{
public:
    /// @throws Error::Io; Unsupported for a name too long for GGUF
    GgufWriter(const std::filesystem::path& file, const GgufMetadata& metadata,
               std::vector<GgufTensor> tensors);
    /// @param tensor  float32, float16 or bfloat16 as announced, or blocks as uint8
    void write(const std::string& name, const at::Tensor& tensor);
    void finish();

private:
    void pad();
    AtomicFile m_file;
    std::string m_name;
    std::vector<GgufTensor> m_tensors;
    std::size_t m_next = 0;
};

} // namespace qw
