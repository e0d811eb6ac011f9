#include "report/svg_plot.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "report/svg_frame.h"

namespace qw {

using namespace svg;

namespace {
constexpr int kLegendRows = 3;

class ParallelPainter
{
public:
    ParallelPainter(const ParallelPlot& plot, const SvgOptions& options)
        : m_plot(plot), m_options(options), m_canvas(options.width, options.height)
    {
    }

    std::string paint()
    {
        double top = drawHeading(m_canvas, m_plot.title, m_plot.apart);
        const bool nothing = m_plot.axes.empty() && m_plot.empty.empty();
        if (m_plot.axes.empty()) {
            drawEmpty(m_canvas,
                      nothing ? "These runs do not differ in anything drawn here." : m_plot.empty,
                      top);
            return m_canvas.finish(m_plot.title, m_options.standalone);
        }
        top = drawLegend(m_canvas, methods(), top + 2, kLegendRows);
        layOut(top);
        for (const ParallelLine& line : m_plot.lines) {
            drawLine(line);
        }
        for (std::size_t i = 0; i < m_plot.axes.size(); ++i) {
            drawAxis(i);
        }
        return m_canvas.finish(m_plot.title, m_options.standalone);
    }

private:
    std::vector<LegendEntry> methods() const
    {
        std::vector<LegendEntry> entries;
        std::set<std::string> seen;
        for (const ParallelLine& line : m_plot.lines) {
            if (seen.insert(line.method).second) {
                entries.push_back({methodStyle(line.method).title, line.method, "", true, true});
            }
        }
        return entries;
    }

    /// Names of axes stand in two lines at most; the room between two axes is theirs.
    void layOut(double top)
    {
        constexpr std::size_t kNameLines = 2;
        constexpr double kWidestSlot = 150;
        const auto axes = static_cast<double>(m_plot.axes.size());
        m_slot = std::min(kWidestSlot, (m_options.width - 2 * kEdge) / axes);
        std::size_t lines = 1;
        for (const ParallelAxis& axis : m_plot.axes) {
            m_names.push_back(wrapped(axis.label, m_slot - 10, kSmallSize));
            m_names.back().resize(std::min(m_names.back().size(), kNameLines));
            lines = std::max(lines, m_names.back().size());
        }
        m_top = top + static_cast<double>(lines) * 14 + 14;
        m_bottom = m_options.height - 24;
        for (const ParallelAxis& axis : m_plot.axes) {
            Scale scale{axis.low, axis.high, axis.log, m_bottom, m_top};
            if (scale.low == scale.high) {
                settle(scale, 0);
            }
            m_scales.push_back(scale);
        }
    }

    double x(std::size_t axis) const { return kEdge + (static_cast<double>(axis) + 0.5) * m_slot; }

    void drawLine(const ParallelLine& line)
    {
        std::string path;
        bool pen = false;
        for (std::size_t i = 0; i < line.values.size(); ++i) {
            if (!std::isfinite(line.values[i])) {
                pen = false;
                continue;
            }
            path += (pen ? "L" : "M") + coordinate(x(i)) + " " +
                    coordinate(m_scales[i].at(line.values[i]));
            pen = true;
        }
        if (path.empty()) {
            return;
        }
        const Paint paint = methodPaint(line.method);
        m_canvas.beginGroup(line.name);
        m_canvas.stroke(path, paint, 1.4);
        for (std::size_t i = 0; i < line.values.size(); ++i) {
            if (std::isfinite(line.values[i])) {
                m_canvas.marker(x(i), m_scales[i].at(line.values[i]), methodStyle(line.method),
                                paint, 3);
            }
        }
        m_canvas.endGroup();
    }

    void drawAxis(std::size_t i)
    {
        const ParallelAxis& axis = m_plot.axes[i];
        m_canvas.line(x(i), m_top, x(i), m_bottom, kMuted, 1);
        double y = m_top - 12 - 14 * static_cast<double>(m_names[i].size() - 1);
        for (const std::string& name : m_names[i]) {
            m_canvas.text(x(i), y, name, kInk, kSmallSize, Anchor::Middle, true);
            y += 14;
        }
        constexpr int kTicks = 4;
        for (const PlotTick& tick :
             axis.ticks.empty() ? m_scales[i].ticks(kTicks).major : axis.ticks) {
            drawValue(i, tick.position, tick.label);
        }
    }

    void drawValue(std::size_t i, double value, const std::string& label)
    {
        const double y = m_scales[i].at(value);
        m_canvas.line(x(i) - 3, y, x(i) + 3, y, kMuted, 1);
        m_canvas.text(x(i) + 8, y + 4, elided(label, m_slot - 14, kSmallSize), kMuted, kSmallSize,
                      Anchor::Start, false, true);
    }

    const ParallelPlot& m_plot;
    const SvgOptions& m_options;
    SvgCanvas m_canvas;
    std::vector<std::vector<std::string>> m_names;
    std::vector<Scale> m_scales;
    double m_slot = 0;
    double m_top = 0;
    double m_bottom = 0;
};
} // namespace

std::string toSvg(const ParallelPlot& plot, const SvgOptions& options)
{
    return ParallelPainter(plot, options).paint();
}

} // namespace qw
