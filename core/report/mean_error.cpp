#include "report/mean_error.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/error.h"
#include "report/number_format.h"
#include "report/run_groups.h"

namespace qw {

MeanError meanError(const std::vector<double>& values)
{
    if (values.empty()) {
        return {};
    }
    const auto n = static_cast<double>(values.size());
    double sum = 0;
    for (const double value : values) {
        sum += value;
    }
    const double mean = sum / n;
    double squares = 0;
    for (const double value : values) {
        squares += (value - mean) * (value - mean);
    }
    return {mean, values.size() > 1 ? std::sqrt(squares / (n - 1) / n) : kMissing};
}

MeanError pairedDifference(const RunResult& a, const RunResult& b)
{
    const std::vector<double>& first = a.score.windowNll;
    const std::vector<double>& second = b.score.windowNll;
    if (first.size() != second.size() || !qualityMismatch(a, b).empty()) {
        return {};
    }
    std::vector<double> differences(first.size());
    std::transform(second.begin(), second.end(), first.begin(), differences.begin(),
                   std::minus<>());
    return meanError(differences);
}

std::vector<std::string> pairedSentences(const std::vector<RunResult>& runs)
{
    std::vector<std::string> sentences;
    const std::vector<std::string> names = distinctNames(runs);
    for (std::size_t i = 1; i < runs.size(); ++i) {
        const MeanError difference = pairedDifference(runs.front(), runs[i]);
        if (std::isfinite(difference.mean)) {
            sentences.push_back(
                message("nll of ", names[i], " minus nll of ", names.front(), ": ",
                        formatWithError(difference.mean, difference.standardError, 4),
                        " (paired over ", runs[i].score.windowNll.size(), " windows)"));
        }
    }
    return sentences;
}

} // namespace qw
