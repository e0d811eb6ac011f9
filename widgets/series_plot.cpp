#include "widgets/series_plot.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <QMenu>

#include "widgets/qcustomplot_include.h"
#include "widgets/report_text.h"

namespace qw {

namespace {
constexpr double kReach = 12;     // pixels from a point that count as on it
constexpr double kGuideReach = 8; // pixels from the cursor line

struct Span {
    double low = std::numeric_limits<double>::infinity();
    double high = -std::numeric_limits<double>::infinity();
    void add(double value, bool log)
    {
        if (std::isfinite(value) && (!log || value > 0)) {
            low = std::min(low, value);
            high = std::max(high, value);
        }
    }
    bool empty() const { return low > high; }
    QCPRange padded(bool log, double share) const
    {
        if (log) {
            const double factor = low == high ? 2 : std::pow(high / low, share);
            return {low / factor, high * factor};
        }
        const double pad = low == high ? std::max(std::abs(low) * 0.1, 0.5) : (high - low) * share;
        return {low - pad, high + pad};
    }
};
} // namespace

SeriesPlot::SeriesPlot(QWidget* parent) : PlotView(parent)
{
    connect(plot(), &QCustomPlot::mousePress, this, &SeriesPlot::pressed);
    connect(plot(), &QCustomPlot::mouseMove, this, &SeriesPlot::moved);
    connect(plot(), &QCustomPlot::mouseRelease, this, &SeriesPlot::released);
    connect(plot(), &QCustomPlot::afterLayout, this, &SeriesPlot::placeLabels);
    for (QCPAxis* axis : {plot()->xAxis, plot()->yAxis}) {
        connect(axis, qOverload<const QCPRange&>(&QCPAxis::rangeChanged), this,
                [axis] { setNumbers(axis); });
    }
    connect(plot(), &QCustomPlot::legendClick, this,
            [this](QCPLegend* /*legend*/, QCPAbstractLegendItem* item) {
                auto* entry = qobject_cast<QCPPlottableLegendItem*>(item);
                for (std::size_t i = 0; entry != nullptr && i < m_drawn.size(); ++i) {
                    if (m_drawn[i].plottable == entry->plottable()) {
                        setShown(i, !isShown(i));
                    }
                }
            });
}

void SeriesPlot::setData(const PlotData& data)
{
    const std::string chosen = m_cursor ? keyOf(*m_cursor) : std::string();
    m_data = report_text::translated(data);
    m_cursor = withKey(chosen);
    m_data.logX = m_logX.value_or(data.logX);
    m_data.logY = m_logY.value_or(data.logY);
    rebuild();
    showAll();
}

void SeriesPlot::updateData(const PlotData& data)
{
    const bool chosen = !m_data.series.empty() && seen() != m_all;
    const PlotData before = m_data;
    const QRectF part = seen();
    setData(data);
    if (chosen && m_data.xLabel == before.xLabel && m_data.yLabel == before.yLabel &&
        m_data.logX == before.logX && m_data.logY == before.logY) {
        plot()->xAxis->setRange(part.left(), part.right());
        plot()->yAxis->setRange(part.top(), part.bottom());
    }
}

QRectF SeriesPlot::seen() const
{
    const QCPRange x = plot()->xAxis->range();
    const QCPRange y = plot()->yAxis->range();
    return {QPointF(x.lower, y.lower), QPointF(x.upper, y.upper)};
}

void SeriesPlot::setHighlighted(const std::vector<std::string>& keys)
{
    if (keys != m_highlighted) {
        m_highlighted = keys;
        rebuild();
        plot()->replot(QCustomPlot::rpQueuedReplot);
    }
}

void SeriesPlot::setVerticals(const std::vector<double>& places)
{
    m_verticals = places;
    rebuild();
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void SeriesPlot::setLogAxes(bool logX, bool logY)
{
    if (logX != m_data.logX || logY != m_data.logY) {
        m_logX = m_data.logX = logX;
        m_logY = m_data.logY = logY;
        setTickers();
        showAll();
        Q_EMIT logAxesChanged(logX, logY);
    }
}

bool SeriesPlot::isShown(std::size_t series) const
{
    return m_off.count(m_data.series[series].name) == 0;
}

void SeriesPlot::setShown(std::size_t series, bool shown)
{
    if (shown) {
        m_off.erase(m_data.series[series].name);
    } else {
        m_off.insert(m_data.series[series].name);
    }
    showSwitches();
    drawCursor();
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

std::optional<std::size_t> SeriesPlot::labelAt(const QPoint& position) const
{
    for (std::size_t i = 0; i < m_drawn.size(); ++i) {
        const QCPItemText* label = m_drawn[i].label;
        if (label != nullptr && label->visible() &&
            QRectF(label->topLeft->pixelPosition(), label->bottomRight->pixelPosition())
                .contains(position)) {
            return i;
        }
    }
    return std::nullopt;
}

void SeriesPlot::showAll()
{
    Span x;
    Span y;
    bool bars = false;
    for (std::size_t i = 0; i < m_data.series.size(); ++i) {
        const Series& series = m_data.series[i];
        if (series.draw == Series::Draw::Bars && !series.x.empty()) { // whole ones
            bars = true;
            const double half = 0.6 * barStep(series);
            x.add(series.x.front() - half, m_data.logX);
            x.add(series.x.back() + half, m_data.logX);
        }
        for (std::size_t p = 0; p < series.x.size(); ++p) {
            const double error =
                p < series.yError.size() && std::isfinite(series.yError[p]) ? series.yError[p] : 0;
            x.add(series.x[p], m_data.logX);
            y.add(series.y[p] - error, m_data.logY);
            y.add(series.y[p] + error, m_data.logY);
        }
    }
    for (const ReferenceLine& reference : m_data.references) {
        y.add(reference.y, m_data.logY);
    }
    if (bars && !m_data.logY) {
        y.add(0, false);
    }
    if (!x.empty() && !y.empty()) {
        plot()->xAxis->setRange(x.padded(m_data.logX, bars ? 0.01 : 0.03));
        QCPRange range = y.padded(m_data.logY, 0.06);
        if (bars && !m_data.logY && y.low == 0) {
            range.lower = 0;
        }
        if (!bars && !m_data.references.empty()) { // its name stands below a line
            constexpr double kName = 0.05;
            range.lower = m_data.logY ? range.lower / std::pow(range.upper / range.lower, kName)
                                      : range.lower - kName * range.size();
        }
        if (plot()->legend->visible()) { // lies in the upper corner: the data stays below it
            const double room = legendShare();
            range.upper = m_data.logY
                              ? range.upper * std::pow(range.upper / range.lower, room / (1 - room))
                              : range.upper + range.size() * room / (1 - room);
        }
        plot()->yAxis->setRange(range);
    }
    m_all = seen();
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

double SeriesPlot::legendShare() const
{
    constexpr double kEntry = 0.09; // a line of text in a plot of the usual height
    constexpr double kMost = 0.4;
    return std::min(kMost, kEntry * plot()->legend->itemCount());
}

void SeriesPlot::restyle()
{
    rebuild();
}

std::optional<SeriesPlot::Hit> SeriesPlot::nearest(const QPoint& position, double reach) const
{
    std::optional<Hit> best;
    double distance = reach;
    for (std::size_t i = 0; i < m_data.series.size(); ++i) {
        const Series& series = m_data.series[i];
        if (!isShown(i)) {
            continue;
        }
        const bool bars = series.draw == Series::Draw::Bars;
        for (std::size_t p = 0; p < series.x.size(); ++p) {
            if (!std::isfinite(series.y[p])) {
                continue;
            }
            const double dx = plot()->xAxis->coordToPixel(series.x[p]) - position.x();
            const double dy = bars ? 0 : plot()->yAxis->coordToPixel(series.y[p]) - position.y();
            const double d = std::hypot(dx, dy);
            if (d < distance) {
                distance = d;
                best = Hit{i, p};
            }
        }
    }
    return best;
}

QString SeriesPlot::describe(const Hit& hit) const
{
    const Series& series = m_data.series[hit.series];
    QString text = QString::fromStdString(series.name);
    if (hit.point < series.labels.size()) {
        text += (text.isEmpty() ? QString() : QStringLiteral("\n")) +
                report_text::translated(series.labels[hit.point]);
    }
    const auto line = [](const std::string& label, double value) {
        return QStringLiteral("\n%1%2").arg(
            label.empty() ? QString() : QString::fromStdString(label) + QStringLiteral(": "),
            QLocale::c().toString(value, 'g', 5));
    };
    if (m_data.xTicks.empty()) {
        text += line(m_data.xLabel, series.x[hit.point]);
    }
    text += line(m_data.yLabel, series.y[hit.point]);
    if (hit.point < series.yError.size() && std::isfinite(series.yError[hit.point])) {
        text +=
            QStringLiteral(" \u00b1 ") + QLocale::c().toString(series.yError[hit.point], 'g', 2);
    }
    return text.trimmed();
}

void SeriesPlot::hover(const QPoint& position)
{
    const auto hit = nearest(position, kReach);
    showTip(position, hit ? describe(*hit) : QString());
    const bool onGuide =
        m_guide != nullptr && std::abs(plot()->xAxis->coordToPixel(static_cast<double>(m_guideX)) -
                                       position.x()) < kGuideReach;
    plot()->setCursor(onGuide             ? Qt::SizeHorCursor
                      : labelAt(position) ? Qt::PointingHandCursor
                                          : Qt::ArrowCursor);
}

void SeriesPlot::setGuide(std::int64_t x, std::int64_t last)
{
    m_guideLast = last;
    m_guideX = std::clamp<std::int64_t>(x, 0, last);
    if (m_guide == nullptr) {
        m_guide = new QCPItemStraightLine(plot());
    }
    m_guide->setPen(QPen(palette().color(QPalette::Highlight), 2));
    // On a log axis rank 0 has no place: the line stands at the left edge of 1.
    const double place =
        m_data.logX ? std::max(0.8, static_cast<double>(m_guideX)) : static_cast<double>(m_guideX);
    m_guide->point1->setCoords(place, 1);
    m_guide->point2->setCoords(place, 2);
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void SeriesPlot::hideGuide()
{
    m_guideX = -1;
    if (m_guide != nullptr) {
        plot()->removeItem(m_guide);
        m_guide = nullptr;
        plot()->replot(QCustomPlot::rpQueuedReplot);
    }
}

std::optional<std::int64_t> SeriesPlot::guide() const
{
    return m_guideX >= 0 ? std::optional(m_guideX) : std::nullopt;
}

void SeriesPlot::moveGuide(double x)
{
    const std::int64_t before = m_guideX;
    setGuide(static_cast<std::int64_t>(std::llround(x)), m_guideLast);
    if (m_guideX != before) {
        Q_EMIT guideMoved(m_guideX);
    }
}

void SeriesPlot::pressed(QMouseEvent* event)
{
    setFocus(Qt::MouseFocusReason);
    m_pressedAt = event->pos();
    if (m_guide != nullptr && event->button() == Qt::LeftButton &&
        std::abs(m_guide->point1->pixelPosition().x() - event->pos().x()) < kGuideReach) {
        m_dragging = true;
        plot()->setInteraction(QCP::iRangeDrag, false);
    }
}

void SeriesPlot::moved(QMouseEvent* event)
{
    if (m_dragging) {
        moveGuide(plot()->xAxis->pixelToCoord(event->pos().x()));
    }
}

void SeriesPlot::released(QMouseEvent* event)
{
    plot()->setInteraction(QCP::iRangeDrag, true);
    const bool click = (event->pos() - m_pressedAt).manhattanLength() < 4;
    if (!std::exchange(m_dragging, false) && click && event->button() == Qt::LeftButton) {
        if (const auto label = labelAt(event->pos())) {
            setShown(*label, !isShown(*label));
            return;
        }
        const auto hit = nearest(event->pos(), kReach);
        if (hit && !keyOf(*hit).empty()) {
            m_cursor.reset(); // keys begin at what is highlighted then
            drawCursor();
            Q_EMIT pointClicked(QString::fromStdString(keyOf(*hit)));
        }
    }
}

void SeriesPlot::keyPressEvent(QKeyEvent* event)
{
    const int step = event->modifiers().testFlag(Qt::ShiftModifier) ? 8 : 1;
    const bool moves = event->modifiers().testFlag(Qt::ControlModifier); // the part seen
    if (m_guide != nullptr && !moves && event->key() == Qt::Key_Left) {
        moveGuide(static_cast<double>(m_guideX - step));
    } else if (m_guide != nullptr && !moves && event->key() == Qt::Key_Right) {
        moveGuide(static_cast<double>(m_guideX + step));
    } else if (m_guide == nullptr && !moves && moveCursor(event->key())) {
        event->accept();
    } else if ((event->key() == Qt::Key_Return || event->key() == Qt::Key_Enter) && pick()) {
        event->accept();
    } else {
        PlotView::keyPressEvent(event);
    }
}

void SeriesPlot::focusInEvent(QFocusEvent* event)
{
    PlotView::focusInEvent(event);
    if (m_cursor) {
        drawCursor();
    }
}

void SeriesPlot::focusOutEvent(QFocusEvent* event)
{
    PlotView::focusOutEvent(event);
    if (m_cursor) {
        drawCursor();
        showTip({}, {});
    }
}

void SeriesPlot::extendMenu(QMenu& menu)
{
    menu.addSeparator();
    const auto addLog = [&](const QString& text, bool on, auto change) {
        QAction* action = menu.addAction(text);
        action->setCheckable(true);
        action->setChecked(on);
        connect(action, &QAction::toggled, this, change);
    };
    if (m_data.xTicks.empty()) {
        addLog(tr("Logarithmic &X Axis"), m_data.logX,
               [this](bool on) { setLogAxes(on, m_data.logY); });
    }
    addLog(tr("Logarithmic &Y Axis"), m_data.logY,
           [this](bool on) { setLogAxes(m_data.logX, on); });
    if (m_drawn.size() > 1) {
        QMenu* series = menu.addMenu(tr("S&how"));
        for (std::size_t i = 0; i < m_drawn.size(); ++i) {
            QAction* action = series->addAction(m_drawn[i].plottable->name());
            action->setCheckable(true);
            action->setChecked(isShown(i));
            connect(action, &QAction::toggled, this, [this, i](bool on) { setShown(i, on); });
        }
    }
}

QString SeriesPlot::csv() const
{
    const auto quoted = [](const std::string& text) {
        return u'"' + QString::fromStdString(text).replace(u'"', QStringLiteral("\"\"")) + u'"';
    };
    const auto number = [](double value) {
        return std::isfinite(value) ? QLocale::c().toString(value, 'g', 17) : QString();
    };
    QString out = QStringLiteral("series,%1,%2,standard error,label\n")
                      .arg(quoted(m_data.xLabel), quoted(m_data.yLabel));
    for (const Series& series : m_data.series) {
        for (std::size_t p = 0; p < series.x.size(); ++p) {
            out += quoted(series.name) + u',' + number(series.x[p]) + u',' + number(series.y[p]) +
                   u',' + (p < series.yError.size() ? number(series.yError[p]) : QString()) + u',' +
                   (p < series.labels.size() ? quoted(series.labels[p]) : QString()) + u'\n';
        }
    }
    return out;
}

} // namespace qw
