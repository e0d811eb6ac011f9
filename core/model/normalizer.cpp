#include "model/normalizer.h"

#include "base/error.h"

#include <cstdlib>
#include <limits>
#include <memory>

#include <utf8proc.h>

namespace qw::tok {

namespace {

std::string toNfc(const std::string& text)
{
    utf8proc_uint8_t* composed = nullptr;
    const utf8proc_ssize_t length =
        utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                     static_cast<utf8proc_ssize_t>(text.size()), &composed,
                     static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    const std::unique_ptr<utf8proc_uint8_t, void (*)(void*)> owner(composed, std::free);
    QW_REQUIRE(length >= 0, ErrorCode::Internal,
               "cannot bring the text to NFC: ", utf8proc_errmsg(length), ".");
    return {reinterpret_cast<const char*>(composed), static_cast<std::size_t>(length)};
}

bool isAscii(const std::string& text)
{
    for (const char c : text) {
        if (static_cast<unsigned char>(c) >= 0x80) {
            return false;
        }
    }
    return true;
}

} // namespace

Normalizer::Normalizer(const Part& part)
{
    if (!part.isNull()) {
        add(part);
    }
}

void Normalizer::add(const Part& part)
{
    const std::string type = part["type"].text();
    if (type == "Sequence") {
        for (const Part& step : part["normalizers"].elements()) {
            add(step);
        }
    } else if (type == "NFC") {
        m_steps.push_back({Kind::Nfc, {}, {}});
    } else if (type == "Prepend") {
        m_steps.push_back({Kind::Prepend, part["prepend"].text(), {}});
    } else if (type == "Replace") {
        m_steps.push_back(
            {Kind::Replace, part["content"].text(), {TextPattern::fromPart(part["pattern"])}});
    } else {
        part["type"].unsupported("NFC, Prepend, Replace, Sequence");
    }
}

std::string Normalizer::normalize(std::string text) const
{
    for (const Step& step : m_steps) {
        switch (step.kind) {
        case Kind::Nfc:
            if (!isAscii(text)) {
                text = toNfc(text);
            }
            break;
        case Kind::Prepend:
            if (!text.empty()) {
                text.insert(0, step.content);
            }
            break;
        case Kind::Replace:
            text = step.pattern.front().replace(text, step.content);
            break;
        }
    }
    return text;
}

} // namespace qw::tok
