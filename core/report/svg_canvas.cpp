#include "report/svg_canvas.h"

#include <array>
#include <charconv>
#include <cmath>
#include <vector>

namespace qw {

namespace {
constexpr std::string_view kReplacement = "\uFFFD";

/// Bytes of the UTF-8 sequence at the start of @p text, 0 if it is broken or no XML character.
std::size_t characterLength(std::string_view text)
{
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(0);
    if (lead < 0x80) {
        return lead >= 0x20 || lead == '\t' || lead == '\n' || lead == '\r' ? 1 : 0;
    }
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || text.size() < length) {
        return 0;
    }
    std::uint32_t code = lead & (0xFFU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0) != 0x80) {
            return 0;
        }
        code = code << 6 | (byte(i) & 0x3F);
    }
    constexpr std::array<std::uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    const bool noCharacter = code == 0xFFFE || code == 0xFFFF || code > 0x10FFFF;
    return code < kLeast[length] || surrogate || noCharacter ? 0 : length;
}

/// The characters of valid UTF-8.
std::vector<std::string_view> characters(std::string_view text)
{
    std::vector<std::string_view> result;
    while (!text.empty()) {
        const std::size_t length = std::max<std::size_t>(characterLength(text), 1);
        result.push_back(text.substr(0, length));
        text.remove_prefix(length);
    }
    return result;
}

/// Advance of printable ASCII in thousandths of the font size, of a common sans-serif face.
constexpr std::array<int, 95> kAdvances = {
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333,  278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667,  611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278,  556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500,  500, 334, 260, 334, 584};

std::string attributes(const char* property, const Paint& paint)
{
    std::string text = std::string(" ") + property + "=\"" + hexColour(paint.colour) + "\"";
    if (!paint.name.empty()) {
        text += std::string(" class=\"qw-") + property[0] + "-" + paint.name + "\"";
    }
    return text;
}

struct ThemedColour {
    std::string name;
    std::uint32_t light;
    std::uint32_t dark;
};

std::vector<ThemedColour> themedColours()
{
    std::vector<ThemedColour> colours = {{"ink", 0x1C1C1E, 0xECECEC},
                                         {"muted", 0x5C6066, 0xA9ADB3},
                                         {"grid", 0xE4E6E9, 0x3A3D42},
                                         {"paper", 0xFFFFFF, 0x1E1F22}};
    for (const MethodStyle& style : methodStyles()) {
        colours.push_back({style.method, style.light, style.dark});
    }
    return colours;
}

std::string variables(std::uint32_t ThemedColour::*theme)
{
    std::string css = ":root{";
    for (const ThemedColour& colour : themedColours()) {
        css += "--qw-" + colour.name + ":" + hexColour(colour.*theme) + ";";
    }
    return css + "}";
}
} // namespace

const Paint kInk{"ink", 0x1C1C1E};
const Paint kMuted{"muted", 0x5C6066};
const Paint kGridInk{"grid", 0xE4E6E9};
const Paint kPaper{"paper", 0xFFFFFF};

Paint methodPaint(const std::string& method)
{
    for (const MethodStyle& style : methodStyles()) {
        if (style.method == method) {
            return {method, style.light};
        }
    }
    return kInk;
}

Paint plainPaint(std::uint32_t colour)
{
    return {"", colour};
}

std::string svgStyle()
{
    std::string css = variables(&ThemedColour::light) + "\n@media screen and " +
                      "(prefers-color-scheme:dark){" + variables(&ThemedColour::dark) + "}\n";
    for (const ThemedColour& colour : themedColours()) {
        css += ".qw-s-" + colour.name + "{stroke:var(--qw-" + colour.name + ")}";
        css += ".qw-f-" + colour.name + "{fill:var(--qw-" + colour.name + ")}";
    }
    return css + "\n";
}

std::string hexColour(std::uint32_t colour)
{
    std::string text = "#";
    for (int shift = 20; shift >= 0; shift -= 4) {
        text += "0123456789abcdef"[colour >> shift & 0xF];
    }
    return text;
}

