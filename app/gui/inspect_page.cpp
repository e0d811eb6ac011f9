#include "app/gui/inspect_page.h"

#include <algorithm>
#include <cmath>

#include <QButtonGroup>
#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QMenu>
#include <QPushButton>
#include <QSplitter>
#include <QToolButton>
#include <QVBoxLayout>

#include "app/gui/app_state.h"
#include "app/gui/inspect_plots.h"
#include "app/gui/layer_inspector.h"
#include "app/gui/overrides.h"
#include "app/gui/plot_exports.h"
#include "app/gui/settings.h"
#include "report/layer_plots.h"
#include "widgets/elided_label.h"
#include "widgets/heatmap_plot.h"
#include "widgets/number_text.h"
#include "widgets/series_plot.h"
#include "widgets/theme.h"

namespace qw {

namespace {
using Map = LayerViewRequest::Map;
enum RankScope { ThisLayer, ThisKind, AllLayers };
// Metrics of the overview that need no run, after the last LayerMetric.
constexpr int kOutlierMetric = 100;
constexpr int kStableRankMetric = 101;

QLabel* titled(const QString& text)
{
    auto* label = new QLabel(text);
    QFont bold = label->font();
    bold.setBold(true);
    label->setFont(bold);
    return label;
}

QLabel* quiet(const char* name)
{
    auto* label = new QLabel;
    label->setObjectName(QString::fromLatin1(name));
    label->setForegroundRole(QPalette::PlaceholderText);
    label->setTextFormat(Qt::PlainText);
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
    m_rows->setSizes({120, 300, 280});
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
    m_overview->setMinimumHeight(90);
    auto* hint = quiet("overviewHintLabel");
    hint->setText(tr("click a bar to go there"));
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
    m_useRank->setPopupMode(QToolButton::InstantPopup);
    m_useRank->setToolTip(tr("Writes the rank at the line into the next run"));
    auto* menu = new QMenu(m_useRank);
    const QStringList scopes = {tr("&This Layer"), tr("All Layers of This &Kind"),
                                tr("&All Layers")};
    const QStringList names = {QStringLiteral("rankForLayerAction"),
                               QStringLiteral("rankForKindAction"),
                               QStringLiteral("rankForAllAction")};
    for (int scope = 0; scope < scopes.size(); ++scope) {
        QAction* action = menu->addAction(scopes[scope]);
        action->setObjectName(names[scope]);
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
    const QStringList tips = {
        tr("The weights as stored"), tr("Weight minus what is deployed for it"),
        tr("The error times the size of its input channel: what the output feels")};
    for (int kind = 0; kind < titles.size(); ++kind) {
        auto* button = new QToolButton;
        button->setObjectName(QStringLiteral("map%1Button").arg(kind));
        button->setText(titles[kind]);
        button->setToolTip(tips[kind]);
        button->setCheckable(true);
        button->setAutoRaise(true);
        button->setChecked(kind == 0);
        m_mapKinds->addButton(button, kind);
        head << button;
    }
    head << nullptr;
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
    return panel({titled(tr("Channels")), m_channelsNote, nullptr}, m_channels);
}

void InspectPage::connectPlots()
{
    for (PlotView* plot : {static_cast<PlotView*>(m_overview), static_cast<PlotView*>(m_spectra),
                           static_cast<PlotView*>(m_weights), static_cast<PlotView*>(m_map),
                           static_cast<PlotView*>(m_channels)}) {
        connectExports(*plot, m_dialogs);
    }
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
    connect(m_inspector, &LayerInspector::problemChanged, this, &InspectPage::showNumbers);
    connect(&m_state, &AppState::modelChanged, this, &InspectPage::fillMetrics);
    connect(&m_state, &AppState::runInViewChanged, this, [this] {
        m_rank = -1;
        fillMetrics();
        showNumbers();
    });
    connect(&m_state, &AppState::layerChanged, this, [this] {
        m_overview->setHighlighted({m_state.layer().toStdString()});
        showChannels();
        showNumbers();
    });
    connect(&m_state, &AppState::weightsMeasured, this, [this](const WeightStatistics& layer) {
        if (m_metric->currentData().toInt() >= kOutlierMetric && isVisible()) {
            showOverview();
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
    m_inspector->setActive(true);
    showOverview();
    showNumbers();
}

void InspectPage::hideEvent(QHideEvent* event)
{
    QWidget::hideEvent(event);
    m_inspector->setActive(false);
}

const LayerResult* InspectPage::storedLayer() const
{
    if (!m_state.runInView()) {
        return nullptr;
    }
    const std::string name = m_state.layer().toStdString();
    const auto& layers = m_state.runInView()->layers;
    const auto found = std::find_if(layers.begin(), layers.end(),
                                    [&](const LayerResult& layer) { return layer.name == name; });
    return found == layers.end() ? nullptr : &*found;
}

void InspectPage::fillMetrics()
{
    const QVariant before = m_metric->currentData();
    m_metric->clear();
    if (m_state.runInView()) {
        for (const LayerMetric metric : kLayerMetrics) {
            m_metric->addItem(QString::fromStdString(metricLabel(metric)),
                              static_cast<int>(metric));
        }
    }
    m_metric->addItem(tr("outlier ratio of weights"), kOutlierMetric);
    m_metric->addItem(tr("stable rank"), kStableRankMetric);
    const int kept = m_metric->findData(before);
    m_metric->setCurrentIndex(
        kept >= 0 && m_metric->count() > 2 && before.toInt() < kOutlierMetric ? kept : 0);
    showOverview();
}

void InspectPage::showOverview()
{
    PlotData shown;
    const int metric = m_metric->currentData().toInt();
    if (metric < kOutlierMetric && m_state.runInView()) {
        shown = layerPlot({*m_state.runInView()}, static_cast<LayerMetric>(metric)).plots.front();
    } else if (m_state.model()) {
        Series bars;
        bars.draw = Series::Draw::Bars;
        shown.yLabel = m_metric->currentText().toStdString();
        double place = 0;
        for (const LayerOverview& layer : m_state.model()->layers) {
            const auto known = m_state.weights().find(layer.name);
            bars.x.push_back(place++);
            bars.y.push_back(known == m_state.weights().end() ? kMissing
                             : metric == kOutlierMetric       ? known->second.overview.outlierRatio
                                                              : known->second.stableRank);
            bars.keys.push_back(layer.name);
            bars.labels.push_back(layer.name);
        }
        shown.xLabel = tr("layer").toStdString();
        shown.series = {bars};
    } else {
        shown.empty = tr("Open a model to see its layers").toStdString();
    }
    shown.yLabel.clear(); // the box above says it
    m_overview->setData(shown);
    m_overview->setHighlighted({m_state.layer().toStdString()});
}

void InspectPage::showSpectra()
{
    const auto& spectra = m_inspector->spectra();
    PlotData shown;
    if (spectra) {
        shown = inspect_plots::spectra(*spectra);
    }
    if (shown.series.empty()) {
        shown.empty = (m_inspector->spectraBusy() ? tr("computing singular values\u2026")
                                                  : tr("Select a layer to see its singular values"))
                          .toStdString();
    }
    m_spectra->setData(shown);
    m_spectraNote->setText(m_inspector->spectraBusy() && spectra
                               ? tr("S\u00b7E and R\u00bd\u00b7E are being computed\u2026")
                           : spectra && spectra->curves.size() < 3
                               ? tr("S\u00b7E and R\u00bd\u00b7E need a calibration text")
                               : QString());
    showRank();
    showNumbers();
}

void InspectPage::showRank()
{
    const auto& spectra = m_inspector->spectra();
    const auto& view = m_inspector->view();
    const RunSpec spec = m_inspector->spec();
    m_correction = inspect_plots::correction(spec, storedLayer(), spectra ? &*spectra : nullptr,
                                             view ? &*view : nullptr);
    const bool known = !m_correction.singularValues.empty() && m_correction.rows > 0 && spectra;
    m_useRank->setEnabled(known);
    if (!known) {
        m_spectra->hideGuide();
        m_rankLabel->setText(QString());
        return;
    }
    const std::int64_t last = std::min(m_correction.rows, m_correction.cols);
    const std::int64_t start = settingsFor(spec, m_state.layer().toStdString()).rank;
    const std::int64_t rank = std::clamp<std::int64_t>(m_rank >= 0 ? m_rank : start, 0, last);
    if (m_spectra->guide() != rank) {
        m_spectra->setGuide(rank, last);
    }
    const RankPoint point = atRank(m_correction, rank);
    const QString matrix = inspect_plots::kindTitle(inspect_plots::minimisedKind(spec.method));
    QStringList parts = {tr("rank %1").arg(rank),
                         tr("%1 of the energy of %2").arg(text::percent(point.energy), matrix)};
    if (std::isfinite(point.outputError)) {
        parts << tr("output error %1 (%2)")
                     .arg(text::percent(point.outputError),
                          text::decibel(-20 * std::log10(point.outputError)));
    } else if (std::isfinite(point.weightError)) {
        parts << tr("weight error %1").arg(text::percent(point.weightError));
    }
    parts << tr("%1 bits per weight").arg(text::bitsPerWeight(point.bitsPerWeight))
          << tr("layer %1").arg(text::megabytes(point.bytes));
    if (m_state.runInView()) {
        std::int64_t bytes = 0;
        for (const LayerResult& layer : m_state.runInView()->layers) {
            bytes +=
                atRank(correctionSpectrum(layer, spec), std::min({rank, layer.rows, layer.cols}))
                    .bytes;
        }
        parts << tr("all layers at this rank %1").arg(text::megabytes(bytes));
    }
    for (QString& part : parts) { // lines break between the parts only
        part.replace(u' ', QChar::Nbsp);
    }
    m_rankLabel->setText(parts.join(QStringLiteral(" \u00b7 ")));
}

void InspectPage::showWeights()
{
    const auto& view = m_inspector->view();
    PlotData shown;
    if (view) {
        shown = inspect_plots::histogram(*view);
    } else {
        shown.empty = tr("Select a layer to see its weights").toStdString();
    }
    m_weights->setData(shown);
    m_weights->setVerticals(view ? view->gridPoints : std::vector<double>());
    m_weightsNote->setText(
        !view ? QString()
              : tr("lines: the grid of a typical group, %1")
                    .arg(view->fromRun ? tr("as the run deployed it") : tr("rounded to nearest")));
}

void InspectPage::showMap()
{
    const auto& view = m_inspector->view();
    if (!view) {
        Heatmap empty;
        empty.empty = tr("Select a layer to see its matrix").toStdString();
        m_map->setData(empty, {}, {});
        return;
    }
    m_map->setData(view->map,
                   QRectF(static_cast<double>(view->firstCol), static_cast<double>(view->firstRow),
                          static_cast<double>(view->mapCols), static_cast<double>(view->mapRows)),
                   QSizeF(static_cast<double>(view->cols), static_cast<double>(view->rows)));
}

void InspectPage::showChannels()
{
    const ChannelStatistics* channels = m_inspector->channels(m_state.layer());
    PlotData shown;
    QString note;
    if (channels != nullptr) {
        shown = inspect_plots::channels(*channels, m_inspector->allChannels());
        const auto count = inspect_plots::outliers(channels->meanAbs).size();
        note = count == 0   ? tr("none stands out")
               : count == 1 ? tr("1 channel stands out")
                            : tr("%1 channels stand out").arg(count);
    } else {
        shown.empty = (m_inspector->channelsBusy()
                           ? tr("running the calibration text through the model\u2026")
                           : tr("Choose a calibration text on the Quantize page to see the input "
                                "channels"))
                          .toStdString();
    }
    m_channels->setData(shown);
    m_channelsNote->setText(note);
}

void InspectPage::showNumbers()
{
    if (!m_inspector->problem().isEmpty()) {
        m_numbers->setFullText(m_inspector->problem());
        return;
    }
    if (!m_state.model() || m_state.layer().isEmpty()) {
        m_numbers->setFullText({});
        return;
    }
    QStringList parts = {m_state.layer()};
    const auto known = m_state.weights().find(m_state.layer().toStdString());
    if (known != m_state.weights().end()) {
        const LayerOverview& o = known->second.overview;
        parts << QStringLiteral("%1 \u00d7 %2").arg(o.rows).arg(o.cols)
              << tr("%1 .. %2").arg(text::number(o.minimum, 3), text::number(o.maximum, 3))
              << tr("stable rank %1").arg(text::number(known->second.stableRank, 1));
    }
    if (m_inspector->spectra()) {
        parts << tr("%1 above the random edge").arg(m_inspector->spectra()->aboveEdge);
    }
    if (const LayerResult* layer = storedLayer()) {
        parts << tr("error %1").arg(text::percent(layer->outputError))
              << text::decibel(layer->sqnrDb)
              << tr("%1 b/w").arg(text::bitsPerWeight(layer->bitsPerWeight));
    }
    m_numbers->setFullText(parts.join(QStringLiteral("  \u00b7  ")));
}

void InspectPage::useRank(int scope)
{
    const auto chosen = m_spectra->guide();
    if (!chosen) {
        return;
    }
    LayerOverride change;
    change.rank = *chosen;
    const QString layer = m_state.layer();
    if (scope == ThisLayer) {
        m_state.editDraft(overrides::forLayers(m_state.draft(), {layer}, change),
                          tr("Rank %1 for %2").arg(*chosen).arg(layer));
    } else if (scope == ThisKind) {
        m_state.editDraft(overrides::forKind(m_state.draft(), layer, change),
                          tr("Rank %1 for all %2").arg(*chosen).arg(text::shortLayerName(layer)));
    } else {
        m_state.editDraft(overrides::rankForAll(m_state.draft(), *chosen),
                          tr("Rank %1 for all layers").arg(*chosen));
    }
}

} // namespace qw
