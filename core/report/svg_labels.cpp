#include "report/svg_labels.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace qw::svg {

namespace {
constexpr double kLineHeight = 15;
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
    constexpr double kDescent = 3;
    std::vector<PointText> texts;
    for (const PointLabel& label : labels) {
        texts.push_back(
            {label.x, label.y, textWidth(label.text, kSmallSize), kSmallSize * 0.8 + kDescent});
    }
    const auto places = placeBeside(texts, kMarkerRadius, obstacles, area);
    for (std::size_t i = 0; i < labels.size(); ++i) {
        if (!places[i]) {
            continue;
        }
        const Box& box = places[i]->box;
        double x = (box.left + box.right) / 2;
        Anchor anchor = Anchor::Middle;
        if (places[i]->side == LabelPlace::Side::Right) {
            x = box.left;
            anchor = Anchor::Start;
        } else if (places[i]->side == LabelPlace::Side::Left) {
            x = box.right;
            anchor = Anchor::End;
        }
        canvas.text(x, box.bottom - kDescent, labels[i].text, labels[i].important ? kInk : kMuted,
                    kSmallSize, anchor);
    }
}

} // namespace qw::svg
