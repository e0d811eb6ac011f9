#include <algorithm>
#include <cstdio>
#include <string_view>

#include <QApplication>
#include <QCommandLineParser>

#include "app/gui/dialogs.h"
#include "app/gui/log_file.h"
#include "app/gui/main_window.h"
#include "app/gui/report_file.h"
#include "app/gui/settings.h"
#include "app/gui/store_choice.h"
#include "base/error.h"
#include "store/run_store.h"
#include "widgets/icons.h"

namespace {
/// Reports are written on machines without a display, too.
void allowNoDisplay()
{
    if (qEnvironmentVariableIsEmpty("DISPLAY") && qEnvironmentVariableIsEmpty("WAYLAND_DISPLAY") &&
        qEnvironmentVariableIsEmpty("QT_QPA_PLATFORM")) {
        qputenv("QT_QPA_PLATFORM", "offscreen");
    }
}

struct Text {
    Q_DECLARE_TR_FUNCTIONS(Main)
};

/// @return the exit status
int report(const QCommandLineParser& parser, const QString& storeFile)
{
    const QString out = parser.value(QStringLiteral("out"));
    std::vector<std::string> ids;
    const QStringList listed = parser.value(QStringLiteral("report")).split(u',');
    for (const QString& id : listed + parser.positionalArguments()) {
        if (!id.isEmpty()) {
            ids.push_back(id.toStdString());
        }
    }
    if (out.isEmpty()) {
        qCritical("%s", qPrintable(Text::tr("--report needs --out FILE.pdf or FILE.html")));
        return 2;
    }
    try {
        const QString chosen = qw::Settings().text(qw::Settings::Key::StoreFile);
        const QString file = storeFile.isEmpty() ? chosen : storeFile;
        qw::writeReport(file.isEmpty() ? qw::RunStore::defaultFile().string() : file.toStdString(),
                        ids, parser.value(QStringLiteral("title")), out);
    } catch (const qw::Error& error) {
        qCritical("%s", error.what());
        return 1;
    }
    std::printf("%s\n", qPrintable(out));
    return 0;
}
} // namespace

int main(int argc, char** argv)
{
    if (std::any_of(argv, argv + argc, [](const char* word) {
            return std::string_view(word).starts_with("--report");
        })) {
        allowNoDisplay();
    }
    QApplication app(argc, argv);
    QApplication::setApplicationName(QStringLiteral("quant-workbench"));
    QApplication::setApplicationDisplayName(Text::tr("Quant Workbench"));
    QApplication::setApplicationVersion(QStringLiteral(QW_VERSION));
    QApplication::setDesktopFileName(QStringLiteral("org.quantworkbench.QuantWorkbench"));
    QApplication::setWindowIcon(qw::icons::icon(qw::icons::Shape::App));

    QCommandLineParser parser;
    parser.setApplicationDescription(
        Text::tr("Quantizes language models with low-rank methods and shows what it did."));
    parser.addHelpOption();
    parser.addVersionOption();
    const QCommandLineOption store(QStringLiteral("store"),
                                   Text::tr("Use this store of runs instead of the default one."),
                                   QStringLiteral("FILE"));
    parser.addOption(store);
    parser.addOptions(
        {{QStringLiteral("report"),
          Text::tr("Write a report of these runs (ids with commas) and end; needs no display."),
          QStringLiteral("IDS")},
         {QStringLiteral("out"), Text::tr("The report: a PDF, or HTML where the name ends so."),
          QStringLiteral("FILE")},
         {QStringLiteral("title"), Text::tr("Heading of the report."), QStringLiteral("TITLE")}});
    parser.addPositionalArgument(QStringLiteral("model"),
                                 Text::tr("Model folder to open, or demo."),
                                 QStringLiteral("[model]"));
    parser.process(app);
    if (parser.isSet(QStringLiteral("report"))) {
        return report(parser, parser.value(store));
    }

    qw::startLogFile();
    try {
        qw::Settings settings;
        qw::Dialogs dialogs;
        const auto storeFile = qw::usableStore(settings, dialogs, parser.value(store));
        if (!storeFile) {
            return 1;
        }
        qw::MainWindow window(settings, dialogs, *storeFile, qw::RunJob::engineWork());
        window.restoreSession();
        const QStringList arguments = parser.positionalArguments();
        if (!arguments.isEmpty()) {
            window.openPath(arguments.first());
        }
        window.show();
        return QApplication::exec();
    } catch (const std::exception& error) {
        qCritical("%s", error.what());
        return 1;
    }
}
