#pragma once

#include <string>
#include <vector>

#include "report/run_summary.h"

namespace qw {

/// What can be asked of a run, for help texts.
struct RunQueryKey {
    std::string name;
    bool number = false;
    std::string meaning;
};
const std::vector<RunQueryKey>& runQueryKeys();

/// A filter of runs as people type it: terms between spaces, all of which must hold.
///     bits:3 method:lqer,qera ppl<40 -tag:old star:yes "two words"
/// `key:value` compares numbers and finds parts of texts whatever their case, `key=value` wants the
/// whole text, `<`, `<=`, `>`, `>=` compare numbers; several values with commas mean any of them; a
/// minus in front means not; other words are looked for in name, id, tags, notes and model. A
/// missing number fulfils no comparison.
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
    enum class Relation { Has, Equal, Less, LessEqual, Greater, GreaterEqual };
    struct Term {
        bool negated = false;
        std::string key; ///< empty: a free word
        Relation relation = Relation::Has;
        std::vector<std::string> texts; ///< lower case
        std::vector<double> numbers;    ///< if the key is a number
    };
    static Term parseTerm(const std::string& text);
    static bool fulfils(const Term& term, const RunSummary& run, const std::string& shownStatus);

    std::vector<Term> m_terms;
};

} // namespace qw
