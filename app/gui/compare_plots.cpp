#include "app/gui/compare_plots.h"

#include <array>
#include <set>
#include <utility>

#include <QComboBox>
#include <QGuiApplication>
#include <QHBoxLayout>
#include <QLabel>
#include <QSignalBlocker>
#include <QSplitter>
#include <QVBoxLayout>

#include "app/gui/app_state.h"
#include "app/gui/compared_runs.h"
#include "app/gui/layer_pair_tab.h"
#include "app/gui/plot_exports.h"
#include "app/gui/settings_tab.h"
#include "app/gui/text_panel.h"
#include "report/layer_plots.h"
#include "report/loss_plots.h"
#include "report/run_plots.h"
#include "widgets/block_table.h"
#include "widgets/parallel_view.h"
#include "widgets/report_text.h"
#include "widgets/series_plot.h"
#include "widgets/theme.h"

namespace qw {

using namespace Qt::Literals::StringLiterals;

namespace {
/// What of the plots is kept between starts: all but the layer and the block, which depend on runs.
constexpr std::array kKeptBoxes = {"paretoQualityComboBox", "paretoSizeComboBox",
                                   "rankQualityComboBox", "layerMetricComboBox"};

Quality qualityOf(const QComboBox* box)
{
    return static_cast<Quality>(box->currentData().toInt());
}

std::size_t pointCount(const PlotData& plot)
{
    return plot.series.empty() ? 0 : plot.series.front().keys.size();
}

std::size_t pointCount(const ParallelPlot& plot)
{
    return plot.lines.size();
}
} // namespace

ComparePlots::ComparePlots(AppState& state, ComparedRuns& runs, Dialogs& dialogs, QWidget* parent)
    : QTabWidget(parent), m_state(state), m_runs(runs), m_dialogs(dialogs)
{
    setObjectName(u"compareTabs"_s);
    setDocumentMode(true);
    setUsesScrollButtons(true);
    addQualityViews();
    addLayerViews();
    addOtherViews();
    addTextView();
    connect(this, &QTabWidget::currentChanged, this, &ComparePlots::refresh);
    connect(&m_runs, &ComparedRuns::runsChanged, this, &ComparePlots::refreshAll);
    connect(&m_runs, &ComparedRuns::detailsChanged, this, [this] {
        fillLayerNames();
        fillBlocks();
        for (View& view : m_views) {
            view.stale = view.stale || view.layers;
        }
        refresh();
    });
    connect(&m_runs, &ComparedRuns::selectionChanged, this, [this] {
        showHighlights();
        for (View& view : m_views) {
            view.stale = view.stale || view.ofSelection;
        }
        refresh();
    });
    connect(&m_state, &AppState::layerChanged, this, [this] {
        fillLayerNames();
        for (View& view : m_views) {
            view.stale = view.stale || view.layers;
        }
        refresh();
    });
    connect(&m_worker, &Background::failed, this,
            [this](const QString& sentence, const QString& details) {
                Q_EMIT m_state.problem(tr("Cannot Draw the Runs"), sentence, details);
            });
}

QComboBox* ComparePlots::makeBox(const QString& name, const QString& label)
{
    auto* box = new QComboBox;
    box->setObjectName(name);
    box->setAccessibleName(label);
    box->setToolTip(label);
    connect(box, &QComboBox::activated, this, &ComparePlots::refreshAll);
    return box;
}

QComboBox* ComparePlots::qualityBox(const QString& name)
{
    QComboBox* box = makeBox(name, tr("Quality"));
    for (const Quality quality :
         {Quality::Perplexity, Quality::DeltaNll, Quality::Kl, Quality::Top1}) {
        box->addItem(report_text::translated(qualityLabel(quality)), static_cast<int>(quality));
    }
    return box;
}

SeriesPlot* ComparePlots::makePlot(const QString& name, const QString& label, bool keysAreLayers)
{
    auto* plot = new SeriesPlot;
    plot->setObjectName(name);
    plot->setAccessibleName(label);
    connectExports(*plot, m_dialogs);
    if (keysAreLayers) {
        connect(plot, &SeriesPlot::pointClicked, &m_state, &AppState::selectLayer);
    } else {
        m_runPlots.push_back(plot);
        connect(plot, &SeriesPlot::pointClicked, this, &ComparePlots::pick);
    }
    return plot;
}

QWidget* ComparePlots::makePage(QWidget* plot, const QList<QWidget*>& controls, QLabel*& note,
                                const QString& name)
{
    auto* page = new QWidget;
    page->setAutoFillBackground(true);
    page->setBackgroundRole(QPalette::Base);
    auto* text = new QLabel;
    text->setObjectName(name + u"NoteLabel"_s);
    text->setForegroundRole(QPalette::PlaceholderText);
    text->setTextFormat(Qt::PlainText);
    text->setWordWrap(true); // reasons are read to their end
    note = text;
    auto* line = new QHBoxLayout;
    line->setContentsMargins(theme::kGap, theme::kGap, theme::kGap, 0);
    line->setSpacing(theme::kGap);
    for (QWidget* control : controls) {
        line->addWidget(control);
    }
    line->addWidget(text, 1);
    auto* layout = new QVBoxLayout(page);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(theme::kTight);
    layout->addLayout(line);
    layout->addWidget(plot, 1);
    return page;
}

void ComparePlots::addView(View view, const QString& name, const QString& title, const QString& tip)
{
    view.page->setObjectName(name);
    view.page->setAccessibleName(title);
    const int index = addTab(view.page, title);
    setTabToolTip(index, tip);
    m_views.push_back(std::move(view));
}

template <class Plot>
void ComparePlots::showNote(QLabel* note, const PlotSet<Plot>& set, const QString& more) const
{
    std::size_t apart = set.leftOut.size();
    std::set<QString> reasons;
    for (const LeftOut& run : set.leftOut) {
        reasons.insert(report_text::translated(run.reason));
    }
    for (std::size_t i = 1; i < set.plots.size(); ++i) {
        apart += std::max<std::size_t>(1, pointCount(set.plots[i]));
        reasons.insert(report_text::translated(set.plots[i].apart));
    }
    QStringList parts;
    if (!more.isEmpty()) {
        parts << more;
    }
    if (apart > 0) {
        parts << (apart == 1 ? tr("1 run is not drawn: %1")
                             : tr("%1 runs are not drawn: %2").arg(apart))
                     .arg(QStringList(reasons.begin(), reasons.end()).join(u"; "_s));
    }
    note->setText(parts.join(u"  \u00b7  "_s));
}

template <class Make>
void ComparePlots::askSeries(SeriesPlot* plot, QLabel* note, Make make)
{
    m_worker.ask([make](const RunContext& /*run*/) { return make(); },
                 [this, plot, note](const PlotSet<PlotData>& set) {
                     PlotData shown = set.plots.front();
                     std::string& title = m_titles[plot];
                     const bool same = shown.title == title;
                     title = std::exchange(shown.title, {}); // the tab says it
                     if (same) {
                         plot->updateData(shown); // a run more, perhaps
                     } else {
                         plot->setData(shown);
                     }
                     showNote(note, set, QString());
                     showHighlights();
                 });
}

void ComparePlots::addQualityViews()
{
    View pareto;
    QComboBox* quality = qualityBox(u"paretoQualityComboBox"_s);
    QComboBox* size = makeBox(u"paretoSizeComboBox"_s, tr("Size"));
    size->addItem(tr("over size in MB"), static_cast<int>(SizeAxis::Megabytes));
    size->addItem(tr("over bits per weight"), static_cast<int>(SizeAxis::BitsPerWeight));
    SeriesPlot* plot = makePlot(u"paretoPlot"_s, tr("Quality and size"), false);
    pareto.page = makePage(plot, {quality, size}, pareto.note, u"pareto"_s);
    pareto.draw = [this, plot, quality, size, note = pareto.note] {
        const auto axis = static_cast<SizeAxis>(size->currentData().toInt());
        askSeries(plot, note, [runs = m_runs.runs(), which = qualityOf(quality), axis] {
            return paretoPlot(runs, which, axis);
        });
    };
    addView(pareto, u"paretoTab"_s, tr("Pareto"),
            tr("Quality over size; the line joins the runs that no other beats"));

    View rank;
    QComboBox* rankQuality = qualityBox(u"rankQualityComboBox"_s);
    SeriesPlot* rankPlotView = makePlot(u"rankPlot"_s, tr("Quality over rank"), false);
    rank.page = makePage(rankPlotView, {rankQuality}, rank.note, u"rank"_s);
    rank.draw = [this, rankPlotView, rankQuality, note = rank.note] {
        askSeries(rankPlotView, note, [runs = m_runs.runs(), which = qualityOf(rankQuality)] {
            return rankPlot(runs, which);
        });
    };
    addView(rank, u"rankTab"_s, tr("Rank Curve"),
            tr("Quality over the rank of the correction, or the learned rank, with standard "
               "errors"));
}

void ComparePlots::addLayerViews()
{
    View errors;
    errors.layers = true;
    QComboBox* metric = makeBox(u"layerMetricComboBox"_s, tr("What is compared"));
    for (const LayerMetric one : kLayerMetrics) {
        metric->addItem(report_text::translated(metricLabel(one)), static_cast<int>(one));
    }
    SeriesPlot* plot = makePlot(u"layersPlot"_s, tr("Layers"), true);
    errors.page = makePage(plot, {metric}, errors.note, u"layers"_s);
    errors.draw = [this, plot, metric, note = errors.note] {
        askSeries(plot, note,
                  [runs = m_runs.detailed(),
                   which = static_cast<LayerMetric>(metric->currentData().toInt())] {
                      return layerPlot(runs, which);
                  });
    };
    addView(errors, u"layersTab"_s, tr("Per Layer"),
            tr("Errors of the layers, runs over each other"));

    View spectra;
    spectra.layers = true;
    m_layerBox = makeBox(u"spectraLayerComboBox"_s, tr("Layer"));
    connect(m_layerBox, &QComboBox::activated, this,
            [this] { m_state.selectLayer(m_layerBox->currentText()); });
    SeriesPlot* curves = makePlot(u"runSpectraPlot"_s, tr("Singular values"), false);
    spectra.page = makePage(curves, {m_layerBox}, spectra.note, u"runSpectra"_s);
    spectra.draw = [this, curves, note = spectra.note] {
        askSeries(curves, note,
                  [runs = m_runs.detailed(), layer = m_layerBox->currentText().toStdString()] {
                      return spectraPlot(runs, layer);
                  });
    };
    addView(spectra, u"spectraTab"_s, tr("Spectra"),
            tr("Singular values of what each run approximated in one layer"));

    View loss;
    loss.layers = true;
    m_blockBox = makeBox(u"lossBlockComboBox"_s, tr("Block"));
    SeriesPlot* falls = makePlot(u"lossPlot"_s, tr("Loss"), false);
    auto* blocks = new BlockTable;
    blocks->setObjectName(u"compareBlockTable"_s);
    blocks->setAccessibleName(tr("Blocks of the runs"));
    auto* parts = new QSplitter(Qt::Vertical);
    parts->addWidget(falls);
    parts->addWidget(blocks);
    parts->setChildrenCollapsible(false);
    parts->setStretchFactor(0, 3);
    parts->setStretchFactor(1, 2);
    parts->setSizes({600, 400}); // a share each: shrunk to what there is
    loss.page = makePage(parts, {m_blockBox}, loss.note, u"loss"_s);
    loss.draw = [this, falls, blocks, note = loss.note] {
        const std::vector<RunResult> shown = m_runs.detailed();
        blocks->setRuns(shown, distinctNames(shown));
        blocks->setVisible(blocks->model()->rowCount() > 0);
        askSeries(falls, note, [runs = shown, block = m_blockBox->currentData().toLongLong()] {
            return lossPlot(runs, block);
        });
    };
    addView(loss, u"lossTab"_s, tr("Loss"),
            tr("How the loss fell where a method learns, and what it did to each block"));

    View pair;
    pair.layers = true;
    pair.ofSelection = true;
    auto* tab = new LayerPairTab(m_state, m_runs);
    pair.page = tab;
    pair.draw = [tab] { tab->refresh(); };
    addView(pair, u"layerPairTab"_s, tr("A/B"), tr("The layers of two runs side by side"));
}

void ComparePlots::addOtherViews()
{
    View settings;
    settings.ofSelection = true;
    auto* tab = new SettingsTab(m_state, m_runs);
    settings.page = tab;
    settings.draw = [tab] { tab->refresh(); };
    addView(settings, u"settingsTab"_s, tr("Settings"),
            tr("Only what differs between the runs selected, or drawn"));

    View parallel;
    m_parallel = new ParallelView;
    m_parallel->setObjectName(u"parallelPlot"_s);
    m_parallel->setAccessibleName(tr("Settings and qualities"));
    connectExports(*m_parallel, m_dialogs);
    connect(m_parallel, &ParallelView::lineClicked, this, &ComparePlots::pick);
    parallel.page = makePage(m_parallel, {}, parallel.note, u"parallel"_s);
    parallel.draw = [this, note = parallel.note] {
        m_worker.ask(
            [runs = m_runs.runs()](const RunContext& /*run*/) { return parallelPlot(runs); },
            [this, note](const PlotSet<ParallelPlot>& set) {
                m_parallel->setData(set.plots.front());
                showNote(note, set, tr("each line is a run; click one to select it"));
                showHighlights();
            });
    };
    addView(parallel, u"parallelTab"_s, tr("Parallel"),
            tr("Settings and qualities of all runs drawn, side by side"));
}

void ComparePlots::addTextView()
{
    View text;
    text.ofSelection = true;
    auto* panel = new TextPanel(m_state, m_runs);
    text.page = panel;
    text.draw = [panel] { panel->refresh(); };
    addView(text, u"textTab"_s, tr("Text"),
            tr("One text, token by token, in full precision and quantized"));
}

void ComparePlots::showEvent(QShowEvent* event)
{
    QTabWidget::showEvent(event);
    refresh();
}

void ComparePlots::refreshAll()
{
    for (View& view : m_views) {
        view.stale = true;
    }
    refresh();
}

void ComparePlots::refresh()
{
    const auto index = static_cast<std::size_t>(currentIndex());
    if (!isVisible() || index >= m_views.size()) {
        return;
    }
    View& view = m_views[index];
    m_runs.setDetailsWanted(view.layers);
    if (view.stale) {
        if (m_worker.busy()) { // its question is dropped for this one
            m_views[m_drawing].stale = true;
        }
        view.stale = false;
        m_drawing = index;
        view.draw();
    }
}

void ComparePlots::fillLayerNames()
{
    const QSignalBlocker quiet(m_layerBox);
    QStringList names;
    for (const RunResult& run : m_runs.detailed()) {
        for (const LayerResult& layer : run.layers) {
            const QString name = QString::fromStdString(layer.name);
            if (names.isEmpty() || !names.contains(name)) {
                names << name;
            }
        }
    }
    const QString before = m_layerBox->currentText();
    m_layerBox->clear();
    m_layerBox->addItems(names);
    const QString wanted = names.contains(m_state.layer()) ? m_state.layer() : before;
    m_layerBox->setCurrentIndex(std::max(0, static_cast<int>(names.indexOf(wanted))));
}

void ComparePlots::fillBlocks()
{
    const QSignalBlocker quiet(m_blockBox);
    const QVariant before = m_blockBox->currentData();
    m_blockBox->clear();
    for (const std::int64_t block : learnedBlocks(m_runs.detailed())) {
        m_blockBox->addItem(block == kWholeModel ? tr("whole model") : tr("block %1").arg(block),
                            static_cast<qlonglong>(block));
    }
    m_blockBox->setCurrentIndex(std::max(0, m_blockBox->findData(before)));
}

void ComparePlots::pick(const QString& id)
{
    Q_EMIT runPicked(id, QGuiApplication::keyboardModifiers().testFlag(Qt::ControlModifier));
}

QVariantMap ComparePlots::session() const
{
    QVariantMap kept{{u"tab"_s, currentWidget()->objectName()}};
    for (const char* name : kKeptBoxes) {
        const QString key = QString::fromLatin1(name);
        kept.insert(key, findChild<QComboBox*>(key)->currentData());
    }
    return kept;
}

void ComparePlots::restoreSession(const QVariantMap& kept)
{
    for (const char* name : kKeptBoxes) {
        auto* box = findChild<QComboBox*>(QString::fromLatin1(name));
        const int index = box->findData(kept.value(box->objectName()).toInt());
        box->setCurrentIndex(kept.contains(box->objectName()) ? std::max(0, index) : 0);
    }
    for (int i = 0; i < count(); ++i) {
        if (widget(i)->objectName() == kept.value(u"tab"_s).toString()) {
            setCurrentIndex(i);
        }
    }
    refreshAll();
}

void ComparePlots::showHighlights()
{
    for (SeriesPlot* plot : m_runPlots) {
        plot->setHighlighted(m_runs.highlighted());
    }
    m_parallel->setHighlighted(m_runs.highlighted());
}

} // namespace qw
