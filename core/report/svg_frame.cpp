#include "report/svg_frame.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>

namespace qw::svg {

double Scale::at(double value) const
{
    const double share =
        log ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
    return from + share * (to - from);
}

AxisTicks Scale::ticks(int wanted) const
{
    return log ? logTicks(low, high, wanted) : linearTicks(low, high, wanted);
}

void settle(Scale& scale, double margin)
{
    if (!(scale.low <= scale.high)) { // nothing was measured
        scale.low = scale.log ? 0.1 : 0;
        scale.high = 1;
    }
    if (scale.log) {
        const double factor =
            scale.low == scale.high ? 2 : std::pow(scale.high / scale.low, margin);
        scale.low /= factor;
        scale.high *= factor;
        return;
    }
    const double length = scale.low == scale.high ? std::max(std::abs(scale.low), 1.)
                                                  : (scale.high - scale.low) * margin;
    scale.low -= length;
    scale.high += length;
}

std::string dashesOf(int variant)
{
    static const std::array<const char*, 5> dashes = {"", "2 3", "7 3 2 3", "9 4", "1 5"};
    return dashes[static_cast<std::size_t>(variant) % dashes.size()];
}

std::vector<std::string> wrapped(const std::string& text, double width, double fontSize)
{
    std::vector<std::string> lines;
    std::istringstream words(text);
    for (std::string word; words >> word;) {
        word = elided(word, width, fontSize);
        if (!lines.empty() && textWidth(lines.back() + " " + word, fontSize) <= width) {
            lines.back() += " " + word;
        } else {
            lines.push_back(word);
        }
    }
    return lines;
}

double drawHeading(SvgCanvas& canvas, const std::string& title, const std::string& apart)
{
    const double width = canvas.width() - 2 * kEdge;
    double y = kEdge;
    if (!title.empty()) {
        y += kTitleSize;
        constexpr double kBolder = 0.94; // room for the wider bold face
        canvas.text(kEdge, y, elided(title, width * kBolder, kTitleSize), kInk, kTitleSize,
                    Anchor::Start, true);
        y += 6;
    }
    if (!apart.empty()) {
        for (const std::string& line :
             wrapped("Apart from the first plot: " + apart, width, kTextSize)) {
            y += kTextSize + 2;
            canvas.text(kEdge, y, line, kMuted, kTextSize);
        }
        y += 4;
    }
    return y;
}

double drawLegend(SvgCanvas& canvas, const std::vector<LegendEntry>& entries, double top,
                  int maxRows)
{
    if (entries.empty()) {
        return top;
    }
    constexpr double kSwatch = 26;
    constexpr double kGap = 18;
    const double width = canvas.width() - 2 * kEdge;
    double widest = 0;
    for (const LegendEntry& entry : entries) {
        widest = std::max(widest, textWidth(entry.name, kTextSize));
    }
    const double column = std::min(width, kSwatch + widest + kGap);
    const auto columns = std::max<std::size_t>(1, static_cast<std::size_t>(width / column));
    const std::size_t places = columns * static_cast<std::size_t>(maxRows);
    const std::size_t shown = entries.size() <= places ? entries.size() : places - 1;
    const auto place = [&](std::size_t i) {
        return std::pair(kEdge + static_cast<double>(i % columns) * column,
                         top + static_cast<double>(i / columns) * kRowHeight);
    };
    for (std::size_t i = 0; i < shown; ++i) {
        const LegendEntry& entry = entries[i];
        const auto [x, y] = place(i);
        const Paint paint = methodPaint(entry.method);
        if (entry.line) {
            canvas.line(x, y + 9, x + 20, y + 9, entry.method.empty() ? kMuted : paint, 1.8,
                        entry.dashes);
        }
        if (entry.marker) {
            canvas.marker(x + 10, y + 9, methodStyle(entry.method), paint, kMarkerRadius);
        }
        canvas.text(x + kSwatch, y + 13, elided(entry.name, column - kSwatch, kTextSize), kInk,
                    kTextSize);
    }
    if (shown < entries.size()) {
        const auto [x, y] = place(shown);
        canvas.text(x, y + 13, "and " + std::to_string(entries.size() - shown) + " more", kMuted,
                    kTextSize);
    }
    const std::size_t used = std::min(entries.size(), places);
    return top + static_cast<double>((used + columns - 1) / columns) * kRowHeight + 4;
}

void drawEmpty(SvgCanvas& canvas, const std::string& sentence, double top)
{
    constexpr double kMeasure = 420; // a line of comfortable length
    const auto lines = wrapped(sentence, std::min(kMeasure, canvas.width() - 2 * kEdge), kTextSize);
    double y = (top + canvas.height() - static_cast<double>(lines.size()) * kRowHeight) / 2;
    for (const std::string& line : lines) {
        y += kRowHeight;
        canvas.text(canvas.width() / 2, y, line, kMuted, kTextSize, Anchor::Middle);
    }
}

} // namespace qw::svg
