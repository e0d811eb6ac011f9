#include "report/svg_plot.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "report/plot_reduce.h"
#include "report/svg_frame.h"
#include "report/svg_labels.h"

namespace qw {

using namespace svg;

namespace {
constexpr std::size_t kDirectLabels = 5;   ///< fewer series than this are named beside their ends
constexpr std::size_t kMarkedPoints = 150; ///< a longer series carries a few markers only
constexpr std::size_t kFewMarkers = 8;
constexpr int kLegendRows = 6;

bool isBars(const Series& series)
{
    return series.draw == Series::Draw::Bars;
}

bool hasLine(const Series& series)
{
    return series.draw != Series::Draw::Points && !isBars(series);
}

Paint paintOf(const Series& series)
{
    return series.quiet || series.method.empty() ? kMuted : methodPaint(series.method);
}

/// How many points it is from one marker to the next, 0 without any. Lines carry a few, so that
/// methods are told apart by more than colour.
std::size_t markerDistance(const Series& series)
{
    if (series.draw == Series::Draw::Steps || isBars(series) || series.method.empty()) {
        return series.draw == Series::Draw::Points ? 1 : 0;
    }
    const bool all = series.draw == Series::Draw::Points ||
                     (series.draw != Series::Draw::Line && series.x.size() <= kMarkedPoints);
    return all ? 1 : std::max<std::size_t>(1, series.x.size() / kFewMarkers);
}

std::string hoverText(const PlotData& plot, const Series& series, std::size_t i)
{
    const double step = std::abs(series.y[i]) / 1000;
    std::string text = series.labels.empty() ? series.name : series.labels[i];
    text += "\n" + plot.yLabel + ": " + (step > 0 ? tickLabel(series.y[i], step) : "0");
    if (!series.yError.empty() && series.yError[i] > 0) {
        text += " ± " + tickLabel(series.yError[i], series.yError[i] / 10);
    }
    return text;
}

class PlotPainter
{
public:
    PlotPainter(const PlotData& plot, const SvgOptions& options)
        : m_plot(plot), m_options(options), m_canvas(options.width, options.height)
    {
        for (const Series& series : plot.series) {
            m_series.push_back(thinned(series, static_cast<std::size_t>(2 * options.width)));
        }
    }

    std::string paint()
    {
        double top = drawHeading(m_canvas, m_plot.title, m_plot.apart);
        if (!m_plot.empty.empty()) {
            drawEmpty(m_canvas, m_plot.empty, top);
            return m_canvas.finish(m_plot.title, m_options.standalone);
        }
        m_direct = drawsDirectLabels();
        top = drawLegend(m_canvas, legend(), top + 2, kLegendRows);
        m_canvas.text(kEdge, top + kTextSize, m_plot.yLabel, kMuted, kTextSize);
        layOut(top + kTextSize + 10);
        drawAxes();
        for (std::size_t i = m_series.size(); i-- > 0;) { // the first on top
            drawSeries(m_series[i], i);
        }
        drawEndLabels(m_canvas, endLabels(), m_area, m_labelLeft);
        if (m_plot.labelPoints) {
            drawPointLabels(m_canvas, pointLabels(), obstacles(), m_area);
        }
        return m_canvas.finish(m_plot.title, m_options.standalone);
    }

private:
    bool drawsDirectLabels() const
    {
        constexpr double kLargestShare = 0.4; // of the width, for names beside the plot
        return m_series.size() < kDirectLabels &&
               std::all_of(m_series.begin(), m_series.end(), [&](const Series& series) {
                   return hasLine(series) && !series.x.empty() &&
                          textWidth(series.name, kTextSize) < kLargestShare * m_options.width;
               });
    }

    std::vector<LegendEntry> legend() const
    {
        std::vector<LegendEntry> entries;
        if (!m_direct) {
            for (const Series& series : m_series) {
                entries.push_back({series.name, series.method, dashesOf(series.variant),
                                   hasLine(series), isBars(series) || markerDistance(series) > 0});
            }
        }
        return entries;
    }

    void include(Scale& scale, double value) const
    {
        if (std::isfinite(value) && (!scale.log || value > 0)) {
            scale.low = std::min(scale.low, value);
            scale.high = std::max(scale.high, value);
        }
    }

