#include <iostream>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "base/files.h"
#include "report/html_report.h"
#include "session.h"
#include "store/report_entries.h"

namespace qw::cli {

namespace {
struct Options {
    std::vector<std::string> ids;
    std::string out;
    std::string title;
};

int report(const Session& session, const Options& options)
{
    const std::vector<ReportEntry> entries = reportEntries(session.existingStore(), options.ids);
    AtomicFile file(options.out);
    file.write(toHtml(reportOf(entries, options.title)));
    file.commit();
    if (session.json) {
        std::vector<std::string> ids;
        for (const ReportEntry& entry : entries) {
            ids.push_back(entry.run.id);
        }
        printJson(Json{{"out", options.out}, {"runs", ids}});
    } else {
        std::cout << options.out << ": " << counted(entries.size(), "run") << '\n';
    }
    return 0;
}
} // namespace

void addReport(CLI::App& app, Session& session)
{
    CLI::App& command =
        *app.add_subcommand("report", "Write tables and plots of runs as one HTML file");
    session.addTo(command);
    static Options options;
    command.add_option("ids", options.ids, "Runs, or the beginnings of their ids")->required();
    command.add_option("--out", options.out, "The file to write")->required();
    command.add_option("--title", options.title, "Heading (default: made from the runs)");
    command.footer("Example:\n  qw report 2n7ze3nz 2n7ze3p0 --out comparison.html "
                   "--title 'Ranks at 3 bits'");
    onRun(command, [&session] { return report(session, options); });
}

} // namespace qw::cli
