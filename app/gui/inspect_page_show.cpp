#include "app/gui/inspect_page.h"

#include <algorithm>
#include <cmath>

#include <QAbstractButton>
#include <QButtonGroup>
#include <QComboBox>
#include <QLabel>
#include <QStackedWidget>
#include <QToolButton>

#include "app/gui/app_state.h"
#include "app/gui/inspect_plots.h"
#include "app/gui/layer_inspector.h"
#include "app/gui/overrides.h"
#include "report/imported.h"
#include "report/layer_plots.h"
#include "report/method_settings.h"
#include "widgets/elided_label.h"
#include "widgets/heatmap_plot.h"
#include "widgets/number_text.h"
#include "widgets/report_text.h"
#include "widgets/series_plot.h"

// What InspectPage shows in its widgets; inspect_page.cpp makes and connects them.
namespace qw {

namespace {
using Map = LayerViewRequest::Map;
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

QString InspectPage::whyNoInputs() const
{
    const auto& run = m_state.runInView();
    return !run ? tr("choose a calibration text on the Quantize page")
           : run->spec.method == kImported
               ? tr("an imported run was made of files alone and has no calibration text")
               : tr("the run in view was made without a calibration text");
}

QString InspectPage::whyNotTheRuns() const
{
    const RunResult& run = *m_state.runInView();
    return run.artifactFolder.empty()
               ? tr("not the run's, which kept no artifact: rounded to nearest")
           : run.spec.method == kImported
               ? tr("not the run's, whose files have no codes of this layer: rounded to nearest")
               : tr("not the run's, whose artifact lacks this layer: rounded to nearest");
}

void InspectPage::fillMetrics()
{
    const QVariant before = m_metric->currentData();
    m_metric->clear();
    if (m_state.runInView()) {
        for (const LayerMetric metric : kLayerMetrics) {
            m_metric->addItem(report_text::translated(metricLabel(metric)),
                              static_cast<int>(metric));
        }
    }
    m_metric->addItem(tr("outlier ratio of weights"), OutlierMetric);
    m_metric->addItem(tr("stable rank"), StableRankMetric);
    const int kept = m_metric->findData(before);
    m_metric->setCurrentIndex(
        kept >= 0 && m_metric->count() > 2 && before.toInt() < OutlierMetric ? kept : 0);
    showOverview();
}

void InspectPage::showOverview()
{
    PlotData shown;
    const int metric = m_metric->currentData().toInt();
    if (metric < OutlierMetric && m_state.runInView()) {
        shown = layerPlot({*m_state.runInView()}, static_cast<LayerMetric>(metric)).plots.front();
        const bool known =
            std::any_of(shown.series.begin(), shown.series.end(), [](const Series& series) {
                return std::any_of(series.y.begin(), series.y.end(),
                                   [](double value) { return std::isfinite(value); });
            });
        if (!known) {
            shown.series.clear();
            const bool ofInputs = metric == static_cast<int>(LayerMetric::OutputError) ||
                                  metric == static_cast<int>(LayerMetric::Sqnr);
            const bool calibrated = !m_state.runInView()->spec.calibration.text.empty();
            shown.empty =
                tr("%1: %2")
                    .arg(m_metric->currentText(),
                         ofInputs && !calibrated ? whyNoInputs() : tr("the run in view has none"))
                    .toStdString();
        }
    } else if (m_state.model()) {
        Series bars;
        bars.draw = Series::Draw::Bars;
        shown.yLabel = m_metric->currentText().toStdString();
        double place = 0;
        for (const LayerOverview& layer : m_state.model()->layers) {
            const auto known = m_state.weights().find(layer.name);
            bars.x.push_back(place++);
            bars.y.push_back(known == m_state.weights().end() ? kMissing
                             : metric == OutlierMetric        ? known->second.overview.outlierRatio
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
    m_spectraNote->setFullText(m_inspector->spectraBusy() && spectra
                                   ? tr("S\u00b7E and R\u00bd\u00b7E are being computed\u2026")
                               : spectra && spectra->curves.size() < 3
                                   ? tr("S\u00b7E and R\u00bd\u00b7E: %1").arg(whyNoInputs())
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
                                             m_inspector->viewIsCurrent() ? &*view : nullptr);
    const bool known = !m_correction.singularValues.empty() && m_correction.rows > 0 && spectra;
    setRankUsable(known && isVisible());
    if (!known) {
        m_spectra->hideGuide();
        m_rankLabel->setText(QString());
        m_rankLabel->setToolTip(QString());
        return;
    }
    const std::int64_t last = std::min(m_correction.rows, m_correction.cols);
    const bool corrects = looksAt(spec.method, spec.lowRank.correction, "low_rank.rank");
    const LayerResult* stored = storedLayer();
    const std::int64_t start = stored != nullptr ? stored->rank
                               : corrects ? settingsFor(spec, m_state.layer().toStdString()).rank
                                          : 0;
    const std::int64_t rank = std::clamp<std::int64_t>(m_rank >= 0 ? m_rank : start, 0, last);
    if (m_spectra->guide() != rank) {
        m_spectra->setGuide(rank, last);
    }
    const RankPoint point = atRank(m_correction, rank);
    const std::string kind = inspect_plots::minimisedKind(spec);
    QStringList parts = {
        rank == 0 && rank == start ? tr("rank 0, no correction") : tr("rank %1").arg(rank),
        tr("%1 energy of %2").arg(text::percent(point.energy), inspect_plots::kindTitle(kind))};
    if (const QString error = inspect_plots::errorText(point, kind); !error.isEmpty()) {
        parts << error;
    }
    parts << tr("%1 bits per weight").arg(text::bitsPerWeight(point.bitsPerWeight))
          << tr("layer %1").arg(text::megabytes(point.bytes));
    std::int64_t bytes = 0; // of all layers
    if (m_state.runInView()) {
        for (const LayerResult& layer : m_state.runInView()->layers) {
            bytes +=
                atRank(correctionSpectrum(layer, spec), std::min({rank, layer.rows, layer.cols}))
                    .bytes;
        }
    } else if (m_inspector->plainBytes() && m_state.model()) {
        bytes = inspect_plots::modelBytes(spec, *m_state.model(), *m_inspector->plainBytes(), rank);
    }
    QString exact = tr("This layer: %1").arg(text::exactBytes(point.bytes));
    if (bytes > 0) {
        parts << tr("all layers at this rank %1").arg(text::megabytes(bytes));
        exact += u'\n' + tr("All layers at this rank: %1").arg(text::exactBytes(bytes));
    }
    m_rankLabel->setToolTip(exact);
    for (QString& part : parts) { // lines break between the parts only
        part.replace(u' ', QChar::Nbsp);
    }
    m_rankLabel->setText(parts.join(QStringLiteral("\u00a0\u00b7 ")));
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
    m_weightsNote->setFullText(
        !view ? QString()
        : view->skipped
            ? tr("left as it is")
            : tr("lines: the grid of a typical group, %1")
                  .arg(view->fromRun ? tr("as the run deployed it") : tr("rounded to nearest")));
}

void InspectPage::showMapKinds()
{
    const bool text = !m_inspector->spec().calibration.text.empty();
    QAbstractButton* scaled = m_mapKinds->button(static_cast<int>(Map::ScaledError));
    if (!text && scaled->isChecked()) {
        m_mapKinds->button(static_cast<int>(Map::Error))->setChecked(true);
        m_inspector->setMap(Map::Error);
    }
    scaled->setEnabled(text);
    scaled->setToolTip(text
                           ? tr("The error times the mean |x| of its input channel, the largest of "
                                "the batches: what the output feels")
                           : tr("The sizes of the inputs are not known: %1").arg(whyNoInputs()));
}

void InspectPage::showMap()
{
    const auto& view = m_inspector->view();
    m_mapNote->setFullText(!view || m_inspector->map() == Map::Weight ? QString()
                           : view->skipped ? tr("left as it is: no error")
                           : m_inspector->map() == Map::ScaledError &&
                                   m_inspector->shownMap() == Map::Error
                               ? tr("without the sizes of the inputs, which are not known yet")
                           : view->fromRun       ? tr("as the run deployed it")
                           : m_state.runInView() ? whyNotTheRuns()
                                                 : tr("rounded to nearest"));
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
    if (channels != nullptr) {
        shown = inspect_plots::channels(*channels, m_inspector->allChannels());
    } else {
        shown.empty = (m_inspector->channelsBusy()
                           ? tr("running the calibration text through the model\u2026")
                       : !m_inspector->channelsProblem().isEmpty()
                           ? m_inspector->channelsProblem()
                           : tr("No input channels: %1").arg(whyNoInputs()))
                          .toStdString();
    }
    m_channels->setData(shown);
    showMeasuring();
}

void InspectPage::showMeasuring()
{
    const bool busy = m_inspector->channelsBusy();
    const Progress& now = m_inspector->channelsProgress();
    if (busy && now.total > 0) {
        m_channelsNote->setFullText(
            tr("measuring, block %1 of %2").arg(std::min(now.done + 1, now.total)).arg(now.total));
    } else if (const ChannelStatistics* known = m_inspector->channels(m_state.layer())) {
        const auto count = inspect_plots::outliers(known->meanAbs).size();
        m_channelsNote->setFullText(count == 0   ? tr("none stands out")
                                    : count == 1 ? tr("1 channel stands out")
                                                 : tr("%1 channels stand out").arg(count));
    } else {
        m_channelsNote->setFullText({});
    }
    m_measure->setVisible(m_corner->currentIndex() == 0 &&
                          (busy || !m_inspector->channelsProblem().isEmpty()));
    m_measure->setText(busy ? tr("Cancel") : tr("Measure"));
    m_measure->setToolTip(busy ? tr("Stops running the calibration text through the model")
                               : tr("Runs the calibration text through the model once more"));
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
    const QString prefix = QStringLiteral("model.");
    QStringList parts = {m_state.layer().startsWith(prefix) ? m_state.layer().mid(prefix.size())
                                                            : m_state.layer()};
    const auto known = m_state.weights().find(m_state.layer().toStdString());
    if (known != m_state.weights().end()) {
        const LayerOverview& o = known->second.overview;
        parts << QStringLiteral("%1 \u00d7 %2").arg(o.rows).arg(o.cols)
              << tr("%1 .. %2").arg(text::number(o.minimum, 3), text::number(o.maximum, 3))
              << tr("stable rank %1").arg(text::number(known->second.stableRank, 1));
    }
    if (m_inspector->spectra()) {
        parts << tr("%1 above the MP edge").arg(m_inspector->spectra()->aboveEdge);
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