    void layOut(double top)
    {
        constexpr double kMargin = 0.05;
        m_x = {INFINITY, -INFINITY, m_plot.logX};
        m_y = {INFINITY, -INFINITY, m_plot.logY};
        bool bars = false;
        for (const Series& series : m_series) {
            bars = bars || isBars(series);
            for (std::size_t i = 0; i < series.x.size(); ++i) {
                include(m_x, series.x[i]);
                include(m_y, series.y[i]);
                if (!series.yError.empty() && std::isfinite(series.yError[i])) {
                    include(m_y, series.y[i] - series.yError[i]);
                    include(m_y, series.y[i] + series.yError[i]);
                }
            }
        }
        for (const ReferenceLine& line : m_plot.references) {
            include(m_y, line.y);
        }
        if (bars) {
            include(m_y, 0);
            m_x.low -= 0.6;
            m_x.high += 0.6;
        }
        settle(m_x, bars ? 0 : 0.03);
        const bool fromZero = bars && m_y.low == 0;
        settle(m_y, kMargin);
        if (fromZero) {
            m_y.low = 0;
        }
        m_area = {kEdge, top, m_options.width - kEdge, m_options.height - 44};
        constexpr double kTickDistance = 44;
        m_yTicks = m_y.ticks(static_cast<int>((m_area.bottom - m_area.top) / kTickDistance));
        double widest = 0;
        for (const PlotTick& tick : m_yTicks.major) {
            widest = std::max(widest, textWidth(tick.label, kSmallSize));
        }
        m_area.left += widest + 8;
        double names = 0;
        if (m_direct) {
            for (const Series& series : m_series) {
                names = std::max(names, textWidth(series.name, kTextSize));
            }
        }
        for (const ReferenceLine& line : m_plot.references) {
            names = std::max(names, textWidth(line.name, kTextSize));
        }
        m_labelLeft = names > 0 ? m_area.right - names : m_area.right;
        m_area.right = names > 0 ? m_labelLeft - 18 : m_area.right;
        m_x.from = m_area.left;
        m_x.to = m_area.right;
        m_y.from = m_area.bottom;
        m_y.to = m_area.top;
    }

    void drawAxes()
    {
        for (const PlotTick& tick : m_yTicks.major) {
            const double y = m_y.at(tick.position);
            m_canvas.line(m_area.left, y, m_area.right, y, kGridInk, 1);
            m_canvas.text(m_area.left - 6, y + 4, tick.label, kMuted, kSmallSize, Anchor::End);
        }
        for (const double value : m_yTicks.minor) {
            m_canvas.line(m_area.left - 3, m_y.at(value), m_area.left, m_y.at(value), kMuted, 0.7);
        }
        m_canvas.line(m_area.left, m_area.bottom, m_area.right, m_area.bottom, kMuted, 1);
        constexpr double kTickDistance = 80;
        const AxisTicks numbers =
            m_x.ticks(static_cast<int>((m_area.right - m_area.left) / kTickDistance));
        drawXTicks(m_plot.xTicks.empty() ? numbers.major : m_plot.xTicks);
        m_canvas.text((m_area.left + m_area.right) / 2, m_options.height - 10, m_plot.xLabel,
                      kMuted, kTextSize, Anchor::Middle);
        for (const ReferenceLine& line : m_plot.references) {
            m_canvas.line(m_area.left, m_y.at(line.y), m_area.right, m_y.at(line.y), kInk, 1,
                          "5 4");
        }
    }

    /// Labels that would touch the one before are left out, their marks stay.
    void drawXTicks(const std::vector<PlotTick>& ticks)
    {
        constexpr double kGap = 6;
        const double slot = (m_area.right - m_area.left) / static_cast<double>(ticks.size() + 1);
        double taken = 0;
        for (const PlotTick& tick : ticks) {
            const double x = m_x.at(tick.position);
            m_canvas.line(x, m_area.bottom, x, m_area.bottom + 4, kMuted, 1);
            const std::string label = elided(tick.label, std::max(slot, 60.), kSmallSize);
            const double half = textWidth(label, kSmallSize) / 2;
            if (x - half > taken + kGap && x + half < m_options.width) {
                m_canvas.text(x, m_area.bottom + 17, label, kMuted, kSmallSize, Anchor::Middle);
                taken = x + half;
            }
        }
    }

    bool drawable(const Series& series, std::size_t i) const
    {
        return std::isfinite(series.x[i]) && std::isfinite(series.y[i]) &&
               (!m_plot.logY || series.y[i] > 0) && (!m_plot.logX || series.x[i] > 0);
    }

    void drawSeries(const Series& series, std::size_t index)
    {
        const Paint paint = paintOf(series);
        if (hasLine(series)) {
            std::string path;
            bool pen = false;
            double last = 0;
            for (std::size_t i = 0; i < series.x.size(); ++i) {
                if (!drawable(series, i)) {
                    pen = false;
                    continue;
                }
                const std::string x = coordinate(m_x.at(series.x[i]));
                const double y = m_y.at(series.y[i]);
                if (pen && series.draw == Series::Draw::Steps) {
                    path += "L" + x + " " + coordinate(last);
                }
                path += (pen ? "L" : "M") + x + " " + coordinate(y);
                pen = true;
                last = y;
            }
            if (!path.empty()) {
                const bool front = series.draw == Series::Draw::Steps;
                if (front) { // holds for all that is larger: a front of one point is seen so
                    path += "L" + coordinate(m_area.right) + " " + coordinate(last);
                }
                m_canvas.stroke(path, paint, front ? 1.2 : 1.8, dashesOf(series.variant));
            }
        }
        const std::size_t every = isBars(series) ? 1 : markerDistance(series);
        // Lines that run together carry their markers at different places.
        const std::size_t first = every > 1 ? every * (2 * index + 1) / 5 % every : 0;
        for (std::size_t i = first; every > 0 && i < series.x.size(); i += every) {
            if (drawable(series, i)) {
                drawPoint(series, i, paint);
            }
        }
    }

