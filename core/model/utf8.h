#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace qw::tok {

/// One code point of a valid UTF-8 text and the bytes it takes.
struct CodePoint {
    char32_t value = 0;
    std::size_t length = 0;
};

/// The code point at @p at of valid UTF-8; @p at is below the size and on a boundary.
CodePoint codePointAt(std::string_view text, std::size_t at);
/// The start of the code point that ends just before @p at (> 0).
std::size_t previousBoundary(std::string_view text, std::size_t at);
void appendUtf8(std::string& text, char32_t value);

/// Bytes as valid UTF-8: every maximal ill-formed part becomes one U+FFFD (Unicode 3.9, the rule of
/// the reference library and of WHATWG).
std::string toValidUtf8(std::string_view bytes);
bool isValidUtf8(std::string_view bytes);

} // namespace qw::tok
