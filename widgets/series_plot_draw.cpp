#include "widgets/series_plot.h"

#include <algorithm>
#include <cmath>

#include "report/axis_ticks.h"
#include "widgets/qcustomplot_include.h"
#include "widgets/series_style.h"
#include "widgets/theme.h"

// What SeriesPlot draws; series_plot_labels.cpp has the writing, series_plot.cpp what users do.
namespace qw {

namespace {
constexpr double kPowersFrom = 50;        // upper over lower end of a log axis
constexpr std::size_t kMarkersUpTo = 200; // more points than this are drawn as a line only

QCPScatterStyle scatter(const SeriesStyle& style, double size)
{
    QCPScatterStyle::ScatterShape shape = QCPScatterStyle::ssCircle;
    switch (style.marker) {
    case Marker::Circle:
        shape = QCPScatterStyle::ssCircle;
        break;
    case Marker::Square:
        shape = QCPScatterStyle::ssSquare;
        break;
    case Marker::Diamond:
        shape = QCPScatterStyle::ssDiamond;
        break;
    case Marker::TriangleUp:
        shape = QCPScatterStyle::ssTriangle;
        break;
    case Marker::TriangleDown:
        shape = QCPScatterStyle::ssTriangleInverted;
        break;
    case Marker::Cross:
        shape = QCPScatterStyle::ssCross;
        break;
    }
    return {shape, style.color, style.filled ? style.color : QColor(Qt::transparent), size};
}

QVector<double> vectorOf(const std::vector<double>& values)
{
    return {values.begin(), values.end()};
}

/// Powers where there are several, else 1, 2, 5; less than that is as good as linear.
class LogTicker final : public QCPAxisTickerLog
{
protected:
    QString getTickLabel(double tick, const QLocale& locale, QChar formatChar,
                         int precision) override
    {
        if (formatChar != u'e') {
            return QCPAxisTickerLog::getTickLabel(tick, locale, formatChar, precision);
        }
        // In letters of the font: a raised exponent drawn by itself is hard to read.
        return QString::fromStdString(powerLabel(static_cast<int>(std::lround(std::log10(tick)))));
    }
    QVector<double> createTickVector(double step, const QCPRange& range) override
    {
        constexpr int kEnough = 3;
        if (range.lower <= 0 || range.upper / range.lower > kPowersFrom) {
            return QCPAxisTickerLog::createTickVector(step, range);
        }
        QVector<double> ticks;
        for (double power = std::pow(10, std::floor(std::log10(range.lower))); power <= range.upper;
             power *= 10) {
            ticks << power << 2 * power << 5 * power;
        }
        const auto seen = std::count_if(ticks.begin(), ticks.end(),
                                        [&](double tick) { return range.contains(tick); });
        return seen >= kEnough
                   ? ticks
                   : QCPAxisTicker::createTickVector(QCPAxisTicker::getTickStep(range), range);
    }
};

/// Writes numbers as reports do.
class LinearTicker : public QCPAxisTicker
{
protected:
    QVector<double> createTickVector(double step, const QCPRange& range) override
    {
        constexpr double kRounding = 1e-9;
        const double mantissa = step / std::pow(10, std::floor(std::log10(step) + kRounding));
        const bool whole = std::abs(mantissa - std::round(mantissa)) < kRounding;
        m_step = whole ? step : step / 5; // 2.5 needs a decimal more
        return QCPAxisTicker::createTickVector(step, range);
    }
    QString getTickLabel(double tick, const QLocale& /*locale*/, QChar /*formatChar*/,
                         int /*precision*/) override
    {
        return QString::fromStdString(tickLabel(tick, m_step));
    }

private:
    double m_step = 1;
};

/// For ranks and iterations: there is nothing between them.
class WholeTicker final : public LinearTicker
{
protected:
    double getTickStep(const QCPRange& range) override
    {
        const double step = QCPAxisTicker::getTickStep(range);
        return std::max(1., step == std::floor(step) ? step : 2 * step); // 2.5 is 5 then
    }
};

bool allWhole(const std::vector<Series>& series)
{
    return std::all_of(series.begin(), series.end(), [](const Series& one) {
        return std::all_of(one.x.begin(), one.x.end(), [](double x) { return x == std::floor(x); });
    });
}

QSharedPointer<QCPAxisTicker> linearTicker(const std::vector<Series>& series)
{
    return allWhole(series) ? QSharedPointer<WholeTicker>::create()
                            : QSharedPointer<LinearTicker>::create();
}

QSharedPointer<QCPAxisTicker> logTicker()
{
    return QSharedPointer<LogTicker>::create();
}

void setScale(QCPAxis* axis, bool log)
{
    axis->setScaleType(log ? QCPAxis::stLogarithmic : QCPAxis::stLinear);
}

/// What a step falls to where nothing was counted: out of sight on any axis.
constexpr double kNothing = 1e-30;
} // namespace

void SeriesPlot::setNumbers(QCPAxis* axis)
{
    const QCPRange range = axis->range();
    const bool powers = axis->scaleType() == QCPAxis::stLogarithmic && range.lower > 0 &&
                        range.upper / range.lower > kPowersFrom;
    axis->setNumberFormat(powers ? QStringLiteral("eb") : QStringLiteral("gb"));
    axis->setNumberPrecision(powers ? 0 : 5);
}

bool SeriesPlot::hasBars() const
{
    return std::any_of(m_data.series.begin(), m_data.series.end(),
                       [](const Series& series) { return series.draw == Series::Draw::Bars; });
}

bool SeriesPlot::isFront(const Series& series) const
{
    return series.draw == Series::Draw::Steps && !hasBars();
}

double SeriesPlot::barStep(const Series& series)
{
    return series.x.size() > 1 ? series.x[1] - series.x[0] : 1;
}

void SeriesPlot::rebuild()
{
    plot()->clearItems();
    plot()->clearPlottables();
    m_drawn.clear();
    m_referenceLabels.clear();
    m_pointLabels.clear();
    m_guide = nullptr;
    m_cursorMark = nullptr;
    setEmptyText(m_data.series.empty() ? QString::fromStdString(m_data.empty) : QString());
    plot()->xAxis->setLabel(QString::fromStdString(m_data.xLabel));
    plot()->yAxis->setLabel(QString::fromStdString(m_data.yLabel));
    setTickers();
    reserveLabelRoom();
    for (std::size_t i = 0; i < m_data.series.size(); ++i) {
        drawSeries(i);
    }
    drawVerticals();
    drawReferences();
    drawHighlights();
    const bool legend = m_data.series.size() > 1 && !directLabels();
    plot()->legend->setVisible(legend);
    plot()->legend->setBorderPen(Qt::NoPen);
    plot()->legend->setFont(plot()->xAxis->tickLabelFont());
    plot()->legend->setTextColor(palette().color(QPalette::Text));
    QColor ground = palette().color(QPalette::Base);
    ground.setAlpha(200);
    plot()->legend->setBrush(ground);
    plot()->axisRect()->insetLayout()->setInsetAlignment(0, Qt::AlignTop | Qt::AlignRight);
    if (m_guideX >= 0) {
        setGuide(m_guideX, m_guideLast);
    }
    drawCursor();
    showSwitches();
}

void SeriesPlot::showSwitches()
{
    const bool dark = theme::isDark(palette());
    for (std::size_t i = 0; i < m_drawn.size(); ++i) {
        const Drawn& drawn = m_drawn[i];
        const bool on = isShown(i);
        QFont font = plot()->xAxis->tickLabelFont();
        font.setStrikeOut(!on);
        drawn.plottable->setVisible(on);
        if (drawn.errors != nullptr) {
            drawn.errors->setVisible(on);
        }
        if (drawn.tail != nullptr) {
            drawn.tail->setVisible(on);
        }
        if (drawn.label != nullptr) {
            drawn.label->setFont(font);
            drawn.label->setColor(
                on && !m_data.series[i].quiet
                    ? seriesStyle(m_data.series[i].method, static_cast<int>(i), dark).color
                    : theme::quietText(palette()));
        }
        if (auto* entry = plot()->legend->itemWithPlottable(drawn.plottable)) {
            entry->setFont(font);
            entry->setTextColor(on ? palette().color(QPalette::Text) : theme::quietText(palette()));
        }
    }
}

void SeriesPlot::drawSeries(std::size_t index)
{
    const Series& series = m_data.series[index];
    SeriesStyle style =
        seriesStyle(series.method, static_cast<int>(index), theme::isDark(palette()));
    const bool overBars = hasBars();
    const bool front = isFront(series);
    if (series.quiet || front) {
        style.color = theme::quietText(palette()); // steps belong to all of the others
    }
    const QPen pen(style.color, series.quiet ? 1.0 : 1.6,
                   series.variant > 0 ? Qt::DashLine : Qt::SolidLine);
    Drawn drawn;
    if (series.draw == Series::Draw::Bars) {
        auto* bars = new QCPBars(plot()->xAxis, plot()->yAxis);
        QColor fill = style.color;
        fill.setAlpha(index == 0 ? 190 : 120);
        bars->setPen(Qt::NoPen);
        bars->setBrush(fill);
        bars->setWidth(barStep(series) * 0.85);
        for (std::size_t p = 0; p < series.x.size(); ++p) {
            if (std::isfinite(series.y[p])) { // a missing bar is a gap
                bars->addData(series.x[p], series.y[p]);
            }
        }
        drawn.plottable = bars;
    } else {
        auto* graph = plot()->addGraph();
        // Over bars a step is as wide as they are; a front holds until the next better point.
        const auto stepStyle = overBars ? QCPGraph::lsStepCenter : QCPGraph::lsStepLeft;
        graph->setPen(pen);
        graph->setAdaptiveSampling(true); // draws extremes of what falls on one pixel column
        graph->setLineStyle(series.draw == Series::Draw::Points  ? QCPGraph::lsNone
                            : series.draw == Series::Draw::Steps ? stepStyle
                                                                 : QCPGraph::lsLine);
        const bool markers =
            series.draw == Series::Draw::Points ||
            (series.draw == Series::Draw::LineAndPoints && series.x.size() <= kMarkersUpTo);
        if (markers) {
            graph->setScatterStyle(scatter(style, kMarkerSize));
        } else if (front) { // rings around the points of other series
            graph->setScatterStyle(
                {QCPScatterStyle::ssCircle, style.color, Qt::transparent, 1.8 * kMarkerSize});
        }
        QVector<double> y = vectorOf(series.y);
        if (series.draw == Series::Draw::Steps) {
            for (double& value : y) {
                value = std::isfinite(value) ? value : kNothing;
            }
        }
        graph->setData(vectorOf(series.x), y, false);
        drawn.plottable = graph;
        if (front && !series.x.empty()) {
            drawn.tail = new QCPItemLine(plot());
            drawn.tail->setPen(pen);
            drawn.tail->start->setCoords(series.x.back(), series.y.back());
            drawn.tail->end->setTypeX(QCPItemPosition::ptAxisRectRatio);
            drawn.tail->end->setCoords(1, series.y.back());
        }
        if (!series.yError.empty()) {
            auto* errors = new QCPErrorBars(plot()->xAxis, plot()->yAxis);
            errors->setDataPlottable(graph);
            errors->setPen(QPen(style.color, 1));
            errors->setWhiskerWidth(5);
            errors->setSymbolGap(3);
            errors->setData(vectorOf(series.yError));
            errors->removeFromLegend();
            drawn.errors = errors;
        }
    }
    drawn.plottable->setName(QString::fromStdString(series.name));
    if (series.quiet) {
        drawn.plottable->removeFromLegend(); // there may be many; hovering names them
    }
    if (directLabels()) {
        drawn.label = new QCPItemText(plot());
        drawn.label->setText(QString::fromStdString(series.name));
        drawn.label->setClipToAxisRect(false);
        drawn.label->setPositionAlignment(Qt::AlignLeft | Qt::AlignVCenter);
        drawn.label->position->setType(QCPItemPosition::ptAbsolute);
    }
    m_drawn.push_back(drawn);
}

void SeriesPlot::drawReferences()
{
    for (const ReferenceLine& reference : m_data.references) {
        auto* line = new QCPItemStraightLine(plot());
        line->setPen(QPen(theme::quietText(palette()), 1, Qt::DashLine));
        line->point1->setCoords(1, reference.y);
        line->point2->setCoords(2, reference.y);
        auto* label = new QCPItemText(plot());
        label->setText(QString::fromStdString(reference.name));
        label->setColor(theme::quietText(palette()));
        label->setFont(plot()->xAxis->tickLabelFont());
        label->setPositionAlignment(Qt::AlignRight | Qt::AlignBottom);
        label->position->setTypeX(QCPItemPosition::ptAxisRectRatio);
        label->position->setTypeY(QCPItemPosition::ptPlotCoords);
        label->position->setCoords(0.99, reference.y);
        m_referenceLabels.push_back(label);
    }
}

void SeriesPlot::drawVerticals()
{
    QColor color = theme::quietText(palette());
    color.setAlpha(110);
    for (const double x : m_verticals) {
        auto* line = new QCPItemLine(plot());
        line->setPen(QPen(color, 1));
        for (QCPItemPosition* end : {line->start, line->end}) {
            end->setTypeX(QCPItemPosition::ptPlotCoords);
            end->setTypeY(QCPItemPosition::ptAxisRectRatio);
        }
        line->start->setCoords(x, 0);
        line->end->setCoords(x, 1);
    }
}

void SeriesPlot::drawHighlights()
{
    for (std::size_t i = 0; i < m_data.series.size(); ++i) {
        const Series& series = m_data.series[i];
        for (std::size_t p = 0; p < series.keys.size(); ++p) {
            if (std::find(m_highlighted.begin(), m_highlighted.end(), series.keys[p]) ==
                m_highlighted.end()) {
                continue;
            }
            if (series.draw == Series::Draw::Bars) {
                auto* frame = new QCPItemRect(plot());
                const double half = qobject_cast<QCPBars*>(m_drawn[i].plottable)->width() / 2;
                frame->topLeft->setCoords(series.x[p] - half,
                                          std::isfinite(series.y[p]) ? series.y[p] : 0);
                frame->bottomRight->setCoords(series.x[p] + half, 0);
                frame->setPen(QPen(palette().color(QPalette::Text), 2));
                frame->setBrush(Qt::NoBrush);
                continue;
            }
            if (!std::isfinite(series.y[p])) {
                continue; // a missing value has no place to be marked at
            }
            auto* ring = new QCPItemTracer(plot());
            ring->setStyle(QCPItemTracer::tsCircle);
            ring->setSize(kMarkerSize * 2);
            ring->setPen(QPen(palette().color(QPalette::Highlight), 2));
            ring->setBrush(Qt::NoBrush);
            ring->position->setCoords(series.x[p], series.y[p]);
        }
    }
}

void SeriesPlot::setTickers()
{
    setScale(plot()->xAxis, m_data.logX);
    setScale(plot()->yAxis, m_data.logY);
    setNumbers(plot()->xAxis);
    setNumbers(plot()->yAxis);
    if (!m_data.xTicks.empty()) {
        const auto ticker = QSharedPointer<QCPAxisTickerText>::create();
        for (const PlotTick& tick : m_data.xTicks) {
            ticker->addTick(tick.position, QString::fromStdString(tick.label));
        }
        plot()->xAxis->setTicker(ticker);
    } else {
        plot()->xAxis->setTicker(m_data.logX ? logTicker() : linearTicker(m_data.series));
    }
    plot()->yAxis->setTicker(m_data.logY ? logTicker() : QSharedPointer<LinearTicker>::create());
}

} // namespace qw
