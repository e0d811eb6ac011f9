#pragma once

#include <optional>
#include <vector>

/// Where writing beside points may stand so that nothing covers anything; for SVG and the window.
namespace qw {

/// A rectangle in pixels, y downwards.
struct Box {
    double left = 0, top = 0, right = 0, bottom = 0;
    bool overlaps(const Box& other) const
    {
        return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
    }
    bool contains(const Box& other) const
    {
        return left <= other.left && right >= other.right && top <= other.top &&
               bottom >= other.bottom;
    }
};

/// Writing of a given size that belongs to a point.
struct PointText {
    double x = 0;
    double y = 0;
    double width = 0;
    double height = 0;
};

struct LabelPlace {
    enum class Side { Right, Left, Middle }; ///< of the point; Middle: above or below it
    Box box;
    Side side = Side::Right;
};

/// In order, a place for each text to the right, left, above or below its marker of radius
/// @p marker; none where nothing is free of markers, earlier texts and @p obstacles inside @p area.
std::vector<std::optional<LabelPlace>> placeBeside(const std::vector<PointText>& texts,
                                                   double marker, std::vector<Box> obstacles,
                                                   const Box& area);

} // namespace qw
