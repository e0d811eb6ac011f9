#include "app/gui/inspect_page.h"

#include <QButtonGroup>
#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QMenu>
#include <QSplitter>
#include <QStackedWidget>
#include <QTimer>
#include <QToolButton>
#include <QVBoxLayout>

#include "app/gui/app_state.h"
#include "app/gui/layer_inspector.h"
#include "app/gui/layer_runs.h"
#include "app/gui/plot_exports.h"
#include "app/gui/settings.h"
#include "widgets/elided_label.h"
#include "widgets/heatmap_plot.h"
#include "widgets/series_plot.h"
#include "widgets/theme.h"

namespace qw {

namespace {
using Map = LayerViewRequest::Map;
constexpr int kOverviewInterval = 200; // milliseconds between updates while layers are measured

QLabel* titled(const QString& text)
{
    auto* label = new QLabel(text);
    QFont bold = label->font();
    bold.setBold(true);
    label->setFont(bold);
    return label;
}

ElidedLabel* quiet(const char* name)
{
    auto* label = new ElidedLabel; // a sentence must not widen the window
    label->setObjectName(QString::fromLatin1(name));
    label->setForegroundRole(QPalette::PlaceholderText);
    return label;
}

/// A plot with a line of title and controls above it.
QWidget* panel(const QList<QWidget*>& head, QWidget* plot)
{
    auto* widget = new QFrame;
    widget->setAutoFillBackground(true);
    widget->setBackgroundRole(QPalette::Base);
    auto* line = new QHBoxLayout;
    line->setContentsMargins(theme::kGap, theme::kTight, theme::kGap, 0);
    line->setSpacing(theme::kGap);
    for (QWidget* part : head) {
        part == nullptr ? line->addStretch(1) : line->addWidget(part);
    }
    auto* layout = new QVBoxLayout(widget);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addLayout(line);
    layout->addWidget(plot, 1);
    return widget;
}
} // namespace

InspectPage::InspectPage(AppState& state, Dialogs& dialogs, QWidget* parent)
    : QWidget(parent), m_state(state), m_dialogs(dialogs),
      m_inspector(new LayerInspector(state, this))
{
    setObjectName(QStringLiteral("inspectPage"));
    QWidget* overview = makeOverview();
    m_top = new QSplitter(Qt::Horizontal);
    m_top->addWidget(makeSpectra());
    m_top->addWidget(makeWeights());
    m_bottom = new QSplitter(Qt::Horizontal);
    m_bottom->addWidget(makeMap());
    m_bottom->addWidget(makeChannels());
    m_rows = new QSplitter(Qt::Vertical);
    m_rows->addWidget(overview);
    m_rows->addWidget(m_top);
    m_rows->addWidget(m_bottom);
    m_rows->setSizes({150, 280, 260});
    for (QSplitter* splitter : {m_rows, m_top, m_bottom}) {
        splitter->setChildrenCollapsible(false);
        splitter->setHandleWidth(theme::kTight);
    }
    m_top->setSizes({500, 500});
    m_bottom->setSizes({500, 500});
    m_numbers = new ElidedLabel;
    m_numbers->setObjectName(QStringLiteral("layerNumbersLabel"));
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(theme::kTight, theme::kTight, theme::kGap, theme::kTight);
    layout->setSpacing(theme::kTight);
    layout->addWidget(m_rows, 1);
    layout->addWidget(m_numbers);
    connectPlots();
    fillMetrics();
    showSpectra();
    showWeights();
    showChannels();
}

QWidget* InspectPage::makeOverview()
{
    m_metric = new QComboBox;
    m_metric->setObjectName(QStringLiteral("overviewMetricComboBox"));
    m_metric->setAccessibleName(tr("What the overview shows"));
    m_overview = new SeriesPlot;
    m_overview->setObjectName(QStringLiteral("overviewPlot"));
    m_overview->setAccessibleName(tr("All layers"));
    m_overview->setMinimumHeight(100);
    auto* hint = quiet("overviewHintLabel");
    hint->setFullText(tr("click a bar to go there; or arrows and Return"));
    return panel({titled(tr("All layers")), m_metric, nullptr, hint}, m_overview);
}

QWidget* InspectPage::makeSpectra()
{
    m_spectra = new SeriesPlot;
    m_spectra->setObjectName(QStringLiteral("spectraPlot"));
    m_spectra->setAccessibleName(tr("Singular values"));
    m_spectraNote = quiet("spectraNoteLabel");
    m_rankLabel = new QLabel;
    m_rankLabel->setObjectName(QStringLiteral("rankLabel"));
    m_rankLabel->setTextFormat(Qt::PlainText);
    m_rankLabel->setWordWrap(true);
    m_rankLabel->setContentsMargins(theme::kGap, 0, theme::kGap, theme::kTight);
    m_useRank = new QToolButton;
    m_useRank->setObjectName(QStringLiteral("useRankButton"));
    m_useRank->setText(tr("Use This Rank For"));
    m_useRank->setFocusPolicy(Qt::StrongFocus);
    m_useRank->setPopupMode(QToolButton::InstantPopup);
    m_useRank->setToolTip(tr("Writes the rank at the line into the next run"));
    auto* menu = new QMenu(tr("&Use This Rank For"), m_useRank);
    const QStringList scopes = {tr("&This Layer"), tr("All Layers of This &Kind"),
                                tr("&All Layers")};
    const QStringList names = {QStringLiteral("rankForLayerAction"),
                               QStringLiteral("rankForKindAction"),
                               QStringLiteral("rankForAllAction")};
    for (int scope = 0; scope < scopes.size(); ++scope) {
        QAction* action = menu->addAction(scopes[scope]);
        action->setObjectName(names[scope]);
        action->setStatusTip(m_useRank->toolTip());
        connect(action, &QAction::triggered, this, [this, scope] { useRank(scope); });
    }
    m_useRank->setMenu(menu);
    auto* body = new QWidget;
    auto* layout = new QVBoxLayout(body);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(m_spectra, 1);
    layout->addWidget(m_rankLabel);
    return panel({titled(tr("Spectra")), m_spectraNote, nullptr, m_useRank}, body);
}

QWidget* InspectPage::makeWeights()
{
    m_weights = new SeriesPlot;
    m_weights->setObjectName(QStringLiteral("weightsPlot"));
    m_weights->setAccessibleName(tr("Weight histogram"));
    m_weightsNote = quiet("weightsNoteLabel");
    return panel({titled(tr("Weights")), m_weightsNote, nullptr}, m_weights);
}

QWidget* InspectPage::makeMap()
{
    m_map = new HeatmapPlot;
    m_map->setObjectName(QStringLiteral("mapPlot"));
    m_map->setAccessibleName(tr("Map of the matrix"));
    m_mapKinds = new QButtonGroup(this);
    QList<QWidget*> head = {titled(tr("Map"))};
    const QStringList titles = {tr("weight"), tr("error"), tr("S\u00b7error")};
    const QStringList tips = {tr("The weights as stored"),
                              tr("Weight minus what is deployed for it"),
                              QString()}; // showMapKinds() says
    for (int kind = 0; kind < titles.size(); ++kind) {
        auto* button = new QToolButton;
        button->setObjectName(QStringLiteral("map%1Button").arg(kind));
        button->setText(titles[kind]);
        button->setToolTip(tips[kind]);
        button->setCheckable(true);
        button->setAutoRaise(true);
        button->setFocusPolicy(Qt::StrongFocus);
        button->setChecked(kind == 0);
        m_mapKinds->addButton(button, kind);
        head << button;
    }
    m_mapNote = quiet("mapNoteLabel");
    head << m_mapNote << nullptr;
    connect(m_mapKinds, &QButtonGroup::idClicked, this,
            [this](int kind) { m_inspector->setMap(static_cast<Map>(kind)); });
    return panel(head, m_map);
}

QWidget* InspectPage::makeChannels()
{
    m_channels = new SeriesPlot;
    m_channels->setObjectName(QStringLiteral("channelsPlot"));
    m_channels->setAccessibleName(tr("Input channels"));
    m_channelsNote = quiet("channelsNoteLabel");
    m_runs = new LayerRuns(m_state);
    m_corner = new QStackedWidget;
    m_corner->addWidget(m_channels);
    m_corner->addWidget(m_runs);
    auto* pages = new QButtonGroup(this);
    const auto add = [&](const QString& text, const QString& tip, const char* name) {
        auto* button = new QToolButton;
        button->setObjectName(QString::fromLatin1(name));
        button->setText(text);
        button->setToolTip(tip);
        button->setCheckable(true);
        button->setAutoRaise(true);
        button->setFocusPolicy(Qt::StrongFocus);
        pages->addButton(button, static_cast<int>(pages->buttons().size()));
        return button;
    };
    QToolButton* channels = add(tr("Channels"),
                                tr("Sizes of the input channels on the "
                                   "calibration text"),
                                "cornerChannelsButton");
    QToolButton* runs =
        add(tr("All runs"), tr("What every stored run did to this layer"), "cornerRunsButton");
    channels->setChecked(true);
    m_measure = new QToolButton;
    m_measure->setObjectName(QStringLiteral("measureChannelsButton"));
    m_measure->setFocusPolicy(Qt::StrongFocus);
    connect(m_measure, &QToolButton::clicked, this, [this] {
        m_inspector->channelsBusy() ? m_inspector->cancelChannels()
                                    : m_inspector->measureChannels();
    });
    connect(pages, &QButtonGroup::idClicked, this, &InspectPage::showCorner);
    return panel({channels, runs, m_channelsNote, nullptr, m_measure}, m_corner);
}

void InspectPage::showCorner(int page)
{
    m_corner->setCurrentIndex(page);
    m_channelsNote->setVisible(page == 0);
    showMeasuring();
}

void InspectPage::connectPlots()
{
    for (PlotView* plot : {static_cast<PlotView*>(m_overview), static_cast<PlotView*>(m_spectra),
                           static_cast<PlotView*>(m_weights), static_cast<PlotView*>(m_map),
                           static_cast<PlotView*>(m_channels)}) {
        connectExports(*plot, m_dialogs);
    }
    m_overviewTimer = new QTimer(this);
    m_overviewTimer->setSingleShot(true);
    m_overviewTimer->setInterval(kOverviewInterval);
    connect(m_overviewTimer, &QTimer::timeout, this, &InspectPage::showOverview);
    connect(m_metric, &QComboBox::activated, this, &InspectPage::showOverview);
    connect(m_overview, &SeriesPlot::pointClicked, &m_state, &AppState::selectLayer);
    connect(m_spectra, &SeriesPlot::guideMoved, this, [this](qint64 rank) {
        m_rank = rank;
        showRank();
    });
    connect(m_map, &HeatmapPlot::areaWanted, m_inspector, &LayerInspector::setArea);
    connect(m_inspector, &LayerInspector::spectraChanged, this, &InspectPage::showSpectra);
    connect(m_inspector, &LayerInspector::viewChanged, this, [this] {
        showWeights();
        showMap();
        showRank();
    });
    connect(m_inspector, &LayerInspector::channelsChanged, this, &InspectPage::showChannels);
    connect(m_inspector, &LayerInspector::plainBytesKnown, this, &InspectPage::showRank);
    connect(m_inspector, &LayerInspector::channelsProgressed, this, &InspectPage::showMeasuring);
    connect(&m_state, &AppState::draftChanged, this, &InspectPage::showMapKinds);
    connect(m_inspector, &LayerInspector::problemChanged, this, &InspectPage::showNumbers);
    connect(&m_state, &AppState::modelChanged, this, &InspectPage::fillMetrics);
    connect(&m_state, &AppState::runInViewChanged, this, [this] {
        m_rank = -1;
        showMapKinds();
        fillMetrics();
        showNumbers();
    });
    connect(&m_state, &AppState::layerChanged, this, [this] {
        m_overview->setHighlighted({m_state.layer().toStdString()});
        showChannels();
        showNumbers();
    });
    connect(&m_state, &AppState::weightsMeasured, this, [this](const WeightStatistics& layer) {
        if (m_metric->currentData().toInt() >= OutlierMetric && isVisible() &&
            !m_overviewTimer->isActive()) {
            m_overviewTimer->start(); // layers come by the hundred a second
        }
        if (QString::fromStdString(layer.overview.name) == m_state.layer()) {
            showNumbers();
        }
    });
}

std::optional<std::int64_t> InspectPage::rank() const
{
    return m_spectra->guide();
}

QMenu* InspectPage::rankMenu() const
{
    return m_useRank->menu();
}

PlotView* InspectPage::mainPlot() const
{
    return m_spectra;
}

void InspectPage::setRankUsable(bool usable)
{
    m_useRank->setEnabled(usable);
    m_useRank->menu()->menuAction()->setEnabled(usable);
    for (QAction* action : m_useRank->menu()->actions()) {
        action->setEnabled(usable);
    }
}

void InspectPage::saveSession()
{
    m_state.settings().set(
        Settings::Key::InspectSplitters,
        QVariantList{m_rows->saveState(), m_top->saveState(), m_bottom->saveState()});
}

void InspectPage::restoreSession()
{
    const QVariantList states = m_state.settings().value(Settings::Key::InspectSplitters).toList();
    if (states.size() == 3) {
        m_rows->restoreState(states[0].toByteArray());
        m_top->restoreState(states[1].toByteArray());
        m_bottom->restoreState(states[2].toByteArray());
    }
}

void InspectPage::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    showMapKinds();
    m_inspector->setActive(true);
    showOverview();
    showRank();
    showNumbers();
}

void InspectPage::hideEvent(QHideEvent* event)
{
    QWidget::hideEvent(event);
    setRankUsable(false); // the line that says which is out of sight
    m_inspector->setActive(false);
}

} // namespace qw
