// How soon the Compare page is there: ./workbench bench compare
// Writes a store of 1,000 runs of 200 layers, opens a window on it and goes to Compare at once; the
// time ends when the table has all rows and the plot all points on the screen. Then each tab, a
// filter and a sort are timed. Exit status 1 if an aim is missed. Needs no display.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <thread>

#include <QApplication>
#include <QLineEdit>
#include <QTabWidget>
#include <QTableView>
#include <QTemporaryDir>

#include "app/gui/dialogs.h"
#include "app/gui/main_window.h"
#include "app/gui/settings.h"
#include "store/run_store.h"
#include "widgets/parallel_view.h"
#include "widgets/run_table_model.h"
#include "widgets/series_plot.h"

using namespace Qt::Literals::StringLiterals;

namespace {
using Clock = std::chrono::steady_clock;
constexpr int kRuns = 1000;
constexpr int kLayers = 200;
constexpr int kSingularValues = 32;
constexpr double kOpenAim = 1000;  // milliseconds
constexpr double kAnswerAim = 100; // milliseconds the window is held by one action
constexpr std::chrono::seconds kPatience(60);

double since(Clock::time_point start)
{
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

qw::RunResult made(int number)
{
    constexpr std::array<const char*, 4> kMethods = {"rtn", "lqer", "l2qer", "qera-approx"};
    qw::RunResult run;
    run.id = "run" + std::to_string(10000 + number);
    run.spec.model = "demo";
    run.spec.method = kMethods.at(static_cast<std::size_t>(number % 4));
    run.spec.weight.bits = 2 + number / 4 % 4;
    run.spec.lowRank.rank = number % 4 == 0 ? 0 : 8 * (1 + number / 16 % 8);
    run.spec.seed = number / 128;
    run.provenance.modelHash = "model";
    run.status = "finished";
    char time[32];
    std::snprintf(time, sizeof time, "2026-05-%02dT%02d:%02d:00Z", 1 + number / 60,
                  number / 60 % 24, number % 60);
    run.started = time;
    run.rank = run.spec.lowRank.rank;
    run.bitsPerWeight = static_cast<double>(run.spec.weight.bits) + 0.1 + 0.01 * run.rank;
    run.bytes = static_cast<std::int64_t>(run.bitsPerWeight * 1e8);
    const double loss = std::exp2(-run.bitsPerWeight) * (1 + 0.1 * (number % 7));
    run.score = {"gptq",   "text", "tokenizer",        2048, 100, 204700, "f32",
                 2 + loss, 0.01,   std::exp(2 + loss), 60,   {}};
    run.comparison = {2, std::exp(2.0), loss, 0.002, loss, loss, loss, loss, 1 - loss};
    run.seconds = 300;
    for (int i = 0; i < kLayers; ++i) {
        qw::LayerResult layer;
        layer.name = "model.layers." + std::to_string(i / 7) + ".linear" + std::to_string(i % 7);
        layer.rows = layer.cols = 4096;
        layer.outputError = loss * (1 + 0.3 * std::sin(i));
        layer.weightError = 2 * layer.outputError;
        layer.bitsPerWeight = run.bitsPerWeight;
        layer.bytes = run.bytes / kLayers;
        for (int k = 0; k < kSingularValues; ++k) {
            layer.singularValues.push_back(1.0 / (1 + k));
        }
        layer.errorNorm = 3;
        run.layers.push_back(std::move(layer));
    }
    return run;
}

/// Serves events until @p ready. @param held  the longest time one event took, in milliseconds;
/// more than one may be counted together
template <class Ready>
bool waitFor(Ready ready, double& held)
{
    const auto end = Clock::now() + kPatience;
    const auto serve = [&] {
        const auto start = Clock::now();
        QCoreApplication::processEvents();
        held = std::max(held, since(start));
    };
    while (!ready() && Clock::now() < end) {
        serve();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    serve(); // what is queued to be painted
    return ready();
}

std::size_t points(const qw::SeriesPlot& plot)
{
    std::size_t count = 0;
    for (const qw::Series& series : plot.data().series) {
        count += series.draw == qw::Series::Draw::Steps ? 0 : series.x.size();
    }
    return count;
}

bool opens(qw::Settings& settings, qw::Dialogs& dialogs, const QString& store)
{
    const auto start = Clock::now();
    qw::MainWindow window(settings, dialogs, store, qw::RunJob::engineWork());
    window.resize(1280, 800);
    window.show();
    const double shown = since(start);
    window.setMode(qw::Mode::Compare);
    auto* plot = window.findChild<qw::SeriesPlot*>(u"paretoPlot"_s);
    auto* table = window.findChild<QTableView*>(u"runTable"_s);
    double ignored = 0;
    const bool complete = waitFor(
        [&] { return table->model()->rowCount() == kRuns && points(*plot) == kRuns; }, ignored);
    const double opened = since(start);
    std::printf("%d runs x %d layers: Compare complete %.0f ms after the program began, of which "
                "%.0f for the window itself (aim: below %.0f)%s\n",
                kRuns, kLayers, opened, shown, kOpenAim, complete ? "" : "; NOT COMPLETE");
    bool good = complete && opened < kOpenAim;
    const auto timed = [&](const char* what, auto action, auto ready) {
        const auto begin = Clock::now();
        action();
        double held = since(begin);
        const bool done = waitFor(ready, held);
        good = good && done && held < kAnswerAim;
        std::printf("%s: window held %.1f ms (aim: below %.0f), complete after %.0f ms\n", what,
                    held, kAnswerAim, since(begin));
    };
    auto* tabs = window.findChild<QTabWidget*>(u"compareTabs"_s);
    const auto openTab = [&](const QString& name) {
        return [&window, tabs, name] { tabs->setCurrentWidget(window.findChild<QWidget*>(name)); };
    };
    timed("rank curves", openTab(u"rankTab"_s),
          [&] { return points(*window.findChild<qw::SeriesPlot*>(u"rankPlot"_s)) == kRuns; });
    timed("layers of eight runs", openTab(u"layersTab"_s), [&] {
        return points(*window.findChild<qw::SeriesPlot*>(u"layersPlot"_s)) == 8 * kLayers;
    });
    timed("parallel coordinates", openTab(u"parallelTab"_s), [&] {
        return window.findChild<qw::ParallelView*>(u"parallelPlot"_s)->data().lines.size() == kRuns;
    });
    timed("settings", openTab(u"settingsTab"_s), [] { return true; });
    timed(
        "sorting",
        [&] { table->sortByColumn(qw::RunTableModel::PerplexityColumn, Qt::AscendingOrder); },
        [] { return true; });
    timed(
        "filtering",
        [&] {
            window.findChild<QLineEdit*>(u"runFilterLineEdit"_s)->setText(u"bits:3 method=lqer"_s);
        },
        [] { return true; });
    return good;
}
} // namespace

int main(int argc, char** argv)
{
    if (qEnvironmentVariableIsEmpty("DISPLAY") && qEnvironmentVariableIsEmpty("WAYLAND_DISPLAY") &&
        qEnvironmentVariableIsEmpty("QT_QPA_PLATFORM")) {
        qputenv("QT_QPA_PLATFORM", "offscreen");
    }
    QApplication app(argc, argv);
    const QTemporaryDir folder;
    qputenv("XDG_DATA_HOME", folder.filePath(u"data"_s).toUtf8());
    const QString file = folder.filePath(u"runs.sqlite"_s);
    {
        qw::RunStore store(file.toStdString());
        for (int i = 0; i < kRuns; ++i) {
            store.save(made(i));
        }
    }
    qw::Settings settings(folder.filePath(u"settings.ini"_s));
    qw::Dialogs dialogs;
    return opens(settings, dialogs, file) ? 0 : 1;
}
