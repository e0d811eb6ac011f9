// How soon the window answers: ./workbench bench gui
// During a run of the bundled model an event is sent to the window every few milliseconds; its
// latency is the time until the window takes it. Then a model of 504 layers is opened, sorted and
// walked through. Exit status 1 if an aim is missed. Needs no display.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include <QApplication>
#include <QElapsedTimer>
#include <QTemporaryDir>
#include <QTimer>
#include <QTreeView>

#include "app/gui/dialogs.h"
#include "app/gui/main_window.h"
#include "app/gui/settings.h"
#include "random_model.h"
#include "widgets/layer_tree_model.h"

using namespace Qt::Literals::StringLiterals;

namespace {
using Clock = std::chrono::steady_clock;
constexpr double kLatencyAim = 50;               // milliseconds, 99 of 100 events during a run
constexpr double kAnswerAim = 100;               // milliseconds, one action on 504 layers
constexpr std::chrono::milliseconds kBeat(5);    // between two events
constexpr std::chrono::milliseconds kVisit(300); // the user goes to another layer this often
constexpr std::chrono::seconds kPatience(600);   // for the run

/// Sends events from a thread of its own and notes how long each waits.
class Pulse
{
public:
    explicit Pulse(QObject& window)
        : m_thread([this, &window](const std::stop_token& stop) {
              while (!stop.stop_requested()) {
                  QMetaObject::invokeMethod(
                      &window,
                      [this, sent = Clock::now()] {
                          m_waits.push_back(
                              std::chrono::duration<double, std::milli>(Clock::now() - sent)
                                  .count());
                      },
                      Qt::QueuedConnection);
                  std::this_thread::sleep_for(kBeat);
              }
          })
    {
    }
    std::vector<double> stop()
    {
        m_thread.request_stop();
        m_thread.join();
        QCoreApplication::processEvents(); // those still on their way
        std::sort(m_waits.begin(), m_waits.end());
        return m_waits;
    }

private:
    std::vector<double> m_waits; // touched by the window's thread only
    std::jthread m_thread;
};

template <class Ready>
bool waitFor(Ready ready)
{
    const auto end = Clock::now() + kPatience;
    while (!ready() && Clock::now() < end) {
        QCoreApplication::processEvents(QEventLoop::WaitForMoreEvents, 50);
        QCoreApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
    }
    return ready();
}

bool isReady(qw::MainWindow& window)
{
    return window.state().modelState() == qw::AppState::ModelState::Ready;
}

double at(const std::vector<double>& sorted, double share)
{
    return sorted.at(static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1)));
}

bool measureRun(qw::MainWindow& window)
{
    window.openPath(u"demo"_s);
    if (!waitFor([&] { return isReady(window); })) {
        return false;
    }
    window.setMode(qw::Mode::Inspect);
    std::size_t layer = 0;
    QTimer visits;
    QObject::connect(&visits, &QTimer::timeout, &window, [&] {
        const auto& layers = window.state().model()->layers;
        window.state().selectLayer(QString::fromStdString(layers[++layer % layers.size()].name));
    });
    window.findChild<QAction*>(u"startRunAction"_s)->trigger();
    visits.start(kVisit);
    Pulse pulse(window);
    const bool done = waitFor([&] { return window.queue().idle(); });
    const std::vector<double> waits = pulse.stop();
    const bool finished = done && window.queue().entries().back().state == qw::RunState::Finished;
    std::printf("event latency during a run, %zu events: median %.2f ms, p90 %.2f, p99 %.2f, "
                "largest %.1f (aim: p99 below %.0f)%s\n",
                waits.size(), at(waits, 0.5), at(waits, 0.9), at(waits, 0.99), waits.back(),
                kLatencyAim, finished ? "" : "; THE RUN DID NOT FINISH");
    return finished && at(waits, 0.99) < kLatencyAim;
}

bool measureManyLayers(qw::MainWindow& window, const QString& folder)
{
    qw::RandomModelSpec spec;
    spec.hidden = 64;
    spec.intermediate = 64;
    spec.layers = 72; // of seven linear layers
    spec.heads = 2;
    spec.kvHeads = 2;
    qw::writeRandomModel(folder.toStdString(), spec);
    bool good = true;
    const auto timed = [&](const char* what, auto action) {
        QElapsedTimer clock;
        clock.start();
        action();
        QCoreApplication::processEvents();
        const double spent = static_cast<double>(clock.nsecsElapsed()) * 1e-6;
        good = good && spent < kAnswerAim;
        std::printf("504 layers, %s: %.1f ms (aim: below %.0f)\n", what, spent, kAnswerAim);
    };
    window.setMode(qw::Mode::Inspect);
    window.openPath(folder);
    Pulse opening(window);
    const bool opened = waitFor([&] {
        return isReady(window) && window.state().modelName() == folder && // the one before is gone
               window.state().weights().size() == window.state().model()->layers.size();
    });
    const std::vector<double> waits = opening.stop();
    std::printf("504 layers, longest wait while opening and measuring all weights: %.1f ms "
                "(aim: below %.0f)\n",
                waits.back(), kAnswerAim);
    auto* tree = window.findChild<QTreeView*>(u"layerTree"_s);
    timed("unfolding", [&] { tree->expandAll(); });
    timed("sorting",
          [&] { tree->sortByColumn(qw::LayerTreeModel::StableRankColumn, Qt::DescendingOrder); });
    timed("selecting", [&] {
        window.state().selectLayer(
            QString::fromStdString(window.state().model()->layers.back().name));
    });
    return good && opened && waits.back() < kAnswerAim;
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
    qw::Settings settings(folder.filePath(u"settings.ini"_s));
    qw::Dialogs dialogs;
    qw::MainWindow window(settings, dialogs, folder.filePath(u"runs.sqlite"_s),
                          qw::RunJob::engineWork());
    window.resize(1280, 800);
    window.show();
    const bool run = measureRun(window);
    const bool many = measureManyLayers(window, folder.filePath(u"many"_s));
    return run && many ? 0 : 1;
}
