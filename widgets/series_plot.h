#pragma once

#include <optional>
#include <set>
#include <vector>

#include "report/label_places.h"
#include "report/plot_data.h"
#include "widgets/plot_view.h"

class QCPAbstractPlottable;
class QCPAxis;
class QCPItemLine;
class QCPItemStraightLine;
class QCPItemText;
class QCPItemTracer;

namespace qw {

/// Draws PlotData: lines, points, bars, error bars, reference lines, log axes. Few series are
/// labelled directly at their ends, many by a legend: a click on a label or an entry switches the
/// series off and on. Points are labelled where PlotData asks for it and there is room. An optional
/// guide (a vertical line) is dragged with the mouse or moved with the arrow keys; without one the
/// arrows walk bars and points, saying what each is, and Return does what a click does.
class SeriesPlot : public PlotView
{
    Q_OBJECT
public:
    explicit SeriesPlot(QWidget* parent = nullptr);

    void setData(const PlotData& data);
    /// More of what is drawn: where the axes measure the same, the part seen by the user stays.
    void updateData(const PlotData& data);
    const PlotData& data() const { return m_data; }
    /// Keys of points drawn larger, as selected.
    void setHighlighted(const std::vector<std::string>& keys);

    /// Thin vertical lines, for instance the points of a quantization grid.
    void setVerticals(const std::vector<double>& places);

    /// Stays so for all later data.
    void setLogAxes(bool logX, bool logY);
    bool logX() const { return m_data.logX; }
    bool logY() const { return m_data.logY; }

    /// A draggable line at integer x from 0 to @p last. Hidden until set.
    void setGuide(std::int64_t x, std::int64_t last);
    void hideGuide();
    std::optional<std::int64_t> guide() const;

    QString csv() const override;
    void showAll() override;

Q_SIGNALS:
    void guideMoved(qint64 x);             ///< by the user
    void pointClicked(const QString& key); ///< Series::keys of the point nearest to the click
    void logAxesChanged(bool logX, bool logY);

protected:
    void extendMenu(QMenu& menu) override;
    void restyle() override;
    void hover(const QPoint& position) override;
    void keyPressEvent(QKeyEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;

private:
    struct Drawn {
        QCPAbstractPlottable* plottable = nullptr;
        QCPAbstractPlottable* errors = nullptr;
        QCPItemText* label = nullptr;
        QCPItemLine* tail = nullptr; ///< of a front, on to the end of the axis
    };
    struct Hit {
        std::size_t series = 0;
        std::size_t point = 0;
        bool operator==(const Hit&) const = default;
    };
    /// Powers on a log axis, plain numbers where it spans less than a few of them.
    static void setNumbers(QCPAxis* axis);
    bool hasBars() const;
    bool isFront(const Series& series) const;    ///< steps through points of the other series
    static double barStep(const Series& series); ///< from one bar to the next
    void rebuild();
    void drawSeries(std::size_t index);
    void drawReferences();
    void drawVerticals();
    void drawHighlights();
    void setTickers();
    void reserveLabelRoom();
    void placeLabels(); ///< after the layout: of lines at their ends, of points beside them
    void placeEndLabels();
    void placePointLabels();
    std::vector<Box> pointObstacles() const;
    double legendShare() const; ///< of the plot's height
    QRectF seen() const;        ///< ranges of both axes
    void setShown(std::size_t series, bool shown);
    bool isShown(std::size_t series) const;
    void showSwitches(); ///< on or off, in plot and legend
    std::optional<std::size_t> labelAt(const QPoint& position) const;
    bool directLabels() const;
    std::optional<Hit> nearest(const QPoint& position, double reach) const;
    QString describe(const Hit& hit) const;
    void moveGuide(double x);
    // The point that keys have chosen.
    std::vector<Hit> walkable() const; ///< what arrows lead to, by x
    std::optional<Hit> withKey(const std::string& key) const;
    std::optional<Hit> firstPoint() const; ///< a highlighted one, else the leftmost in sight
    std::optional<Hit> neighbour(const Hit& from, int arrow) const;
    bool moveCursor(int arrow); ///< false: the arrow is not for points
    bool pick();                ///< as a click does
    void reveal(const Hit& hit);
    void drawCursor();
    const std::string& keyOf(const Hit& hit) const; ///< empty: it has none
    void pressed(QMouseEvent* event);
    void moved(QMouseEvent* event);
    void released(QMouseEvent* event);

    PlotData m_data;
    std::vector<Drawn> m_drawn;
    std::vector<QCPItemText*> m_referenceLabels;
    std::vector<QCPItemText*> m_pointLabels; ///< those that found room
    std::optional<bool> m_logX, m_logY;      ///< chosen by the user
    std::set<std::string> m_off;             ///< names of series switched off
    std::vector<std::string> m_highlighted;
    std::vector<double> m_verticals;
    QCPItemStraightLine* m_guide = nullptr;
    std::int64_t m_guideX = -1;
    std::int64_t m_guideLast = 0;
    std::optional<Hit> m_cursor;
    QCPItemTracer* m_cursorMark = nullptr; ///< while the plot has the focus
    bool m_dragging = false;
    QPoint m_pressedAt;
    QRectF m_all; ///< seen() after showAll(); else the user's choice
};

} // namespace qw
