// Pictures of the real window for docs/screenshots; see ./run. Nothing in them is made up: the
// bundled model, runs made here (kept in --work for the next call), a run at work.
#include <cstdio>
#include <stdexcept>

#include <QAbstractButton>
#include <QApplication>
#include <QCheckBox>
#include <QComboBox>
#include <QCommandLineParser>
#include <QDialog>
#include <QDir>
#include <QElapsedTimer>
#include <QLineEdit>
#include <QListView>
#include <QListWidget>
#include <QStatusBar>
#include <QTabWidget>

#include "app/gui/dialogs.h"
#include "app/gui/inspect_page.h"
#include "app/gui/layer_inspector.h"
#include "app/gui/log_file.h"
#include "app/gui/main_window.h"
#include "app/gui/settings.h"
#include "widgets/parallel_view.h"
#include "widgets/series_plot.h"
#include "widgets/token_text.h"

using namespace Qt::Literals::StringLiterals;
using qw::AppState;
using qw::Mode;

namespace {
constexpr int kPatience = 600000; // milliseconds for one step
constexpr int kSettle = 400;      // milliseconds: debounced updates, estimates

template <class Ready>
void waitFor(const char* what, Ready ready)
{
    QElapsedTimer clock;
    clock.start();
    while (!ready()) {
        if (clock.elapsed() > kPatience) {
            throw std::runtime_error(std::string("waited in vain for ") + what);
        }
        QCoreApplication::processEvents(QEventLoop::WaitForMoreEvents, 50);
        QCoreApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
    }
}

void settle()
{
    QElapsedTimer clock;
    clock.start();
    waitFor("time to pass", [&] { return clock.elapsed() > kSettle; });
}

class Photographer
{
public:
    Photographer(qw::MainWindow& window, const QString& folder, const QString& name)
        : m_window(window), m_folder(folder), m_name(name)
    {
    }
    template <class T>
    T& find(const char* name) const
    {
        T* found = m_window.findChild<T*>(QString::fromLatin1(name));
        if (found == nullptr) {
            throw std::runtime_error(std::string("no widget named ") + name);
        }
        return *found;
    }
    void trigger(const char* action) const { find<QAction>(action).trigger(); }
    void choose(const char* box, const QString& text) const
    {
        auto& choices = find<QComboBox>(box);
        const int index = choices.findText(text, Qt::MatchContains);
        if (index < 0) {
            throw std::runtime_error("no choice " + text.toStdString());
        }
        choices.setCurrentIndex(index);
        Q_EMIT choices.activated(index);
    }
    void shoot(const QString& screen, QWidget* widget = nullptr) const
    {
        m_window.statusBar()->clearMessage();
        settle();
        const QString file = u"%1/%2-%3.png"_s.arg(m_folder, screen, m_name);
        const QImage picture = (widget != nullptr ? widget : &m_window)->grab().toImage();
        constexpr int kSmallest = 0; // "quality" is how little to compress
        if (!picture.convertToFormat(QImage::Format_RGB888).save(file, "PNG", kSmallest)) {
            throw std::runtime_error("cannot write " + file.toStdString());
        }
        std::printf("%s\n", qPrintable(file));
    }

private:
    qw::MainWindow& m_window;
    QString m_folder;
    QString m_name;
};

/// Of the bundled model, in seconds.
qw::RunSpec smallRun(const std::string& method, std::int64_t bits, std::int64_t rank = 16)
{
    constexpr std::int64_t kIterations = 60; // of a block, where rounding is learned
    qw::RunSpec spec = qw::defaultDraft();
    spec.method = method;
    spec.weight.format = "int";
    spec.weight.groupSize = 128;
    spec.weight.bits = bits;
    spec.lowRank.rank = rank;
    spec.reconstruction.iterations = kIterations;
    spec.calibration.nsamples = 16;
    spec.calibration.seqlen = 256;
    spec.evaluation.windows = 16;
    return spec;
}

void makeRuns(qw::MainWindow& window, const Photographer& camera)
{
    waitFor("the stored runs", [&] { return window.state().runsLoaded(); });
    if (!window.state().runs().empty()) {
        return;
    }
    for (const qw::RunSpec& spec :
         {smallRun("rtn", 4, 0), smallRun("l2qer", 4), smallRun("rtn", 3, 0),
          smallRun("gptq", 3, 0), smallRun("lrq", 3, 0), smallRun("l2qer", 3, 8),
          smallRun("l2qer", 3), smallRun("qera-exact", 3)}) {
        window.state().setDraft(spec);
        waitFor("the form", [&] { return camera.find<QAction>("enqueueRunAction").isEnabled(); });
        camera.trigger("enqueueRunAction");
    }
    waitFor("the runs", [&] { return window.queue().idle(); });
    camera.trigger("clearQueueAction");
}

void shootInspect(qw::MainWindow& window, const Photographer& camera)
{
    const auto runs = window.state().runsOfModel();
    for (const qw::RunSummary& run : runs) {
        if (run.result.spec.method == "l2qer" && run.result.spec.weight.bits == 3 &&
            run.result.rank == 16) {
            window.state().setRunInView(QString::fromStdString(run.result.id));
        }
    }
    window.state().selectLayer(u"model.layers.2.mlp.down_proj"_s);
    window.setMode(Mode::Inspect);
    const auto& inspector = camera.find<qw::InspectPage>("inspectPage").inspector();
    waitFor("the layer", [&] {
        return window.state().runInView() && inspector.spectra() && inspector.view() &&
               inspector.view()->fromRun && !inspector.spectraBusy() && !inspector.channelsBusy();
    });
    camera.shoot(u"inspect"_s);
    camera.find<QAbstractButton>("cornerRunsButton").click();
    camera.find<QAbstractButton>("map1Button").click();
    camera.shoot(u"inspect-runs"_s);
    camera.find<QAbstractButton>("cornerChannelsButton").click();
    camera.find<QAbstractButton>("map0Button").click();
}

void shootQuantize(qw::MainWindow& window, const Photographer& camera)
{
    window.setMode(Mode::Quantize);
    camera.choose("presetComboBox", u"L\u00b2QER W4A8, rank 32"_s);
    camera.shoot(u"quantize"_s);
    camera.choose("presetComboBox", u"choose a recipe"_s);
    qw::RunSpec wrong = smallRun("l2qer", 3);
    wrong.model = window.state().modelName().toStdString();
    wrong.weight.format = "int";
    wrong.weight.groupSize = 128;
    wrong.weight.range = "lp";
    window.state().setDraft(wrong);
    camera.shoot(u"quantize-invalid"_s);
}

/// The tabs of Compare on the runs made here, and the Sweep dialog.
void shootCompare(qw::MainWindow& window, const Photographer& camera)
{
    window.setMode(Mode::Compare);
    auto& tabs = camera.find<QTabWidget>("compareTabs");
    const auto pointsOf = [&](const char* plot) {
        std::size_t points = 0;
        for (const qw::Series& series : camera.find<qw::SeriesPlot>(plot).data().series) {
            points += series.x.size();
        }
        return points;
    };
    const auto open = [&](const char* tab) { tabs.setCurrentWidget(&camera.find<QWidget>(tab)); };
    // Runs that were stopped for an earlier picture are in the table alone.
    const auto finished = [&] { return window.state().runsOfModel().size(); };
    waitFor("the table", [&] { return finished() > 0 && pointsOf("paretoPlot") >= finished(); });
    camera.shoot(u"compare"_s);
    open("rankTab");
    waitFor("the curves", [&] { return pointsOf("rankPlot") > 0; });
    camera.shoot(u"compare-rank"_s);
    open("layersTab");
    waitFor("the errors of layers", [&] { return pointsOf("layersPlot") > finished(); });
    camera.shoot(u"compare-layers"_s);
    open("spectraTab");
    waitFor("the spectra", [&] { return pointsOf("runSpectraPlot") > 0; });
    camera.shoot(u"compare-spectra"_s);
    open("lossTab");
    waitFor("the losses", [&] { return pointsOf("lossPlot") > 0; });
    camera.shoot(u"compare-loss"_s);
    open("layerPairTab");
    camera.shoot(u"compare-pair"_s);
    open("parallelTab");
    waitFor("the lines",
            [&] { return !camera.find<qw::ParallelView>("parallelPlot").data().lines.empty(); });
    camera.shoot(u"compare-parallel"_s);
    open("settingsTab");
    camera.shoot(u"compare-settings"_s);
    open("textTab");
    waitFor("a run with its artifact",
            [&] { return camera.find<QAbstractButton>("takeLineButton").isEnabled(); });
    camera.find<QAbstractButton>("takeLineButton").click();
    waitFor("a line of the text",
            [&] { return camera.find<QAbstractButton>("compareTextButton").isEnabled(); });
    camera.find<QAbstractButton>("compareTextButton").click();
    waitFor("the tokens",
            [&] { return !camera.find<qw::TokenText>("tokenText").tokens().empty(); });
    waitFor("the continuations",
            [&] { return camera.find<QAbstractButton>("compareTextButton").isEnabled(); });
    camera.shoot(u"compare-text"_s);
    open("paretoTab");
    qw::RunSpec spec = smallRun("l2qer", 4);
    spec.model = window.state().modelName().toStdString();
    window.state().setDraft(spec);
    camera.trigger("sweepAction");
    auto& sweep = camera.find<QDialog>("sweepDialog");
    camera.find<QCheckBox>("sweepMethod_rtn").setChecked(true);
    camera.find<QCheckBox>("sweepBits3CheckBox").setChecked(true);
    camera.shoot(u"sweep"_s, &sweep);
    sweep.close();
}

void shootQueue(qw::MainWindow& window, const Photographer& camera)
{
    constexpr std::int64_t kIterations = 200; // of a block
    qw::RunSpec spec = smallRun("lrq", 3, 0);
    spec.reconstruction.iterations = kIterations;
    spec.model = window.state().modelName().toStdString();
    window.state().setDraft(spec);
    waitFor("the form", [&] { return camera.find<QAction>("startRunAction").isEnabled(); });
    camera.trigger("startRunAction");
    spec.weight.bits = 4;
    window.state().setDraft(spec);
    waitFor("the form", [&] { return camera.find<QAction>("enqueueRunAction").isEnabled(); });
    camera.trigger("enqueueRunAction");
    auto& list = camera.find<QListView>("queueList");
    list.setCurrentIndex(list.model()->index(0, 0));
    waitFor("losses of the third block", [&] {
        const auto& blocks = window.queue().entries().front().blocks;
        return blocks.size() > 2 &&
               static_cast<std::int64_t>(blocks[2].losses.size()) > kIterations / 2;
    });
    camera.shoot(u"queue"_s);
    auto& tabs = camera.find<QTabWidget>("queueTabs");
    tabs.setCurrentWidget(&camera.find<QWidget>("queueBlockTable"));
    camera.shoot(u"queue-blocks"_s);
    for (const qw::QueueEntry& entry : window.queue().entries()) {
        window.queue().cancel(entry.number);
    }
    waitFor("the runs to stop", [&] { return window.queue().idle(); });
}

void shootExport(qw::MainWindow& window, const Photographer& camera, const QString& work)
{
    waitFor("the run in view", [&] { return window.state().runInView().has_value(); });
    camera.trigger("exportModelAction");
    const auto& targets = camera.find<QListWidget>("exportTargetList");
    waitFor("the plans", [&] { return targets.count() > 0; });
    auto& dialog = camera.find<QDialog>("exportDialog");
    camera.shoot(u"export"_s, &dialog);
    const QString exported = work + u"/exported"_s;
    QDir(exported).removeRecursively();
    camera.find<QLineEdit>("exportPlaceLineEdit").setText(exported);
    auto& start = camera.find<QAbstractButton>("exportStartButton");
    waitFor("the place", [&] { return start.isEnabled(); });
    start.click();
    waitFor("the files", [&] { return QDir(exported).exists(); });
    camera.shoot(u"export-done"_s, &dialog);
    dialog.close();
    camera.trigger("importModelAction");
    auto& import = camera.find<QDialog>("importDialog");
    camera.find<QLineEdit>("importSourceLineEdit").setText(exported);
    camera.shoot(u"import"_s, &import);
    import.close();
}

void shootAll(qw::MainWindow& window, qw::Dialogs& dialogs, const Photographer& camera,
              const QString& work)
{
    waitFor("the engine", [&] { return window.state().facts().has_value(); });
    camera.shoot(u"start-fresh"_s);
    window.openPath(u"demo"_s);
    waitFor("the model",
            [&] { return window.state().modelState() == AppState::ModelState::Ready; });
    makeRuns(window, camera);
    camera.shoot(u"start"_s);
    shootInspect(window, camera);
    shootExport(window, camera, work);
    shootQuantize(window, camera);
    shootCompare(window, camera);
    shootQueue(window, camera);
    dialogs.showProblem(&window, u"A Run Failed"_s,
                        u"L\u00b2QER W3 MX16 r16 stopped: the disk is full\n"
                        "Finished blocks are kept; it can be resumed."_s,
                        u"block-00003.safetensors: No space left on device"_s);
    auto& problem = camera.find<QDialog>("errorDialog");
    camera.find<QAbstractButton>("errorDetailsButton").click();
    camera.shoot(u"error"_s, &problem);
    problem.close();
}
} // namespace

