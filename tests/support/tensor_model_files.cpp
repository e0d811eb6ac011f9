#include "support/tensor_model_files.h"

#include <cstring>
#include <fstream>

#include "base/files.h"
#include "base/json_io.h"

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

std::string smallTokenizer()
{
    Json vocabulary = Json::object();
    for (int i = 0; i < 94; ++i) {
        vocabulary[std::string(1, static_cast<char>('!' + i))] = i;
    }
    vocabulary["\u0120"] = 94;
    const Json byteLevel = {{"type", "ByteLevel"},
                            {"add_prefix_space", false},
                            {"trim_offsets", true},
                            {"use_regex", true}};
    const Json end = {{"id", 95},        {"content", "<|end|>"}, {"single_word", false},
                      {"lstrip", false}, {"rstrip", false},      {"normalized", false},
                      {"special", true}};
    const Json tokenizer = {
        {"version", "1.0"},
        {"added_tokens", Json::array({end})},
        {"normalizer", nullptr},
        {"pre_tokenizer", byteLevel},
        {"post_processor", nullptr},
        {"decoder", byteLevel},
        {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array()}}}};
    return tokenizer.dump();
}

RandomModelSpec smallShape(std::int64_t layers)
{
    RandomModelSpec shape;
    shape.hidden = 64;
    shape.intermediate = 96;
    shape.layers = layers;
    shape.vocabulary = 300;
    shape.maxPositions = 128;
    return shape;
}

std::string demoText(const std::string& name, std::size_t bytes)
{
    const std::filesystem::path tests = std::filesystem::path(__FILE__).parent_path().parent_path();
    return readTextFile(tests.parent_path() / "resources/demo_model" / (name + ".txt"))
        .substr(0, bytes);
}

} // namespace qw::test
