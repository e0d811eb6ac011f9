#include "support/tensor_model_files.h"

#include <cstring>
#include <fstream>

namespace qw::test {

std::string safetensorsBytes(const std::string& header, std::size_t dataBytes)
{
    const std::uint64_t length = header.size();
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    return bytes + header + std::string(dataBytes, '\0');
}

void writeBytes(const std::filesystem::path& file, const std::string& bytes)
{
    std::ofstream(file, std::ios::binary) << bytes;
}

} // namespace qw::test
