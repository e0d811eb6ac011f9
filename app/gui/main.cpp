#include <QApplication>
#include <QCommandLineParser>

#include "app/gui/dialogs.h"
#include "app/gui/log_file.h"
#include "app/gui/main_window.h"
#include "app/gui/settings.h"
#include "base/error.h"
#include "widgets/icons.h"

int main(int argc, char** argv)
{
    QApplication app(argc, argv);
    QApplication::setApplicationName(QStringLiteral("quant-workbench"));
    QApplication::setApplicationDisplayName(QApplication::translate("main", "Quant Workbench"));
    QApplication::setApplicationVersion(QStringLiteral(QW_VERSION));
    QApplication::setDesktopFileName(QStringLiteral("quant-workbench"));
    QApplication::setWindowIcon(qw::icons::icon(qw::icons::Shape::App));

    QCommandLineParser parser;
    parser.setApplicationDescription(QApplication::translate(
        "main", "Quantizes language models with low-rank methods and shows what it did."));
    parser.addHelpOption();
    parser.addVersionOption();
    const QCommandLineOption store(
        QStringLiteral("store"),
        QApplication::translate("main", "Use this store of runs instead of the default one."),
        QStringLiteral("FILE"));
    parser.addOption(store);
    parser.addPositionalArgument(QStringLiteral("model"),
                                 QApplication::translate("main", "Model folder to open, or demo."),
                                 QStringLiteral("[model]"));
    parser.process(app);

    qw::startLogFile();
    try {
        qw::Settings settings;
        qw::Dialogs dialogs;
        qw::MainWindow window(settings, dialogs, parser.value(store), qw::RunJob::engineWork());
        window.restoreSession();
        const QStringList arguments = parser.positionalArguments();
        if (!arguments.isEmpty()) {
            window.openPath(arguments.first());
        }
        window.show();
        return QApplication::exec();
    } catch (const qw::Error& error) { // a store that cannot be opened: nothing to show
        qCritical("%s", error.what());
        return 1;
    }
}
