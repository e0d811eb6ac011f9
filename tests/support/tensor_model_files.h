#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace qw::test {

/// The bytes of a safetensors file: length, header, @p dataBytes zero bytes.
std::string safetensorsBytes(const std::string& header, std::size_t dataBytes);
void writeBytes(const std::filesystem::path& file, const std::string& bytes);
/// A tokenizer.json of 96 tokens, as many as the golden models have rows: printable ASCII and an
/// end.
std::string smallTokenizer();
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
