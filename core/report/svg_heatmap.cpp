#include "report/svg_plot.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "report/colour_map.h"
#include "report/number_format.h"
#include "report/plot_reduce.h"
#include "report/svg_frame.h"

namespace qw {

using namespace svg;

namespace {
constexpr std::int64_t kMostCells = 128; ///< along one side; more is thinned
constexpr double kLargestCell = 30;      ///< height in pixels
constexpr double kNamesHeight = 22;

/// Lowest and highest value; for signed maps the same distance from zero.
std::pair<double, double> range(const Heatmap& map)
{
    double low = INFINITY;
    double high = -INFINITY;
    for (const double value : map.values) {
        if (std::isfinite(value)) {
            low = std::min(low, value);
            high = std::max(high, value);
        }
    }
    if (low > high) {
        return {0, 1};
    }
    if (map.diverging) {
        high = std::max(std::abs(low), std::abs(high));
        low = -high;
    }
    return low == high ? std::pair(low - 0.5, high + 0.5) : std::pair(low, high);
}

std::string nameOf(const std::vector<std::string>& names, std::int64_t i)
{
    return names.empty() ? std::to_string(i) : names[static_cast<std::size_t>(i)];
}

class MapPainter
{
public:
    MapPainter(const Heatmap& map, const SvgOptions& options)
        : m_map(thinned(map, kMostCells, kMostCells)), m_options(options),
          m_canvas(options.width, options.height)
    {
        std::tie(m_low, m_high) = range(m_map);
    }

    std::string paint()
    {
        const double top = drawHeading(m_canvas, m_map.title, m_map.apart);
        if (!m_map.empty.empty() || m_map.values.empty()) {
            drawEmpty(m_canvas, m_map.empty, top);
            return m_canvas.finish(m_map.title, m_options.standalone);
        }
        layOut(top);
        drawNames();
        for (std::int64_t row = 0; row < m_map.rows; ++row) {
            for (std::int64_t col = 0; col < m_map.cols; ++col) {
                drawCell(row, col);
            }
        }
        drawBar();
        return m_canvas.finish(m_map.title, m_options.standalone);
    }

private:
    std::uint32_t colourOf(double value) const
    {
        const double share = (value - m_low) / (m_high - m_low);
        return m_map.diverging ? divergingColour(2 * share - 1) : sequentialColour(share);
    }

    /// Four digits in all: enough beside a colour.
    std::string shortNumber(double value) const
    {
        if (!std::isfinite(value)) {
            return kMissingText;
        }
        return tickLabel(value, std::max(std::abs(m_low), std::abs(m_high)) / 500);
    }

    void layOut(double top)
    {
        constexpr double kBarWidth = 14;
        double names = 0;
        for (std::int64_t row = 0; row < m_map.rows; ++row) {
            names = std::max(names, textWidth(nameOf(m_map.rowNames, row), kSmallSize));
        }
        Scale values{m_low, m_high};
        m_barTicks = values.ticks(4).major;
        double barNames = 0;
        for (const PlotTick& tick : m_barTicks) {
            barNames = std::max(barNames, textWidth(tick.label, kSmallSize));
        }
        m_area.top = top + kTextSize + 10;
        m_canvas.text(kEdge, top + kTextSize, m_map.yLabel, kMuted, kTextSize);
        m_canvas.text(m_options.width - kEdge, top + kTextSize, m_map.valueLabel, kMuted, kTextSize,
                      Anchor::End);
        m_area.left = kEdge + names + 8;
        m_bar.right = m_options.width - kEdge - barNames - 8;
        m_bar.left = m_bar.right - kBarWidth;
        m_area.right = m_bar.left - 24;
        const double room = m_options.height - m_area.top - kNamesHeight - kTextSize - 16;
        const double cell = std::min(kLargestCell, room / static_cast<double>(m_map.rows));
        m_area.bottom = m_area.top + cell * static_cast<double>(m_map.rows);
        m_bar.top = m_area.top;
        constexpr double kShortestBar = 90;
        m_bar.bottom = std::max(m_area.bottom, m_area.top + kShortestBar);
        m_canvas.setHeight(
            std::max(m_area.bottom + kNamesHeight + kTextSize + 16, m_bar.bottom + kEdge));
        m_cellWidth = (m_area.right - m_area.left) / static_cast<double>(m_map.cols);
        m_cellHeight = cell;
    }

