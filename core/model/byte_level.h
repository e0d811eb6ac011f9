#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace qw::tok {

/// Each byte as one printable code point (GPT-2): 0x21-0x7E, 0xA1-0xAC and 0xAE-0xFF stand for
/// themselves, the other 68 follow from U+0100 on.
void appendByteLevel(std::string& out, std::string_view bytes);
/// The bytes of a token of that alphabet; nothing if another code point occurs.
std::optional<std::string> byteLevelBytes(std::string_view token);

} // namespace qw::tok
