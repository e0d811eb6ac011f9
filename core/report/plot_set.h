#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "report/plot_data.h"
#include "report/run_groups.h"
#include "report/run_result.h"

namespace qw {

/// Plots of the same kind. Runs that must not be compared never share an axis: they come back as
/// plots of their own that say why (PlotData::apart), or are left out with the reason.
template <class Plot>
struct PlotSet {
    std::vector<Plot> plots; ///< at least one; an empty one says what would fill it
    std::vector<LeftOut> leftOut;
};

/// One plot for each group of runs that share axes; @p make draws a group (an empty one, too).
template <class Plot, class Make>
PlotSet<Plot> plotGroups(const std::vector<RunResult>& runs, const Mismatch& mismatch,
                         const std::string& whatFills, Make make)
{
    const Grouping grouping = groupRuns(runs, mismatch);
    PlotSet<Plot> set;
    set.leftOut = grouping.leftOut;
    for (const RunGroup& group : grouping.groups) {
        std::vector<RunResult> members;
        for (const std::size_t i : group.runs) {
            members.push_back(runs[i]);
        }
        set.plots.push_back(make(members));
        set.plots.back().apart = group.reason;
    }
    if (set.plots.empty()) {
        set.plots.push_back(make(std::vector<RunResult>{}));
        set.plots.back().empty = whatFills;
    }
    return set;
}

/// Numbers the series of each method, so that they can be told apart by their dashes.
inline void numberVariants(std::vector<Series>& series)
{
    std::map<std::string, int> used;
    for (Series& one : series) {
        one.variant = used[one.method]++;
    }
}

/// A wide range of positive values wants a logarithmic axis.
inline bool wantsLog(const std::vector<Series>& series)
{
    constexpr double kSpread = 20;
    double low = INFINITY;
    double high = 0;
    for (const Series& one : series) {
        for (const double y : one.y) {
            if (std::isfinite(y)) {
                low = std::min(low, y);
                high = std::max(high, y);
            }
        }
    }
    return low > 0 && high / low > kSpread;
}

} // namespace qw