    void drawNames()
    {
        double taken = -INFINITY;
        for (std::int64_t row = 0; row < m_map.rows; ++row) {
            const double y = m_area.top + (static_cast<double>(row) + 0.5) * m_cellHeight;
            if (y - taken >= kSmallSize + 1) {
                m_canvas.text(m_area.left - 6, y + 4, nameOf(m_map.rowNames, row), kMuted,
                              kSmallSize, Anchor::End);
                taken = y;
            }
        }
        taken = -INFINITY;
        for (std::int64_t col = 0; col < m_map.cols; ++col) {
            const double x = m_area.left + (static_cast<double>(col) + 0.5) * m_cellWidth;
            const std::string name =
                elided(nameOf(m_map.columnNames, col), std::max(m_cellWidth - 4, 50.), kSmallSize);
            const double half = textWidth(name, kSmallSize) / 2;
            if (x - half > taken + 4) {
                m_canvas.text(x, m_area.bottom + 15, name, kMuted, kSmallSize, Anchor::Middle);
                taken = x + half;
            }
        }
        m_canvas.text((m_area.left + m_area.right) / 2,
                      m_area.bottom + kNamesHeight + kTextSize + 2, m_map.xLabel, kMuted, kTextSize,
                      Anchor::Middle);
    }

    void drawCell(std::int64_t row, std::int64_t col)
    {
        const double value = m_map.values[static_cast<std::size_t>(row * m_map.cols + col)];
        const double x = m_area.left + static_cast<double>(col) * m_cellWidth;
        const double y = m_area.top + static_cast<double>(row) * m_cellHeight;
        const double gap = m_cellHeight > 8 && m_cellWidth > 8 ? 1 : 0;
        const std::uint32_t colour = colourOf(value);
        const std::string text = shortNumber(value);
        m_canvas.beginGroup(nameOf(m_map.rowNames, row) + " · " + nameOf(m_map.columnNames, col) +
                            "\n" + m_map.valueLabel + ": " + text);
        m_canvas.rectangle(x, y, m_cellWidth - gap, m_cellHeight - gap, plainPaint(colour));
        if (m_cellHeight >= kSmallSize + 5 && m_cellWidth > textWidth(text, kSmallSize) + 8) {
            m_canvas.text(x + m_cellWidth / 2, y + m_cellHeight / 2 + 4, text,
                          plainPaint(wantsDarkText(colour) ? 0x000000 : 0xFFFFFF), kSmallSize,
                          Anchor::Middle);
        }
        m_canvas.endGroup();
    }

    void drawBar()
    {
        constexpr int kSteps = 64;
        const Scale scale{m_low, m_high, false, m_bar.bottom, m_bar.top};
        const double height = (m_bar.bottom - m_bar.top) / kSteps;
        for (int i = 0; i < kSteps; ++i) {
            const double value = m_low + (m_high - m_low) * (i + 0.5) / kSteps;
            m_canvas.rectangle(m_bar.left, m_bar.bottom - (i + 1) * height,
                               m_bar.right - m_bar.left, height + 0.5, plainPaint(colourOf(value)));
        }
        for (const PlotTick& tick : m_barTicks) {
            const double y = scale.at(tick.position);
            m_canvas.line(m_bar.right, y, m_bar.right + 4, y, kMuted, 1);
            m_canvas.text(m_bar.right + 7, y + 4, tick.label, kMuted, kSmallSize);
        }
    }

    const Heatmap m_map;
    const SvgOptions& m_options;
    SvgCanvas m_canvas;
    Box m_area;
    Box m_bar;
    std::vector<PlotTick> m_barTicks;
    double m_low = 0;
    double m_high = 1;
    double m_cellWidth = 0;
    double m_cellHeight = 0;
};
} // namespace

std::string toSvg(const Heatmap& map, const SvgOptions& options)
{
    return MapPainter(map, options).paint();
}

} // namespace qw
