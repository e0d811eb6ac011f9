#include "widgets/series_plot.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "widgets/qcustomplot_include.h"
#include "widgets/series_style.h"
#include "widgets/theme.h"

// Names of lines at their ends and of points beside them.
namespace qw {

namespace {
constexpr int kDirectLabels = 4;         // at most so many series are labelled at their ends
constexpr std::size_t kPointLabels = 60; // more points than this are not all labelled
} // namespace

bool SeriesPlot::directLabels() const
{
    return m_data.series.size() > 1 && m_data.series.size() <= kDirectLabels &&
           std::none_of(m_data.series.begin(), m_data.series.end(), [](const Series& s) {
               return s.draw == Series::Draw::Bars || s.draw == Series::Draw::Points;
           });
}

void SeriesPlot::reserveLabelRoom()
{
    int widest = 0;
    if (directLabels()) {
        const QFontMetrics metrics(plot()->xAxis->tickLabelFont());
        for (const Series& series : m_data.series) {
            widest =
                std::max(widest, metrics.horizontalAdvance(QString::fromStdString(series.name)));
        }
    }
    plot()->axisRect()->setMinimumMargins(QMargins(8, 10, widest > 0 ? widest + 14 : 10, 8));
}

void SeriesPlot::placeLabels()
{
    if (directLabels()) {
        placeEndLabels();
    }
    for (QCPItemText* label : m_referenceLabels) { // data is mostly above: there if need be
        const QRectF area = plot()->axisRect()->rect();
        const double height = QFontMetricsF(label->font()).height() + 2;
        const bool below = area.bottom() - label->position->pixelPosition().y() > height;
        label->setPositionAlignment(Qt::AlignRight | (below ? Qt::AlignTop : Qt::AlignBottom));
    }
    placePointLabels();
}

void SeriesPlot::placeEndLabels()
{
    const QFontMetrics metrics(plot()->xAxis->tickLabelFont());
    struct Place {
        double y = 0;
        QCPItemText* label = nullptr;
    };
    std::vector<Place> places;
    const QCPRange visible = plot()->xAxis->range();
    for (std::size_t i = 0; i < m_drawn.size(); ++i) {
        const Series& series = m_data.series[i];
        Drawn& drawn = m_drawn[i];
        drawn.label->setVisible(!series.x.empty());
        if (!drawn.label->visible()) {
            continue;
        }
        double y = series.y.front();
        for (std::size_t p = 0; p < series.x.size(); ++p) {
            if (visible.contains(series.x[p]) && std::isfinite(series.y[p]) &&
                (!m_data.logY || series.y[p] > 0)) {
                y = series.y[p];
            }
        }
        places.push_back({plot()->yAxis->coordToPixel(y), drawn.label});
    }
    std::sort(places.begin(), places.end(),
              [](const Place& a, const Place& b) { return a.y < b.y; });
    const QRect area = plot()->axisRect()->rect();
    double lowest = area.top() + metrics.height() / 2.0;
    for (Place& place : places) { // downwards, so that no label covers another
        place.y = std::max(place.y, lowest);
        lowest = place.y + metrics.height();
    }
    double highest = area.bottom();
    for (auto place = places.rbegin(); place != places.rend(); ++place) {
        place->y = std::min(place->y, highest);
        highest = place->y - metrics.height();
        place->label->position->setPixelPosition(QPointF(area.right() + 6, place->y));
    }
}

std::vector<Box> SeriesPlot::pointObstacles() const
{
    std::vector<Box> boxes;
    const auto add = [&](double x1, double y1, double x2, double y2) {
        boxes.push_back({std::min(x1, x2) - 1, std::min(y1, y2) - 1, std::max(x1, x2) + 1,
                         std::max(y1, y2) + 1});
    };
    const auto x = [&](double value) { return plot()->xAxis->coordToPixel(value); };
    const auto y = [&](double value) { return plot()->yAxis->coordToPixel(value); };
    const QRect area = plot()->axisRect()->rect();
    for (const ReferenceLine& line : m_data.references) {
        add(area.left(), y(line.y), area.right(), y(line.y));
    }
    for (const QCPItemText* label : m_referenceLabels) {
        const QPointF corner = label->topLeft->pixelPosition();
        const QPointF other = label->bottomRight->pixelPosition();
        add(corner.x(), corner.y(), other.x(), other.y());
    }
    if (plot()->legend->visible()) {
        const QRect legend = plot()->legend->outerRect();
        add(legend.left(), legend.top(), legend.right(), legend.bottom());
    }
    for (std::size_t i = 0; i < m_data.series.size(); ++i) {
        const Series& series = m_data.series[i];
        for (std::size_t p = 0; isShown(i) && p < series.x.size(); ++p) {
            if (p < series.yError.size() && std::isfinite(series.yError[p])) {
                add(x(series.x[p]), y(series.y[p] - series.yError[p]), x(series.x[p]),
                    y(series.y[p] + series.yError[p]));
            }
            if (series.draw == Series::Draw::Steps && p > 0) {
                const double before = y(series.y[p - 1]);
                add(x(series.x[p - 1]), before, x(series.x[p]), before);
                add(x(series.x[p]), before, x(series.x[p]), y(series.y[p]));
            }
        }
        if (isShown(i) && isFront(series) && !series.x.empty()) {
            add(x(series.x.back()), y(series.y.back()), area.right(), y(series.y.back()));
        }
    }
    return boxes;
}

void SeriesPlot::placePointLabels()
{
    for (QCPItemText* label : m_pointLabels) {
        plot()->removeItem(label);
    }
    m_pointLabels.clear();
    if (!m_data.labelPoints) {
        return;
    }
    // Selected points first, then those on a front, then the others: room goes to what matters.
    struct Point {
        int rank = 0;
        const std::string* text = nullptr;
        PointText place;
    };
    std::set<std::string> onFront;
    for (const Series& series : m_data.series) {
        if (series.draw == Series::Draw::Steps) {
            onFront.insert(series.keys.begin(), series.keys.end());
        }
    }
    const std::set<std::string> selected(m_highlighted.begin(), m_highlighted.end());
    const QFont font = plot()->xAxis->tickLabelFont();
    const QFontMetrics metrics(font);
    const QRect axes = plot()->axisRect()->rect();
    std::vector<Point> points;
    for (std::size_t i = 0; i < m_data.series.size(); ++i) {
        const Series& series = m_data.series[i];
        if (series.draw == Series::Draw::Steps || series.labels.empty() || !isShown(i)) {
            continue;
        }
        for (std::size_t p = 0; p < series.x.size(); ++p) {
            const QPointF at(plot()->xAxis->coordToPixel(series.x[p]),
                             plot()->yAxis->coordToPixel(series.y[p]));
            if (!std::isfinite(series.y[p]) || !QRectF(axes).contains(at)) {
                continue;
            }
            const std::string key = p < series.keys.size() ? series.keys[p] : std::string();
            const int rank = selected.count(key) > 0 ? 0 : onFront.count(key) > 0 ? 1 : 2;
            points.push_back({rank, &series.labels[p], {at.x(), at.y(), 0, 0}});
        }
    }
    std::stable_sort(points.begin(), points.end(),
                     [](const Point& a, const Point& b) { return a.rank < b.rank; });
    points.resize(std::min(points.size(), kPointLabels));
    std::vector<PointText> texts;
    for (const Point& point : points) {
        texts.push_back(point.place);
        texts.back().width = metrics.horizontalAdvance(QString::fromStdString(*point.text)) + 2;
        texts.back().height = metrics.height();
    }
    const Box area{static_cast<double>(axes.left()), static_cast<double>(axes.top()),
                   static_cast<double>(axes.right()), static_cast<double>(axes.bottom())};
    const auto places = placeBeside(texts, kMarkerSize / 2, pointObstacles(), area);
    for (std::size_t i = 0; i < places.size(); ++i) {
        if (!places[i]) {
            continue;
        }
        auto* label = new QCPItemText(plot());
        label->setText(QString::fromStdString(*points[i].text));
        label->setFont(font);
        label->setColor(points[i].rank < 2 ? palette().color(QPalette::Text)
                                           : theme::quietText(palette()));
        label->setPositionAlignment(Qt::AlignLeft | Qt::AlignTop);
        label->setPadding(QMargins());
        label->position->setType(QCPItemPosition::ptAbsolute);
        label->position->setPixelPosition({places[i]->box.left, places[i]->box.top});
        m_pointLabels.push_back(label);
    }
}

} // namespace qw
