#include "report/query_term.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/error.h"

namespace qw {

namespace {
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

QueryTerm parseTerm(const std::string& text, const QueryLanguage& language)
{
    QueryTerm term;
    term.negated = text.size() > 1 && text.front() == '-';
    const std::string body = lower(term.negated ? text.substr(1) : text);
    const std::size_t sign = body.find_first_of(":=<>");
    if (sign == std::string::npos || sign == 0) {
        term.texts = {body};
        return term;
    }
    term.key = body.substr(0, sign);
    const auto key = std::find_if(language.keys.begin(), language.keys.end(),
                                  [&](const QueryKey& known) { return known.name == term.key; });
    QW_REQUIRE(key != language.keys.end(), ErrorCode::BadInput, language.things, " have no \"",
               term.key, "\"; ", language.examples, " can be asked for");
    const bool orEqual = body.compare(sign + 1, 1, "=") == 0;
    const std::string value = body.substr(sign + (orEqual ? 2 : 1));
    switch (body[sign]) {
    case '<':
        term.relation = orEqual ? QueryTerm::Relation::LessEqual : QueryTerm::Relation::Less;
        break;
    case '>':
        term.relation = orEqual ? QueryTerm::Relation::GreaterEqual : QueryTerm::Relation::Greater;
        break;
    default:
        term.relation = body[sign] == '=' ? QueryTerm::Relation::Equal : QueryTerm::Relation::Has;
    }
    QW_REQUIRE(!value.empty(), ErrorCode::BadInput, text, " lacks a value");
    const bool ordered = body[sign] == '<' || body[sign] == '>';
    QW_REQUIRE(!ordered || key->number, ErrorCode::BadInput, term.key,
               " is a text: ask with \":\" or \"=\"");
    term.texts = split(value);
    QW_REQUIRE(!ordered || term.texts.size() == 1, ErrorCode::BadInput, text,
               " compares with several numbers");
    if (key->number) {
        for (const std::string& part : term.texts) {
            term.numbers.push_back(language.number(term.key, part));
        }
    }
    return term;
}
} // namespace

bool hasPart(const std::string& text, const std::string& part)
{
    return lower(text).find(part) != std::string::npos;
}

double queryNumber(const std::string& key, const std::string& text)
{
    double value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    QW_REQUIRE(problem == std::errc() && end == text.data() + text.size(), ErrorCode::BadInput, key,
               " wants a number, not \"", text, "\"");
    return value;
}

bool QueryTerm::holds(double value) const
{
    return std::any_of(numbers.begin(), numbers.end(), [&](double wanted) {
        switch (relation) {
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

bool QueryTerm::holds(const std::vector<std::string>& values) const
{
    return std::any_of(values.begin(), values.end(), [&](const std::string& value) {
        return std::any_of(texts.begin(), texts.end(), [&](const std::string& wanted) {
            return relation == Relation::Equal ? lower(value) == wanted : hasPart(value, wanted);
        });
    });
}

std::vector<QueryTerm> parseQuery(const std::string& text, const QueryLanguage& language)
{
    std::vector<QueryTerm> terms;
    for (const std::string& word : words(text)) {
        terms.push_back(parseTerm(word, language));
    }
    return terms;
}

} // namespace qw
