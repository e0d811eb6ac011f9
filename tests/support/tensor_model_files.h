#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "random_model.h"

namespace qw::test {

/// The bytes of a safetensors file: length, header, @p dataBytes zero bytes.
std::string safetensorsBytes(const std::string& header, std::size_t dataBytes);
void writeBytes(const std::filesystem::path& file, const std::string& bytes);
/// A tokenizer.json of 96 tokens, as many as the golden models have rows: printable ASCII and an
/// end.
std::string smallTokenizer();
/// Of a random Llama that a run takes a fraction of a second for: 64 wide, 300 tokens, 128
/// positions.
RandomModelSpec smallShape(std::int64_t layers = 2);
/// The beginning of a text of the demo: "calibration" or "evaluation".
std::string demoText(const std::string& name, std::size_t bytes);
/// What Error::what() says when @p call throws, or an empty string if it does not throw.
template <class Call>
std::string sentenceOf(Call&& call)
{
    try {
        call();
    } catch (const std::exception& error) {
        return error.what();
    }
    return {};
}

} // namespace qw::test
