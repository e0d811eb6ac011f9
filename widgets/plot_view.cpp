#include "widgets/plot_view.h"

#include <cmath>

#include <QClipboard>
#include <QContextMenuEvent>
#include <QFile>
#include <QGuiApplication>
#include <QLabel>
#include <QMenu>
#include <QPainter>
#include <QToolTip>
#include <QVBoxLayout>

#include "base/error.h"
#include "widgets/qcustomplot_include.h"
#include "widgets/theme.h"

namespace qw {

namespace {
constexpr double kZoomStep = 1.25;
constexpr double kMoveStep = 0.1;   // of what is seen, per arrow key
constexpr int kFocusFrame = 1;      // pixels around the plot
constexpr double kFontShare = 0.92; // tick labels are a little smaller than the interface's font
constexpr QSize kLeastSize(40, 30);
constexpr double kSavedScale = 2; // pictures are saved at twice the size on the screen
} // namespace

PlotView::PlotView(QWidget* parent) : QWidget(parent), m_plot(new QCustomPlot), m_empty(new QLabel)
{
    setFocusPolicy(Qt::StrongFocus);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(kFocusFrame, kFocusFrame, kFocusFrame, kFocusFrame);
    layout->addWidget(m_plot);
    m_plot->setMinimumSize(kLeastSize); // a plot without a pixel cannot be painted on
    m_plot->setFocusProxy(this);
    m_plot->setMouseTracking(true);
    m_plot->installEventFilter(this);
    m_plot->setContextMenuPolicy(Qt::NoContextMenu);
    m_plot->setInteractions(QCP::iRangeDrag | QCP::iRangeZoom);
    m_plot->setNoAntialiasingOnDrag(true);
    m_plot->axisRect()->setMinimumMargins(QMargins(8, 10, 10, 8));
    connect(m_plot, &QCustomPlot::mouseDoubleClick, this, [this] { showAll(); });
    m_empty->setParent(this);
    m_empty->setAlignment(Qt::AlignCenter);
    m_empty->setWordWrap(true);
    m_empty->setForegroundRole(QPalette::PlaceholderText);
    m_empty->setBackgroundRole(QPalette::Base);
    m_empty->setAutoFillBackground(true);
    m_empty->setMargin(theme::kSection);
    m_empty->hide();
    styleAxes();
}

PlotView::~PlotView() = default;

QSize PlotView::minimumSizeHint() const
{
    return {180, 120};
}

void PlotView::setEmptyText(const QString& text)
{
    m_empty->setText(text);
    m_empty->setVisible(!text.isEmpty());
    m_empty->setGeometry(contentsRect().marginsRemoved(layout()->contentsMargins()));
    m_empty->raise();
}

QString PlotView::emptyText() const
{
    return m_empty->text();
}

void PlotView::copyImage() const
{
    QGuiApplication::clipboard()->setPixmap(m_plot->toPixmap(0, 0, kSavedScale));
}

void PlotView::copyData() const
{
    QGuiApplication::clipboard()->setText(csv());
}

void PlotView::saveAs(const QString& file)
{
    bool saved = false;
    if (file.endsWith(QStringLiteral(".pdf"), Qt::CaseInsensitive)) {
        saved = m_plot->savePdf(file);
    } else if (file.endsWith(QStringLiteral(".csv"), Qt::CaseInsensitive)) {
        QFile out(file);
        const QByteArray text = csv().toUtf8();
        saved = out.open(QIODevice::WriteOnly) && out.write(text) == text.size() && out.flush();
    } else {
        saved = m_plot->savePng(file, 0, 0, kSavedScale);
    }
    QW_REQUIRE(saved, ErrorCode::Io, file.toStdString(), ": could not be written");
}

void PlotView::extendMenu(QMenu& /*menu*/) {}

bool PlotView::event(QEvent* event)
{
    switch (event->type()) {
    case QEvent::PaletteChange:
    case QEvent::FontChange:
        styleAxes();
        restyle();
        m_plot->replot(QCustomPlot::rpQueuedReplot);
        break;
    case QEvent::FocusIn:
    case QEvent::FocusOut:
        update();
        break;
    default:
        break;
    }
    return QWidget::event(event);
}

void PlotView::contextMenuEvent(QContextMenuEvent* event)
{
    QMenu menu(this);
    fillMenu(menu);
    menu.exec(event->globalPos());
}

void PlotView::fillMenu(QMenu& menu)
{
    const QString filter = tr("Picture (*.png);;Document (*.pdf);;Numbers (*.csv)");
    const QString name =
        (accessibleName().isEmpty() ? tr("plot") : accessibleName()) + QStringLiteral(".png");
    menu.addAction(tr("Show &All"), this, [this] { showAll(); });
    menu.addSeparator();
    menu.addAction(tr("&Copy Image"), this, &PlotView::copyImage);
    menu.addAction(tr("Copy &Data as CSV"), this, &PlotView::copyData);
    menu.addAction(tr("&Save As\u2026"), this,
                   [this, name, filter] { Q_EMIT saveWanted(name, filter); });
    extendMenu(menu);
}

void PlotView::keyPressEvent(QKeyEvent* event)
{
    switch (event->key()) {
    case Qt::Key_Plus:
        zoom(1 / kZoomStep);
        break;
    case Qt::Key_Minus:
        zoom(kZoomStep);
        break;
    case Qt::Key_Left:
        moveBy(*m_plot->xAxis, -kMoveStep);
        break;
    case Qt::Key_Right:
        moveBy(*m_plot->xAxis, kMoveStep);
        break;
    case Qt::Key_Up:
        moveBy(*m_plot->yAxis, kMoveStep);
        break;
    case Qt::Key_Down:
        moveBy(*m_plot->yAxis, -kMoveStep);
        break;
    case Qt::Key_0:
        showAll();
        break;
    default:
        QWidget::keyPressEvent(event);
    }
}

void PlotView::zoom(double factor)
{
    m_plot->xAxis->scaleRange(factor);
    m_plot->yAxis->scaleRange(factor);
    m_plot->replot(QCustomPlot::rpQueuedReplot);
}

void PlotView::moveBy(QCPAxis& axis, double share)
{
    const QCPRange range = axis.range();
    if (axis.scaleType() == QCPAxis::stLogarithmic) {
        const double factor = std::pow(range.upper / range.lower, share);
        axis.setRange(range.lower * factor, range.upper * factor);
    } else {
        axis.moveRange((axis.rangeReversed() ? -share : share) * range.size());
    }
    m_plot->replot(QCustomPlot::rpQueuedReplot);
}

void PlotView::paintEvent(QPaintEvent* event)
{
    QWidget::paintEvent(event);
    QPainter painter(this);
    painter.setPen(palette().color(hasFocus() ? QPalette::Highlight : QPalette::Base));
    painter.drawRect(rect().adjusted(0, 0, -1, -1));
}

void PlotView::resizeEvent(QResizeEvent* event)
{
    QWidget::resizeEvent(event);
    m_empty->setGeometry(contentsRect().marginsRemoved(layout()->contentsMargins()));
}

bool PlotView::eventFilter(QObject* watched, QEvent* event)
{
    if (watched == m_plot && event->type() == QEvent::MouseMove) {
        const auto* mouse = static_cast<QMouseEvent*>(event);
        if (mouse->buttons() == Qt::NoButton) {
            hover(mouse->pos());
        }
    }
    return QWidget::eventFilter(watched, event);
}

void PlotView::showTip(const QPoint& position, const QString& text)
{
    if (text.isEmpty()) {
        QToolTip::hideText();
    } else {
        QToolTip::showText(m_plot->mapToGlobal(position + QPoint(12, 12)), text, m_plot);
    }
}

void PlotView::styleAxes()
{
    const QColor line = theme::quietText(palette());
    QFont ticks = font();
    ticks.setPointSizeF(ticks.pointSizeF() * kFontShare);
    m_plot->setBackground(palette().color(QPalette::Base));
    for (QCPAxis* axis : {m_plot->xAxis, m_plot->yAxis, m_plot->xAxis2, m_plot->yAxis2}) {
        axis->setBasePen(QPen(line, 1));
        axis->setTickPen(QPen(line, 1));
        axis->setSubTickPen(Qt::NoPen);
        axis->setTickLengthIn(0);
        axis->setTickLengthOut(4);
        axis->setTickLabelColor(palette().color(QPalette::Text));
        axis->setLabelColor(palette().color(QPalette::Text));
        axis->setTickLabelFont(ticks);
        axis->setLabelFont(ticks);
        axis->setTickLabelPadding(4);
        axis->setLabelPadding(3);
        axis->grid()->setPen(QPen(theme::hairline(palette()), 1));
        axis->grid()->setSubGridVisible(false);
        axis->grid()->setZeroLinePen(QPen(theme::hairline(palette()), 1));
    }
    m_plot->xAxis->grid()->setVisible(false);
}

} // namespace qw
