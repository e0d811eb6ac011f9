#include "model/token_decoder.h"

#include "model/byte_level.h"
#include "model/utf8.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace qw::tok {

namespace {

/// The byte of "<0xHH>".
std::optional<char> fallbackByte(const std::string& token)
{
    if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') {
        return std::nullopt;
    }
    unsigned value = 0;
    const auto [end, problem] = std::from_chars(&token[3], &token[5], value, 16);
    if (problem != std::errc() || end != &token[5]) {
        return std::nullopt;
    }
    return static_cast<char>(value);
}

std::vector<std::string> joinFallbackBytes(const std::vector<std::string>& tokens)
{
    std::vector<std::string> joined;
    std::string bytes;
    const auto flush = [&] {
        if (bytes.empty()) {
            return;
        }
        if (isValidUtf8(bytes)) {
            joined.push_back(bytes);
        } else { // one replacement character a byte, as the reference library does
            joined.insert(joined.end(), bytes.size(), "\xEF\xBF\xBD");
        }
        bytes.clear();
    };
    for (const std::string& token : tokens) {
        if (const auto byte = fallbackByte(token)) {
            bytes += *byte;
        } else {
            flush();
            joined.push_back(token);
        }
    }
    flush();
    return joined;
}

std::string joinByteLevel(const std::vector<std::string>& tokens)
{
    std::string bytes;
    for (const std::string& token : tokens) {
        bytes += byteLevelBytes(token).value_or(token); // an added token stands for itself
    }
    return toValidUtf8(bytes);
}

std::string strip(std::string_view token, char32_t character, std::int64_t start, std::int64_t stop)
{
    for (; start > 0 && !token.empty(); --start) {
        const CodePoint first = codePointAt(token, 0);
        if (first.value != character) {
            break;
        }
        token.remove_prefix(first.length);
    }
    for (; stop > 0 && !token.empty(); --stop) {
        const std::size_t last = previousBoundary(token, token.size());
        if (codePointAt(token, last).value != character) {
            break;
        }
        token = token.substr(0, last);
    }
    return std::string(token);
}

} // namespace

TokenDecoder::TokenDecoder(const Part& part)
{
    if (!part.isNull()) {
        add(part);
    }
}

void TokenDecoder::add(const Part& part)
{
    const std::string type = part["type"].text();
    Step step;
    if (type == "Sequence") {
        for (const Part& inner : part["decoders"].elements()) {
            add(inner);
        }
        return;
    }
    if (type == "ByteLevel") {
        step.kind = Kind::ByteLevel;
    } else if (type == "Metaspace") {
        step.kind = Kind::Metaspace;
        part["replacement"].character(); // refuses anything but one character
        step.pattern.push_back(TextPattern::literal(part["replacement"].text()));
        step.dropsFirst = part["prepend_scheme"].textOr("always") != "never" &&
                          part["add_prefix_space"].flagOr(true);
    } else if (type == "Replace") {
        step.kind = Kind::Replace;
        step.pattern.push_back(TextPattern::fromPart(part["pattern"]));
        step.content = part["content"].text();
    } else if (type == "ByteFallback") {
        step.kind = Kind::ByteFallback;
    } else if (type == "Strip") {
        step.kind = Kind::Strip;
        step.character = part["content"].character();
        step.start = part["start"].countOr(0);
        step.stop = part["stop"].countOr(0);
    } else if (type != "Fuse") {
        part["type"].unsupported(
            "ByteLevel, Metaspace, Replace, ByteFallback, Fuse, Strip, Sequence");
    }
    m_steps.push_back(std::move(step));
}

std::vector<std::string> TokenDecoder::apply(const Step& step, std::vector<std::string> tokens)
{
    switch (step.kind) {
    case Kind::ByteLevel:
        return {joinByteLevel(tokens)};
    case Kind::ByteFallback:
        return joinFallbackBytes(tokens);
    case Kind::Fuse: {
        std::string text;
        for (const std::string& token : tokens) {
            text += token;
        }
        return {text};
    }
    case Kind::Metaspace:
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            tokens[i] =
                step.pattern.front().replace(tokens[i], i == 0 && step.dropsFirst ? "" : " ");
        }
        return tokens;
    case Kind::Replace:
        for (std::string& token : tokens) {
            token = step.pattern.front().replace(token, step.content);
        }
        return tokens;
    case Kind::Strip:
        for (std::string& token : tokens) {
            token = strip(token, step.character, step.start, step.stop);
        }
        return tokens;
    }
    return tokens;
}

std::string TokenDecoder::decode(std::vector<std::string> tokens) const
{
    for (const Step& step : m_steps) {
        tokens = apply(step, std::move(tokens));
    }
    std::string text;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (i > 0 && m_steps.empty()) { // without a decoder the reference library puts spaces
            text += ' ';
        }
        text += tokens[i];
    }
    return text;
}

} // namespace qw::tok
