#pragma once

#include <QRectF>

#include "report/plot_data.h"
#include "widgets/plot_view.h"

class QCPColorMap;
class QCPColorScale;

namespace qw {

/// A matrix as colours with a scale beside it; the first row on top. Zooming asks for the part
/// seen, so that the owner can bring finer cells down to single values.
class HeatmapPlot : public PlotView
{
    Q_OBJECT
public:
    explicit HeatmapPlot(QWidget* parent = nullptr);

    /// @param area  of the whole matrix that the cells of @p map cover: x columns, y rows
    /// @param whole rows and columns of the whole matrix
    void setData(const Heatmap& map, const QRectF& area, const QSizeF& whole);
    const Heatmap& data() const { return m_data; }

    QString csv() const override;
    void showAll() override;

Q_SIGNALS:
    /// The user zoomed or moved: this part of the matrix is seen now.
    void areaWanted(const QRectF& area);

protected:
    void restyle() override;
    void hover(const QPoint& position) override;

private:
    void rangeChanged();
    void recolor();

    Heatmap m_data;
    QRectF m_area;
    QSizeF m_whole;
    QCPColorMap* m_map = nullptr;
    QCPColorScale* m_scale = nullptr;
    class QTimer* m_settle = nullptr;
};

} // namespace qw
