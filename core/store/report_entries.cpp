#include "store/report_entries.h"

#include <algorithm>

#include "store/run_activity.h"
#include "store/run_store.h"

namespace qw {

std::vector<ReportEntry> reportEntries(const RunStore& store, const std::vector<std::string>& ids)
{
    const std::vector<RunSummary> known = store.list();
    std::vector<ReportEntry> entries;
    for (const std::string& id : ids) {
        ReportEntry entry;
        entry.run = store.get(id);
        entry.run.status = shownStatus(entry.run);
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

} // namespace qw
