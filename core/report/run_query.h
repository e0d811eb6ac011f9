#pragma once

#include <string>
#include <vector>

#include "report/query_term.h"
#include "report/run_summary.h"

namespace qw {

using RunQueryKey = QueryKey;
const std::vector<RunQueryKey>& runQueryKeys();

/// A filter of runs as people type it (parseQuery() says how): all terms must hold. Free words are
/// looked for in name, id, tags, notes and model.
class RunQuery
{
public:
    RunQuery() = default; ///< every run
    /// @throws Error::BadInput, a sentence naming the term
    static RunQuery parse(const std::string& text);
    /// @param shownStatus  what a list calls the run's status where it differs from the stored one:
    /// `status` finds either
    bool matches(const RunSummary& run, const std::string& shownStatus = {}) const;
    bool empty() const { return m_terms.empty(); }

private:
    static bool fulfils(const QueryTerm& term, const RunSummary& run,
                        const std::string& shownStatus);

    std::vector<QueryTerm> m_terms;
};

} // namespace qw
