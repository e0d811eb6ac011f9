#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "report/method_style.h"

namespace qw {

/// User text made safe between tags and inside quoted attributes of HTML and XML: markup characters
/// become entities, control characters that XML forbids and broken UTF-8 become U+FFFD.
std::string escapeMarkup(std::string_view text);

/// About how wide a sans-serif font writes this, in pixels; rather too much than too little.
double textWidth(std::string_view text, double fontSize);

/// Shortened in the middle until it fits. @return the text itself if it fits
std::string elided(const std::string& text, double width, double fontSize);

/// A colour with a name, so that a style sheet can change it with the theme; the plain colour is
/// written beside it for viewers that know no CSS variables.
struct Paint {
    std::string name;
    std::uint32_t colour = 0; ///< 0xRRGGBB on a light ground
};
extern const Paint kInk, kMuted, kGridInk, kPaper;
Paint methodPaint(const std::string& method);
Paint plainPaint(std::uint32_t colour); ///< the same in every theme

/// The CSS that gives paints their colours, light and dark; once a page or in each file.
std::string svgStyle();

/// "#0072b2"
std::string hexColour(std::uint32_t colour);

enum class Anchor { Start, Middle, End };

/// Writes SVG elements.
class SvgCanvas
{
public:
    SvgCanvas(double width, double height) : m_width(width), m_height(height) {}
    double width() const { return m_width; }
    double height() const { return m_height; }
    void setHeight(double height) { m_height = height; }

    void line(double x1, double y1, double x2, double y2, const Paint& paint, double strokeWidth,
              const std::string& dashes = {});
    /// @param path  of SVG, "M0 0L1 1"
    void stroke(const std::string& path, const Paint& paint, double strokeWidth,
                const std::string& dashes = {});
    void rectangle(double x, double y, double w, double h, const Paint& fill);
    /// @param onGround  covers what is below, so that text over lines can be read
    void text(double x, double y, const std::string& text, const Paint& paint, double fontSize,
              Anchor anchor = Anchor::Start, bool bold = false, bool onGround = false);
    void marker(double x, double y, const MethodStyle& style, const Paint& paint, double radius);
    /// What is drawn until endGroup() shows @p title on hover.
    void beginGroup(const std::string& title);
    void endGroup();

    /// The element. @param title  for screen readers
    /// @param standalone  a file of its own: with the style and a ground
    std::string finish(const std::string& title, bool standalone) const;

private:
    double m_width;
    double m_height;
    std::string m_body;
};

/// "12.5": two decimals at most, a point in every locale.
std::string coordinate(double value);

} // namespace qw
