#include "report/run_query.h"

#include <algorithm>

#include "report/run_groups.h"

namespace qw {

namespace {
using Number = double (*)(const RunResult&);
using Texts = std::vector<std::string> (*)(const RunSummary&);

struct Key {
    RunQueryKey shown;
    Number number = nullptr;
    Texts texts = nullptr;
};

const std::vector<Key>& keys()
{
    static const std::vector<Key> kKeys = {
        {{"bits", true, "bits of a weight"},
         [](const RunResult& r) { return static_cast<double>(r.spec.weight.bits); }},
        {{"rank", true, "rank of the correction, or learned rank"},
         [](const RunResult& r) { return rankNumber(knownRank(r)); }},
        {{"group", true, "columns per scale; channel, tensor"},
         [](const RunResult& r) { return static_cast<double>(r.spec.weight.groupSize); }},
        {{"seed", true, "seed"},
         [](const RunResult& r) { return static_cast<double>(r.spec.seed); }},
        {{"ppl", true, "perplexity"}, [](const RunResult& r) { return r.score.perplexity; }},
        {{"dnll", true, "loss over full precision, nats per token"},
         [](const RunResult& r) { return r.comparison.deltaNll; }},
        {{"kl", true, "KL divergence, nats per token"},
         [](const RunResult& r) { return r.comparison.klMean; }},
        {{"top1", true, "agreement of the likeliest token, %"},
         [](const RunResult& r) { return 100 * r.comparison.top1Agreement; }},
        {{"bpw", true, "bits per weight"}, [](const RunResult& r) { return r.bitsPerWeight; }},
        {{"mb", true, "size of the quantized layers, MB"},
         [](const RunResult& r) { return static_cast<double>(r.bytes) / 1e6; }},
        {{"time", true, "seconds"}, [](const RunResult& r) { return r.seconds; }},
        {{"method", false, "method"},
         nullptr,
         [](const RunSummary& s) { return std::vector{s.result.spec.method}; }},
        {{"format", false, "int or mxint"},
         nullptr,
         [](const RunSummary& s) { return std::vector{s.result.spec.weight.format}; }},
        {{"model", false, "model"},
         nullptr,
         [](const RunSummary& s) { return std::vector{s.result.spec.model}; }},
        {{"text", false, "evaluation text"},
         nullptr,
         [](const RunSummary& s) { return std::vector{s.result.spec.evaluation.text}; }},
        {{"status", false, "finished, running, failed, …"},
         nullptr,
         [](const RunSummary& s) { return std::vector{s.result.status}; }},
        {{"sweep", false, "id of the sweep"},
         nullptr,
         [](const RunSummary& s) { return std::vector{s.result.sweep}; }},
        {{"id", false, "id of the run"},
         nullptr,
         [](const RunSummary& s) { return std::vector{s.result.id}; }},
        {{"tag", false, "a tag"}, nullptr, [](const RunSummary& s) { return s.tags; }},
        {{"note", false, "notes"},
         nullptr,
         [](const RunSummary& s) { return std::vector{s.notes}; }},
        {{"star", false, "yes or no"},
         nullptr,
         [](const RunSummary& s) { return std::vector<std::string>{s.starred ? "yes" : "no"}; }},
    };
    return kKeys;
}

const Key& findKey(const std::string& name)
{
    return *std::find_if(keys().begin(), keys().end(),
                         [&](const Key& k) { return k.shown.name == name; });
}

double number(const std::string& key, const std::string& text)
{
    return key == "group" && (text == "channel" || text == "tensor")
               ? static_cast<double>(groupSizeFromText(text))
               : queryNumber(key, text);
}

} // namespace

const std::vector<RunQueryKey>& runQueryKeys()
{
    static const std::vector<RunQueryKey> kShown = [] {
        std::vector<RunQueryKey> shown;
        for (const Key& key : keys()) {
            shown.push_back(key.shown);
        }
        return shown;
    }();
    return kShown;
}

RunQuery RunQuery::parse(const std::string& text)
{
    static const QueryLanguage kLanguage = {"runs", "bits, rank, method, ppl, kl, tag and others",
                                            runQueryKeys(), number};
    RunQuery query;
    query.m_terms = parseQuery(text, kLanguage);
    return query;
}

bool RunQuery::fulfils(const QueryTerm& term, const RunSummary& run, const std::string& shownStatus)
{
    if (term.key.empty()) {
        const std::string& word = term.texts.front();
        return hasPart(shortName(run.result), word) || hasPart(run.result.id, word) ||
               hasPart(run.notes, word) || hasPart(run.result.spec.model, word) ||
               std::any_of(run.tags.begin(), run.tags.end(),
                           [&](const std::string& tag) { return hasPart(tag, word); });
    }
    const Key& key = findKey(term.key);
    if (key.shown.number) {
        return term.holds(key.number(run.result));
    }
    std::vector<std::string> values = key.texts(run);
    if (term.key == "status" && !shownStatus.empty()) {
        values.push_back(shownStatus);
    }
    return term.holds(values);
}

bool RunQuery::matches(const RunSummary& run, const std::string& shownStatus) const
{
    return std::all_of(m_terms.begin(), m_terms.end(), [&](const QueryTerm& term) {
        return fulfils(term, run, shownStatus) != term.negated;
    });
}

} // namespace qw
