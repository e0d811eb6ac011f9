#include "widgets/series_plot.h"

#include <algorithm>
#include <cmath>

#include "widgets/qcustomplot_include.h"
#include "widgets/series_style.h"

// How keys choose a point of SeriesPlot.
namespace qw {

std::vector<SeriesPlot::Hit> SeriesPlot::walkable() const
{
    std::vector<Hit> hits;
    for (std::size_t i = 0; i < m_data.series.size(); ++i) {
        const Series& series = m_data.series[i];
        const bool points =
            series.draw == Series::Draw::Bars || series.draw == Series::Draw::Points;
        const bool keys = !series.keys.empty() && series.draw != Series::Draw::Steps;
        if (!isShown(i) || !(points || keys)) {
            continue; // steps repeat the points they join
        }
        for (std::size_t p = 0; p < series.x.size(); ++p) {
            if (std::isfinite(series.y[p]) && (!m_data.logX || series.x[p] > 0) &&
                (!m_data.logY || series.y[p] > 0)) {
                hits.push_back({i, p});
            }
        }
    }
    std::stable_sort(hits.begin(), hits.end(), [this](const Hit& a, const Hit& b) {
        return m_data.series[a.series].x[a.point] < m_data.series[b.series].x[b.point];
    });
    return hits;
}

const std::string& SeriesPlot::keyOf(const Hit& hit) const
{
    static const std::string kNone;
    const std::vector<std::string>& keys = m_data.series[hit.series].keys;
    return hit.point < keys.size() ? keys[hit.point] : kNone;
}

std::optional<SeriesPlot::Hit> SeriesPlot::withKey(const std::string& key) const
{
    const std::vector<Hit> hits = key.empty() ? std::vector<Hit>() : walkable();
    const auto found =
        std::find_if(hits.begin(), hits.end(), [&](const Hit& hit) { return keyOf(hit) == key; });
    return found != hits.end() ? std::optional(*found) : std::nullopt;
}

std::optional<SeriesPlot::Hit> SeriesPlot::firstPoint() const
{
    for (const std::string& key : m_highlighted) {
        if (const auto hit = withKey(key)) {
            return hit;
        }
    }
    const std::vector<Hit> hits = walkable();
    const auto seen = std::find_if(hits.begin(), hits.end(), [this](const Hit& hit) {
        const Series& series = m_data.series[hit.series];
        return plot()->xAxis->range().contains(series.x[hit.point]) &&
               plot()->yAxis->range().contains(series.y[hit.point]);
    });
    return seen != hits.end() ? std::optional(*seen)
           : hits.empty()     ? std::nullopt
                              : std::optional(hits.front());
}

std::optional<SeriesPlot::Hit> SeriesPlot::neighbour(const Hit& from, int arrow) const
{
    const bool sideways = arrow == Qt::Key_Left || arrow == Qt::Key_Right;
    const bool scattered = m_data.series[from.series].draw == Series::Draw::Points;
    // Up means higher among points, and the line before among lines, as their names are listed.
    const bool on = arrow == Qt::Key_Right || arrow == (scattered ? Qt::Key_Up : Qt::Key_Down);
    const auto x = [this](const Hit& hit) { return m_data.series[hit.series].x[hit.point]; };
    const auto y = [this](const Hit& hit) { return m_data.series[hit.series].y[hit.point]; };
    std::vector<Hit> hits = walkable();
    if (!scattered && !sideways) { // the nearest point of the next line
        std::optional<Hit> best;
        for (const Hit& hit : hits) {
            const bool beyond = on ? hit.series > from.series : hit.series < from.series;
            const bool closer = best && hit.series == best->series &&
                                std::abs(x(hit) - x(from)) < std::abs(x(*best) - x(from));
            const bool before =
                !best || (on ? hit.series < best->series : hit.series > best->series);
            if (beyond && (before || closer)) {
                best = hit;
            }
        }
        return best;
    }
    if (!scattered) { // along its own line
        hits.erase(std::remove_if(hits.begin(), hits.end(),
                                  [&](const Hit& hit) { return hit.series != from.series; }),
                   hits.end());
    } else if (!sideways) {
        std::stable_sort(hits.begin(), hits.end(),
                         [&](const Hit& a, const Hit& b) { return y(a) < y(b); });
    }
    const auto at = std::find(hits.begin(), hits.end(), from);
    if (at == hits.end() || (on ? at + 1 == hits.end() : at == hits.begin())) {
        return std::nullopt;
    }
    return on ? *(at + 1) : *(at - 1);
}

bool SeriesPlot::moveCursor(int arrow)
{
    if (arrow < Qt::Key_Left || arrow > Qt::Key_Down || walkable().empty()) {
        return false;
    }
    if (m_cursor && !isShown(m_cursor->series)) {
        m_cursor.reset();
    }
    const auto next = m_cursor ? neighbour(*m_cursor, arrow) : firstPoint();
    if (next) {
        m_cursor = next;
        reveal(*next);
        drawCursor();
        const Series& series = m_data.series[next->series];
        const QPointF place(plot()->xAxis->coordToPixel(series.x[next->point]),
                            plot()->yAxis->coordToPixel(series.y[next->point]));
        showTip(place.toPoint(), describe(*next));
    }
    return true;
}

bool SeriesPlot::pick()
{
    if (!m_cursor || keyOf(*m_cursor).empty()) {
        return false;
    }
    Q_EMIT pointClicked(QString::fromStdString(keyOf(*m_cursor)));
    return true;
}

void SeriesPlot::reveal(const Hit& hit)
{
    const Series& series = m_data.series[hit.series];
    const auto show = [](QCPAxis& axis, double value) {
        const QCPRange range = axis.range();
        if (range.contains(value)) {
            return;
        }
        if (axis.scaleType() == QCPAxis::stLogarithmic) {
            const double half = std::sqrt(range.upper / range.lower);
            axis.setRange(value / half, value * half);
        } else {
            axis.setRange(value - range.size() / 2, value + range.size() / 2);
        }
    };
    show(*plot()->xAxis, series.x[hit.point]);
    show(*plot()->yAxis, series.y[hit.point]);
}

void SeriesPlot::drawCursor()
{
    if (m_cursorMark != nullptr) {
        plot()->removeItem(m_cursorMark);
        m_cursorMark = nullptr;
    }
    const bool shown = m_cursor && isShown(m_cursor->series) && hasFocus();
    if (shown) {
        const Series& series = m_data.series[m_cursor->series];
        m_cursorMark = new QCPItemTracer(plot());
        m_cursorMark->setStyle(QCPItemTracer::tsSquare); // a highlighted point has a ring
        m_cursorMark->setSize(kMarkerSize * 2);
        m_cursorMark->setPen(QPen(palette().color(QPalette::Highlight), 2));
        m_cursorMark->setBrush(Qt::NoBrush);
        m_cursorMark->position->setCoords(series.x[m_cursor->point], series.y[m_cursor->point]);
    }
    setAccessibleDescription(shown ? describe(*m_cursor) : QString());
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

} // namespace qw
