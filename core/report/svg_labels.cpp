#include "report/svg_labels.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace qw::svg {

namespace {
constexpr double kLineHeight = 15;

/// Where the text may stand: its box and its place.
struct Candidate {
    Box box;
    double x;
    double y;
    Anchor anchor;
};

std::vector<Candidate> candidates(const PointLabel& label)
{
    constexpr double kOff = kMarkerRadius + 4;
    const double width = textWidth(label.text, kSmallSize);
    const double up = kSmallSize * 0.8;
    const auto at = [&](double left, double baseline, double x, Anchor anchor) {
        return Candidate{{left, baseline - up, left + width, baseline + 3}, x, baseline, anchor};
    };
    const double right = label.x + kOff;
    const double left = label.x - kOff;
    return {at(right, label.y + 4, right, Anchor::Start),
            at(left - width, label.y + 4, left, Anchor::End),
            at(label.x - width / 2, label.y - kOff - 2, label.x, Anchor::Middle),
            at(label.x - width / 2, label.y + kOff + up + 2, label.x, Anchor::Middle),
            at(right - 2, label.y - kOff + 2, right - 2, Anchor::Start),
            at(right - 2, label.y + kOff + up - 2, right - 2, Anchor::Start)};
}
} // namespace

std::vector<double> spread(const std::vector<double>& wanted, double distance, double top,
                           double bottom)
{
    std::vector<std::size_t> order(wanted.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return wanted[a] < wanted[b]; });
    std::vector<double> placed = wanted;
    double least = top;
    for (const std::size_t i : order) { // down from the top, then up from the bottom
        placed[i] = std::max(placed[i], least);
        least = placed[i] + distance;
    }
    double most = bottom;
    for (auto i = order.rbegin(); i != order.rend(); ++i) {
        placed[*i] = std::min(placed[*i], most);
        most = placed[*i] - distance;
    }
    return placed;
}

void drawEndLabels(SvgCanvas& canvas, const std::vector<EndLabel>& labels, const Box& area,
                   double left)
{
    constexpr double kMoved = 3;
    std::vector<double> wanted;
    for (const EndLabel& label : labels) {
        wanted.push_back(label.y);
    }
    const auto placed = spread(wanted, kLineHeight, area.top, area.bottom);
    for (std::size_t i = 0; i < labels.size(); ++i) {
        const EndLabel& label = labels[i];
        const double edge = area.right + 2;
        if (edge - label.x > 2 * kMarkerRadius + 4) {
            canvas.line(label.x + kMarkerRadius + 3, label.y, edge, label.y, label.paint, 0.8,
                        "1 3");
        }
        if (std::abs(placed[i] - label.y) > kMoved) {
            canvas.line(edge, label.y, left - 4, placed[i], label.paint, 0.8);
        }
        canvas.text(left, placed[i] + 4, label.text, kInk, kTextSize);
    }
}

void drawPointLabels(SvgCanvas& canvas, const std::vector<PointLabel>& labels,
                     const std::vector<Box>& obstacles, const Box& area)
{
    constexpr double kAround = kMarkerRadius + 1;
    std::vector<Box> taken = obstacles;
    for (const PointLabel& label : labels) {
        taken.push_back(
            {label.x - kAround, label.y - kAround, label.x + kAround, label.y + kAround});
    }
    for (const PointLabel& label : labels) {
        for (const Candidate& candidate : candidates(label)) {
            const bool free = std::none_of(taken.begin(), taken.end(), [&](const Box& box) {
                return box.overlaps(candidate.box);
            });
            if (free && area.contains(candidate.box)) {
                canvas.text(candidate.x, candidate.y, label.text, label.important ? kInk : kMuted,
                            kSmallSize, candidate.anchor);
                taken.push_back(candidate.box);
                break;
            }
        }
    }
}

} // namespace qw::svg