    void drawPoint(const Series& series, std::size_t i, const Paint& paint)
    {
        const double x = m_x.at(series.x[i]);
        const double y = m_y.at(series.y[i]);
        if (isBars(series)) {
            const double room = (m_area.right - m_area.left) / (m_x.high - m_x.low);
            const double width = std::max(1., room * 0.8);
            const double zero = m_y.at(0);
            m_canvas.beginGroup(hoverText(m_plot, series, i));
            m_canvas.rectangle(x - width / 2, std::min(y, zero), width, std::abs(y - zero), paint);
            m_canvas.endGroup();
            return;
        }
        m_canvas.beginGroup(hoverText(m_plot, series, i));
        if (!series.yError.empty() && std::isfinite(series.yError[i])) {
            const auto [bottom, end] = errorEnds(series, i);
            m_canvas.line(x, bottom, x, end, paint, 1);
            m_canvas.line(x - 3, bottom, x + 3, bottom, paint, 1);
            m_canvas.line(x - 3, end, x + 3, end, paint, 1);
        }
        m_canvas.marker(x, y, methodStyle(series.method), paint, kMarkerRadius);
        m_canvas.endGroup();
    }

    /// Pixels of the lower and the upper end.
    std::pair<double, double> errorEnds(const Series& series, std::size_t i) const
    {
        const double low = series.y[i] - series.yError[i];
        return {m_plot.logY && low <= 0 ? m_area.bottom : m_y.at(low),
                m_y.at(series.y[i] + series.yError[i])};
    }

    /// What labels of points must not cover: the front, error bars, reference lines.
    std::vector<Box> obstacles() const
    {
        std::vector<Box> boxes;
        const auto add = [&](double x1, double y1, double x2, double y2) {
            boxes.push_back({std::min(x1, x2) - 1, std::min(y1, y2) - 1, std::max(x1, x2) + 1,
                             std::max(y1, y2) + 1});
        };
        for (const ReferenceLine& line : m_plot.references) {
            add(m_area.left, m_y.at(line.y), m_area.right, m_y.at(line.y));
        }
        for (const Series& series : m_series) {
            for (std::size_t i = 0; i < series.x.size(); ++i) {
                if (!drawable(series, i)) {
                    continue;
                }
                const double x = m_x.at(series.x[i]);
                if (!series.yError.empty() && std::isfinite(series.yError[i])) {
                    const auto [bottom, end] = errorEnds(series, i);
                    add(x, bottom, x, end);
                }
                if (series.draw == Series::Draw::Steps && i > 0 && drawable(series, i - 1)) {
                    const double before = m_y.at(series.y[i - 1]);
                    add(m_x.at(series.x[i - 1]), before, x, before);
                    add(x, before, x, m_y.at(series.y[i]));
                }
            }
        }
        return boxes;
    }

    std::vector<EndLabel> endLabels() const
    {
        std::vector<EndLabel> labels;
        for (const ReferenceLine& line : m_plot.references) {
            labels.push_back({line.name, m_area.right, m_y.at(line.y), kInk});
        }
        for (const Series& series : m_series) {
            for (std::size_t i = series.x.size(); m_direct && i-- > 0;) {
                if (drawable(series, i)) {
                    const Paint paint = paintOf(series);
                    labels.push_back(
                        {series.name, m_x.at(series.x[i]), m_y.at(series.y[i]), paint});
                    break;
                }
            }
        }
        return labels;
    }

    /// Points on a front first: they are what one looks for.
    std::vector<PointLabel> pointLabels() const
    {
        std::set<std::string> onFront;
        for (const Series& series : m_series) {
            if (series.draw == Series::Draw::Steps) {
                onFront.insert(series.keys.begin(), series.keys.end());
            }
        }
        std::vector<PointLabel> labels;
        for (const Series& series : m_series) {
            for (std::size_t i = 0; markerDistance(series) == 1 && i < series.x.size(); ++i) {
                if (drawable(series, i) && !series.labels.empty()) {
                    const bool first = !series.keys.empty() && onFront.count(series.keys[i]) > 0;
                    labels.push_back(
                        {series.labels[i], m_x.at(series.x[i]), m_y.at(series.y[i]), first});
                }
            }
        }
        std::stable_partition(labels.begin(), labels.end(),
                              [](const PointLabel& label) { return label.important; });
        return labels;
    }

    const PlotData& m_plot;
    const SvgOptions& m_options;
    SvgCanvas m_canvas;
    std::vector<Series> m_series;
    Scale m_x;
    Scale m_y;
    AxisTicks m_yTicks;
    Box m_area;
    double m_labelLeft = 0;
    bool m_direct = false;
};
} // namespace

std::string toSvg(const PlotData& plot, const SvgOptions& options)
{
    return PlotPainter(plot, options).paint();
}

} // namespace qw
