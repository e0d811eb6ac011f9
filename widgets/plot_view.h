#pragma once

#include <QWidget>

class QCPAxis;
class QCustomPlot;
class QLabel;
class QMenu;
class QMouseEvent;

namespace qw {

/// What all plots share: wheel (or + and -) zooms, drag (or arrows, with Ctrl where they
/// choose points) moves, double click (or 0)
/// shows all, right click (or the Menu key) copies and saves, as fillMenu() offers elsewhere;
/// colours follow the palette; an empty plot says what would fill it. Subclasses draw into plot().
class PlotView : public QWidget
{
    Q_OBJECT
public:
    explicit PlotView(QWidget* parent = nullptr);
    ~PlotView() override;

    /// Shown in place of the plot; an empty text shows the plot.
    void setEmptyText(const QString& text);
    QString emptyText() const;
    /// Numbers behind the picture, comma separated, with a header line.
    virtual QString csv() const = 0;
    /// Zooms out to all data.
    virtual void showAll() = 0;

    /// What can be done with the plot: of the right click, and for a menu of the window.
    void fillMenu(QMenu& menu);
    void copyImage() const;
    void copyData() const;
    /// By the ending: png, pdf or csv. @throws qw::Error::Io naming the file
    void saveAs(const QString& file);
    QSize minimumSizeHint() const override;

Q_SIGNALS:
    /// The user wants a file; whoever asks for its name calls saveAs().
    void saveWanted(const QString& suggestedName, const QString& filter);

protected:
    QCustomPlot* plot() const { return m_plot; }
    virtual void extendMenu(QMenu& menu);
    /// Colours of everything a subclass has drawn.
    virtual void restyle() = 0;
    virtual void hover(const QPoint& position) = 0;
    bool event(QEvent* event) override;
    void contextMenuEvent(QContextMenuEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void paintEvent(QPaintEvent* event) override;
    bool eventFilter(QObject* watched, QEvent* event) override;
    void showTip(const QPoint& position, const QString& text);

private:
    void styleAxes();
    void zoom(double factor);
    void moveBy(QCPAxis& axis, double share); ///< of its range

    QCustomPlot* m_plot = nullptr;
    QLabel* m_empty = nullptr;
};

} // namespace qw
