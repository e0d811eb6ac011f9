#include "report/label_places.h"

#include <algorithm>
#include <array>

namespace qw {

namespace {
/// The nearest places first.
std::array<LabelPlace, 6> candidates(const PointText& text, double marker)
{
    using Side = LabelPlace::Side;
    const double away = marker + 4;
    const auto at = [&](double left, double top, Side side) {
        return LabelPlace{{left, top, left + text.width, top + text.height}, side};
    };
    const double right = text.x + away;
    const double middle = text.x - text.width / 2;
    const double beside = text.y - text.height / 2;
    const double above = text.y - away - text.height;
    const double below = text.y + away;
    return {
        at(right, beside, Side::Right),        at(text.x - away - text.width, beside, Side::Left),
        at(middle, above, Side::Middle),       at(middle, below, Side::Middle),
        at(right - 2, above + 4, Side::Right), at(right - 2, below - 4, Side::Right)};
}
} // namespace

std::vector<std::optional<LabelPlace>> placeBeside(const std::vector<PointText>& texts,
                                                   double marker, std::vector<Box> obstacles,
                                                   const Box& area)
{
    const double around = marker + 1;
    for (const PointText& text : texts) {
        obstacles.push_back({text.x - around, text.y - around, text.x + around, text.y + around});
    }
    std::vector<std::optional<LabelPlace>> places;
    for (const PointText& text : texts) {
        const auto tried = candidates(text, marker);
        const auto found = std::find_if(tried.begin(), tried.end(), [&](const LabelPlace& place) {
            return area.contains(place.box) &&
                   std::none_of(obstacles.begin(), obstacles.end(),
                                [&](const Box& box) { return box.overlaps(place.box); });
        });
        if (found == tried.end()) {
            places.emplace_back();
        } else {
            places.emplace_back(*found);
            obstacles.push_back(found->box);
        }
    }
    return places;
}

} // namespace qw
