#include "sweep_report.h"

#include <algorithm>
#include <iostream>
#include <set>

#include "base/error.h"
#include "report/mean_error.h"
#include "table.h"

namespace qw::cli {

namespace {
bool finished(const RunResult& run)
{
    return run.status == "finished";
}

void printForPeople(const std::vector<RunResult>& runs)
{
    std::cout << runTable(runs);
    const auto measured = std::find_if(runs.begin(), runs.end(), finished);
    if (measured != runs.end()) {
        std::cout << measureLine(*measured);
    }
    for (const std::string& sentence : pairedSentences(runs)) {
        std::cout << sentence << '\n';
    }
    std::set<std::string> said;
    for (const RunResult& run : runs) {
        for (const std::string& sentence : run.substitutions) {
            if (said.insert(sentence).second) {
                std::cout << "note: " << sentence << '\n';
            }
        }
    }
}
} // namespace

int reportSweep(const Session& session, const std::vector<RunResult>& runs)
{
    if (session.json) {
        Json all = Json::array();
        for (const RunResult& run : runs) {
            all.push_back(toPublicJson(run, true));
        }
        printJson(Json{{"runs", all}});
    } else {
        printForPeople(runs);
    }
    const auto failed = std::count_if(runs.begin(), runs.end(),
                                      [](const RunResult& run) { return !finished(run); });
    if (failed == 0) {
        return 0;
    }
    say(message("qw: ", failed, " of ", counted(runs.size(), "run"),
                " failed; qw runs show ID says why, qw resume ", runs.front().sweep,
                " tries again"));
    return 1;
}

} // namespace qw::cli
