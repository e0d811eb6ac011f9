#include "model/byte_level.h"

#include "model/utf8.h"

#include <array>
#include <cstdint>

namespace qw::tok {

namespace {

constexpr std::size_t kAlphabetEnd = 0x100 + 68;

struct Alphabet {
    std::array<std::string, 256> character;
    std::array<std::int16_t, kAlphabetEnd> byte;
    Alphabet()
    {
        byte.fill(-1);
        char32_t spare = 0x100;
        for (int b = 0; b < 256; ++b) {
            const bool itself = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
            const char32_t code = itself ? static_cast<char32_t>(b) : spare++;
            appendUtf8(character[static_cast<std::size_t>(b)], code);
            byte[code] = static_cast<std::int16_t>(b);
        }
    }
};

const Alphabet& alphabet()
{
    static const Alphabet kAlphabet;
    return kAlphabet;
}

} // namespace

void appendByteLevel(std::string& out, std::string_view bytes)
{
    const Alphabet& table = alphabet();
    for (const char c : bytes) {
        out += table.character[static_cast<std::uint8_t>(c)];
    }
}

std::optional<std::string> byteLevelBytes(std::string_view token)
{
    const Alphabet& table = alphabet();
    std::string bytes;
    for (std::size_t at = 0; at < token.size();) {
        const CodePoint point = codePointAt(token, at);
        if (point.value >= kAlphabetEnd || table.byte[point.value] < 0) {
            return std::nullopt;
        }
        bytes += static_cast<char>(table.byte[point.value]);
        at += point.length;
    }
    return bytes;
}

} // namespace qw::tok
