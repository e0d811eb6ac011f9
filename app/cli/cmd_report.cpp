#include <algorithm>
#include <iostream>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/files.h"
#include "report/html_report.h"
#include "session.h"

namespace qw::cli {

namespace {
struct Options {
    std::vector<std::string> ids;
    std::string out;
    std::string title;
};

std::vector<ReportEntry> entriesOf(const RunStore& store, const std::vector<std::string>& ids)
{
    const std::vector<RunSummary> known = store.list();
    std::vector<ReportEntry> entries;
    for (const std::string& id : ids) {
        ReportEntry entry;
        entry.run = store.get(id);
        const bool twice = std::any_of(entries.begin(), entries.end(), [&](const auto& other) {
            return other.run.id == entry.run.id;
        });
        if (twice) {
            continue;
        }
        for (const RunSummary& summary : known) {
            if (summary.result.id == entry.run.id) {
                entry.tags = summary.tags;
                entry.notes = summary.notes;
            }
        }
        entries.push_back(std::move(entry));
    }
    return entries;
}

int report(const Session& session, const Options& options)
{
    const std::vector<ReportEntry> entries = entriesOf(session.openStore(), options.ids);
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
        std::cout << options.out << ": " << entries.size()
                  << (entries.size() == 1 ? " run\n" : " runs\n");
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
