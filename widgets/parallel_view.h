#pragma once

#include <optional>
#include <vector>

#include "report/plot_data.h"
#include "widgets/plot_view.h"

class QCPGraph;

namespace qw {

/// Parallel coordinates: each run a line over scales that stand side by side. A click on a line
/// names its run.
class ParallelView : public PlotView
{
    Q_OBJECT
public:
    explicit ParallelView(QWidget* parent = nullptr);

    void setData(const ParallelPlot& data);
    const ParallelPlot& data() const { return m_data; }
    /// Keys of lines drawn in front and thicker.
    void setHighlighted(const std::vector<std::string>& keys);

    QString csv() const override;
    void showAll() override;

Q_SIGNALS:
    void lineClicked(const QString& key);

protected:
    void restyle() override;
    void hover(const QPoint& position) override;

private:
    void rebuild();
    void drawAxis(std::size_t index);
    void drawLine(const ParallelLine& line);
    bool highlighted(const ParallelLine& line) const;
    std::optional<std::size_t> nearest(const QPoint& position) const;

    ParallelPlot m_data;
    std::vector<std::string> m_highlighted;
    QPoint m_pressedAt;
};

/// Where a value stands on a scale: 0 at its low end, 1 at its high end; NaN where it has no place.
double placeOnAxis(const ParallelAxis& axis, double value);

} // namespace qw