std::string escapeMarkup(std::string_view text)
{
    std::string out;
    while (!text.empty()) {
        const std::size_t length = characterLength(text);
        switch (length == 1 ? text[0] : 'x') {
        case '&':
            out += "&amp;";
            break;
        case '<':
            out += "&lt;";
            break;
        case '>':
            out += "&gt;";
            break;
        case '"':
            out += "&quot;";
            break;
        case '\'':
            out += "&#39;";
            break;
        default:
            out += length == 0 ? kReplacement : text.substr(0, length);
        }
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return out;
}

double textWidth(std::string_view text, double fontSize)
{
    constexpr double kWiderFace = 1.12; // faces differ; the widest common one is about that much
    constexpr int kOther = 600;
    constexpr int kIdeograph = 1000;
    double advance = 0;
    for (const std::string_view character : characters(text)) {
        const auto first = static_cast<unsigned char>(character[0]);
        advance += character.size() >= 3 && first >= 0xE3 ? kIdeograph
                   : first >= 0x20 && first < 0x7F        ? kAdvances[first - 0x20]
                                                          : kOther;
    }
    return advance * fontSize / 1000 * kWiderFace;
}

std::string elided(const std::string& text, double width, double fontSize)
{
    if (textWidth(text, fontSize) <= width) {
        return text;
    }
    const auto all = characters(text);
    for (std::size_t kept = all.size(); kept-- > 2;) {
        std::string shorter;
        for (std::size_t i = 0; i < (kept + 1) / 2; ++i) {
            shorter += all[i];
        }
        shorter += "…";
        for (std::size_t i = all.size() - kept / 2; i < all.size(); ++i) {
            shorter += all[i];
        }
        if (textWidth(shorter, fontSize) <= width) {
            return shorter;
        }
    }
    return "…";
}

std::string coordinate(double value)
{
    char text[400];
    const double rounded = std::round(value * 100) / 100;
    return {text, std::to_chars(text, text + sizeof text, rounded == 0 ? 0 : rounded).ptr};
}

void SvgCanvas::line(double x1, double y1, double x2, double y2, const Paint& paint,
                     double strokeWidth, const std::string& dashes)
{
    stroke("M" + coordinate(x1) + " " + coordinate(y1) + "L" + coordinate(x2) + " " +
               coordinate(y2),
           paint, strokeWidth, dashes);
}

void SvgCanvas::stroke(const std::string& path, const Paint& paint, double strokeWidth,
                       const std::string& dashes)
{
    m_body += "<path d=\"" + path + "\" fill=\"none\"" + attributes("stroke", paint) +
              " stroke-width=\"" + coordinate(strokeWidth) + "\" stroke-linejoin=\"round\"";
    m_body += dashes.empty() ? "/>\n" : " stroke-dasharray=\"" + dashes + "\"/>\n";
}

void SvgCanvas::rectangle(double x, double y, double w, double h, const Paint& fill)
{
    m_body += "<rect x=\"" + coordinate(x) + "\" y=\"" + coordinate(y) + "\" width=\"" +
              coordinate(w) + "\" height=\"" + coordinate(h) + "\"" + attributes("fill", fill) +
              "/>\n";
}

void SvgCanvas::text(double x, double y, const std::string& text, const Paint& paint,
                     double fontSize, Anchor anchor, bool bold, bool onGround)
{
    const std::string place = "<text x=\"" + coordinate(x) + "\" y=\"" + coordinate(y) +
                              "\" font-size=\"" + coordinate(fontSize) + "\"" +
                              (anchor == Anchor::Middle ? " text-anchor=\"middle\""
                               : anchor == Anchor::End  ? " text-anchor=\"end\""
                                                        : "") +
                              (bold ? " font-weight=\"600\"" : "");
    const std::string content = ">" + escapeMarkup(text) + "</text>\n";
    if (onGround) {
        const double width = textWidth(text, fontSize);
        const double left = anchor == Anchor::Middle ? x - width / 2
                            : anchor == Anchor::End  ? x - width
                                                     : x;
        rectangle(left - 1, y - fontSize * 0.85, width + 2, fontSize * 1.1, kPaper);
    }
    m_body += place + attributes("fill", paint) + content;
}

void SvgCanvas::marker(double x, double y, const MethodStyle& style, const Paint& paint,
                       double radius)
{
    const auto at = [&](double dx, double dy) {
        return coordinate(x + dx * radius) + " " + coordinate(y + dy * radius);
    };
    std::string path;
    switch (style.marker) {
    case Marker::Circle: {
        const std::string arc = coordinate(radius) + " " + coordinate(radius) + " 0 1 0 ";
        path = "M" + at(-1, 0) + "A" + arc + at(1, 0) + "A" + arc + at(-1, 0) + "Z";
        break;
    }
    case Marker::Square:
        path = "M" + at(-.9, -.9) + "L" + at(.9, -.9) + "L" + at(.9, .9) + "L" + at(-.9, .9) + "Z";
        break;
    case Marker::Diamond:
        path = "M" + at(0, -1.2) + "L" + at(1.2, 0) + "L" + at(0, 1.2) + "L" + at(-1.2, 0) + "Z";
        break;
    case Marker::TriangleUp:
        path = "M" + at(0, -1.15) + "L" + at(1.1, .85) + "L" + at(-1.1, .85) + "Z";
        break;
    case Marker::TriangleDown:
        path = "M" + at(0, 1.15) + "L" + at(1.1, -.85) + "L" + at(-1.1, -.85) + "Z";
        break;
    case Marker::Cross:
        stroke("M" + at(-.8, -.8) + "L" + at(.8, .8) + "M" + at(-.8, .8) + "L" + at(.8, -.8), paint,
               1.8);
        return;
    }
    m_body +=
        "<path d=\"" + path + "\"" + attributes("fill", style.filled ? paint : kPaper) + "/>\n";
    stroke(path, style.filled ? kPaper : paint, style.filled ? 0.8 : 1.8);
}

void SvgCanvas::beginGroup(const std::string& title)
{
    m_body += "<g><title>" + escapeMarkup(title) + "</title>\n";
}

void SvgCanvas::endGroup()
{
    m_body += "</g>\n";
}

std::string SvgCanvas::finish(const std::string& title, bool standalone) const
{
    const std::string size = coordinate(m_width) + "\" height=\"" + coordinate(m_height);
    std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"qw-plot\" role=\"img\" "
                      "width=\"" +
                      size + "\" viewBox=\"0 0 " + coordinate(m_width) + " " +
                      coordinate(m_height) +
                      "\" font-family=\"system-ui, 'Segoe UI', 'Liberation Sans', Arial, "
                      "sans-serif\">\n<title>" +
                      escapeMarkup(title) + "</title>\n";
    if (standalone) {
        out += "<style>" + svgStyle() + "</style>\n<rect width=\"" + size + "\"" +
               attributes("fill", kPaper) + "/>\n";
    }
    return out + m_body + "</svg>\n";
}

} // namespace qw