int main(int argc, char** argv)
{
    QApplication app(argc, argv);
    QApplication::setApplicationDisplayName(u"Quant Workbench"_s);
    QCommandLineParser parser;
    const QCommandLineOption work(u"work"_s, u"Folder for runs."_s, u"DIR"_s);
    const QCommandLineOption theme(u"theme"_s, u"light or dark."_s, u"THEME"_s, u"light"_s);
    const QCommandLineOption size(u"size"_s, u"Of the window."_s, u"WxH"_s, u"1280x800"_s);
    const QCommandLineOption name(u"name"_s, u"End of the files' names."_s, u"NAME"_s, u"light"_s);
    parser.addOptions({work, theme, size, name});
    parser.addHelpOption();
    parser.addPositionalArgument(u"out"_s, u"Folder for the pictures."_s);
    parser.process(app);
    const QStringList wide = parser.value(size).split(u'x');
    if (parser.positionalArguments().size() != 1 || !parser.isSet(work) || wide.size() != 2) {
        parser.showHelp(2);
    }
    const QDir folder(parser.value(work));
    qputenv("HOME", folder.path().toUtf8()); // paths begin with ~ as they do for users
    qunsetenv("XDG_DATA_HOME");
    QFile::remove(folder.filePath(u"settings.ini"_s)); // a user's first start
    qw::startLogFile();
    try {
        qw::Settings settings(folder.filePath(u"settings.ini"_s));
        settings.set(qw::Settings::Key::Theme, parser.value(theme));
        qw::Dialogs dialogs;
        // Where a user's store would be: the status bar shows its place.
        qw::MainWindow window(settings, dialogs, {}, qw::RunJob::engineWork());
        window.resize(wide[0].toInt(), wide[1].toInt());
        window.show();
        shootAll(window, dialogs,
                 Photographer(window, parser.positionalArguments().first(), parser.value(name)),
                 folder.path());
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "%s\n", problem.what());
        return 1;
    }
    return 0;
}
