#include "model/utf8.h"

#include <algorithm>
#include <cstdint>

namespace qw::tok {

namespace {

/// Length of the well-formed sequence at @p at, or the negated length of the maximal ill-formed
/// part (at least one byte).
std::ptrdiff_t sequenceAt(std::string_view text, std::size_t at)
{
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t lead = byte(at);
    if (lead < 0x80) {
        return 1;
    }
    std::ptrdiff_t length = 0;
    std::uint8_t low = 0x80;  // the second byte is narrower for some leads: no overlong forms,
    std::uint8_t high = 0xBF; // no surrogates, nothing above U+10FFFF
    if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3;
        low = lead == 0xE0 ? 0xA0 : low;
        high = lead == 0xED ? 0x9F : high;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4;
        low = lead == 0xF0 ? 0x90 : low;
        high = lead == 0xF4 ? 0x8F : high;
    } else {
        return -1;
    }
    for (std::ptrdiff_t i = 1; i < length; ++i) {
        const std::size_t place = at + static_cast<std::size_t>(i);
        if (place >= text.size() || byte(place) < low || byte(place) > high) {
            return -i;
        }
        low = 0x80;
        high = 0xBF;
    }
    return length;
}

} // namespace

CodePoint codePointAt(std::string_view text, std::size_t at)
{
    const auto lead = static_cast<std::uint8_t>(text[at]);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    char32_t value = length == 1 ? lead : lead & (0x7FU >> length);
    for (std::size_t i = 1; i < length && at + i < text.size(); ++i) {
        value = (value << 6) | (static_cast<std::uint8_t>(text[at + i]) & 0x3FU);
    }
    return {value, std::min(length, text.size() - at)};
}

std::size_t previousBoundary(std::string_view text, std::size_t at)
{
    do {
        --at;
    } while (at > 0 && (static_cast<std::uint8_t>(text[at]) & 0xC0) == 0x80);
    return at;
}

void appendUtf8(std::string& text, char32_t value)
{
    if (value < 0x80) {
        text += static_cast<char>(value);
        return;
    }
    if (value < 0x800) {
        text += static_cast<char>(0xC0 | (value >> 6));
    } else {
        if (value < 0x10000) {
            text += static_cast<char>(0xE0 | (value >> 12));
        } else {
            text += static_cast<char>(0xF0 | (value >> 18));
            text += static_cast<char>(0x80 | ((value >> 12) & 0x3F));
        }
        text += static_cast<char>(0x80 | ((value >> 6) & 0x3F));
    }
    text += static_cast<char>(0x80 | (value & 0x3F));
}

bool isValidUtf8(std::string_view bytes)
{
    for (std::size_t at = 0; at < bytes.size();) {
        const std::ptrdiff_t length = sequenceAt(bytes, at);
        if (length < 0) {
            return false;
        }
        at += static_cast<std::size_t>(length);
    }
    return true;
}

std::string toValidUtf8(std::string_view bytes)
{
    std::string text;
    text.reserve(bytes.size());
    for (std::size_t at = 0; at < bytes.size();) {
        const std::ptrdiff_t length = sequenceAt(bytes, at);
        if (length > 0) {
            text.append(bytes, at, static_cast<std::size_t>(length));
            at += static_cast<std::size_t>(length);
        } else {
            text += "\xEF\xBF\xBD";
            at += static_cast<std::size_t>(-length);
        }
    }
    return text;
}

} // namespace qw::tok
