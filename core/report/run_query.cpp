#include "report/run_query.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>

#include "base/error.h"
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

const Key* findKey(const std::string& name)
{
    const auto found = std::find_if(keys().begin(), keys().end(),
                                    [&](const Key& k) { return k.shown.name == name; });
    return found == keys().end() ? nullptr : &*found;
}

/// Letters of ASCII only: ids, methods and paths have no others that matter.
std::string lower(std::string text)
{
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return text;
}

/// At spaces that no quotation marks enclose.
std::vector<std::string> words(const std::string& text)
{
    std::vector<std::string> found;
    std::string word;
    bool quoted = false;
    for (const char c : text + ' ') {
        if (c == '"') {
            quoted = !quoted;
        } else if (c == ' ' && !quoted) {
            if (!word.empty()) {
                found.push_back(std::exchange(word, {}));
            }
        } else {
            word += c;
        }
    }
    if (!word.empty()) { // a quotation mark that is not closed yet
        word.pop_back();
        found.push_back(word);
    }
    return found;
}

std::vector<std::string> split(const std::string& text)
{
    std::vector<std::string> parts;
    std::size_t at = 0;
    while (at <= text.size()) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        if (end > at) {
            parts.push_back(text.substr(at, end - at));
        }
        at = end + 1;
    }
    return parts;
}

double numberOf(const std::string& key, const std::string& text)
{
    if (key == "group" && (text == "channel" || text == "tensor")) {
        return static_cast<double>(groupSizeFromText(text));
    }
    double value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    QW_REQUIRE(problem == std::errc() && end == text.data() + text.size(), ErrorCode::BadInput, key,
               " wants a number, not \"", text, "\"");
    return value;
}

bool contains(const std::string& text, const std::string& part)
{
    return lower(text).find(part) != std::string::npos;
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
    RunQuery query;
    for (const std::string& word : words(text)) {
        query.m_terms.push_back(parseTerm(word));
    }
    return query;
}

RunQuery::Term RunQuery::parseTerm(const std::string& text)
{
    Term term;
    term.negated = text.size() > 1 && text.front() == '-';
    const std::string body = lower(term.negated ? text.substr(1) : text);
    const std::size_t sign = body.find_first_of(":=<>");
    if (sign == std::string::npos || sign == 0) {
        term.texts = {body};
        return term;
    }
    term.key = body.substr(0, sign);
    const Key* key = findKey(term.key);
    QW_REQUIRE(key != nullptr, ErrorCode::BadInput, "runs have no \"", term.key,
               "\"; bits, rank, method, ppl, kl, tag and others can be asked for");
    const bool orEqual = body.compare(sign + 1, 1, "=") == 0;
    const std::string value = body.substr(sign + (orEqual ? 2 : 1));
    switch (body[sign]) {
    case '<':
        term.relation = orEqual ? Relation::LessEqual : Relation::Less;
        break;
    case '>':
        term.relation = orEqual ? Relation::GreaterEqual : Relation::Greater;
        break;
    default:
        term.relation = body[sign] == '=' ? Relation::Equal : Relation::Has;
    }
    QW_REQUIRE(!value.empty(), ErrorCode::BadInput, text, " lacks a value");
    const bool ordered = body[sign] == '<' || body[sign] == '>';
    QW_REQUIRE(!ordered || key->shown.number, ErrorCode::BadInput, term.key,
               " is a text: ask with \":\" or \"=\"");
    term.texts = split(value);
    QW_REQUIRE(!ordered || term.texts.size() == 1, ErrorCode::BadInput, text,
               " compares with several numbers");
    if (key->shown.number) {
        for (const std::string& part : term.texts) {
            term.numbers.push_back(numberOf(term.key, part));
        }
    }
    return term;
}

bool RunQuery::fulfils(const Term& term, const RunSummary& run, const std::string& shownStatus)
{
    if (term.key.empty()) {
        const std::string& word = term.texts.front();
        return contains(shortName(run.result), word) || contains(run.result.id, word) ||
               contains(run.notes, word) || contains(run.result.spec.model, word) ||
               std::any_of(run.tags.begin(), run.tags.end(),
                           [&](const std::string& tag) { return contains(tag, word); });
    }
    const Key& key = *findKey(term.key);
    if (key.shown.number) {
        const double value = key.number(run.result);
        return std::any_of(term.numbers.begin(), term.numbers.end(), [&](double wanted) {
            switch (term.relation) {
            case Relation::Less:
                return value < wanted;
            case Relation::LessEqual:
                return value <= wanted;
            case Relation::Greater:
                return value > wanted;
            case Relation::GreaterEqual:
                return value >= wanted;
            default:
                return value == wanted;
            }
        });
    }
    std::vector<std::string> values = key.texts(run);
    if (term.key == "status" && !shownStatus.empty()) {
        values.push_back(shownStatus);
    }
    return std::any_of(values.begin(), values.end(), [&](const std::string& value) {
        return std::any_of(term.texts.begin(), term.texts.end(), [&](const std::string& wanted) {
            return term.relation == Relation::Equal ? lower(value) == wanted
                                                    : contains(value, wanted);
        });
    });
}

bool RunQuery::matches(const RunSummary& run, const std::string& shownStatus) const
{
    return std::all_of(m_terms.begin(), m_terms.end(), [&](const Term& term) {
        return fulfils(term, run, shownStatus) != term.negated;
    });
}

} // namespace qw
