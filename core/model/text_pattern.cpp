#include "model/text_pattern.h"

#include "base/error.h"
#include "model/utf8.h"

#include <algorithm>
#include <mutex>

#include <oniguruma.h>

namespace qw::tok {

namespace {

constexpr std::size_t kMaxExpression = 64 << 10;
// A sane expression backtracks a few times for a character; an exponential or quadratic one is
// stopped by these long before it looks like a hang.
constexpr unsigned long kRetriesInMatch = 10'000'000;
constexpr unsigned long kRetriesInSearch = 50'000'000;
constexpr unsigned int kStackEntries = 1 << 24;

void initialize()
{
    static std::once_flag once;
    std::call_once(once, [] {
        OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
        onig_initialize(encodings, 1);
    });
}

const OnigUChar* bytes(const char* text)
{
    return reinterpret_cast<const OnigUChar*>(text);
}

std::string reason(int code, OnigErrorInfo* info)
{
    OnigUChar buffer[ONIG_MAX_ERROR_MESSAGE_LEN] = {};
    const int length =
        info ? onig_error_code_to_str(buffer, code, info) : onig_error_code_to_str(buffer, code);
    return {reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(std::max(length, 0))};
}

} // namespace

struct TextPattern::Regex {
    OnigRegex compiled = nullptr;
    std::string where;
    ~Regex() { onig_free(compiled); }
};

TextPattern TextPattern::literal(std::string text)
{
    TextPattern pattern;
    pattern.m_literal = std::move(text);
    return pattern;
}

TextPattern TextPattern::regex(const std::string& expression, std::string where)
{
    initialize();
    QW_REQUIRE(expression.size() <= kMaxExpression, ErrorCode::BadFile, where,
               " is a regular expression of ", expression.size(), " bytes; at most ",
               kMaxExpression, " are read.");
    auto regex = std::make_shared<Regex>();
    regex->where = std::move(where);
    OnigErrorInfo info = {};
    const char* begin = expression.data();
    const int code = onig_new(&regex->compiled, bytes(begin), bytes(begin + expression.size()),
                              ONIG_OPTION_NONE, ONIG_ENCODING_UTF8, ONIG_SYNTAX_DEFAULT, &info);
    if (code != ONIG_NORMAL) {
        regex->compiled = nullptr;
        throw Error(ErrorCode::BadFile, message(regex->where, " is not a regular expression: ",
                                                reason(code, &info), "."));
    }
    TextPattern pattern;
    pattern.m_regex = std::move(regex);
    return pattern;
}

TextPattern TextPattern::fromPart(const Part& part)
{
    const Part plain = part["String"];
    const Part expression = part["Regex"];
    if (plain.isNull() == expression.isNull()) {
        part.bad("must hold either \"String\" or \"Regex\"");
    }
    if (!plain.isNull()) {
        std::string text = plain.text();
        if (text.empty()) {
            plain.bad("must not be empty");
        }
        return literal(std::move(text));
    }
    return regex(expression.text(), expression.where());
}

bool TextPattern::next(std::string_view text, std::size_t from, Stretch& match) const
{
    if (!m_regex) {
        const std::size_t found = text.find(m_literal, from);
        match = {found, found + m_literal.size(), true};
        return found != std::string_view::npos;
    }
    using Region = std::unique_ptr<OnigRegion, void (*)(OnigRegion*)>;
    using Limits = std::unique_ptr<OnigMatchParam, void (*)(OnigMatchParam*)>;
    thread_local Region region(onig_region_new(), [](OnigRegion* r) { onig_region_free(r, 1); });
    thread_local Limits limits = [] {
        Limits made(onig_new_match_param(), onig_free_match_param);
        onig_initialize_match_param(made.get());
        onig_set_retry_limit_in_match_of_match_param(made.get(), kRetriesInMatch);
        onig_set_retry_limit_in_search_of_match_param(made.get(), kRetriesInSearch);
        onig_set_match_stack_limit_size_of_match_param(made.get(), kStackEntries);
        return made;
    }();
    const OnigUChar* begin = bytes(text.data());
    const OnigUChar* end = begin + text.size();
    const int place = onig_search_with_param(m_regex->compiled, begin, end, begin + from, end,
                                             region.get(), ONIG_OPTION_NONE, limits.get());
    if (place == ONIG_MISMATCH) {
        return false;
    }
    QW_REQUIRE(place >= 0, ErrorCode::BadFile, m_regex->where,
               " is a regular expression that takes too many steps on this text: ",
               reason(place, nullptr), ".");
    match = {static_cast<std::size_t>(region->beg[0]), static_cast<std::size_t>(region->end[0]),
             true};
    return true;
}

std::vector<Stretch> TextPattern::stretches(std::string_view text, const RunContext& run) const
{
    std::vector<Stretch> found;
    found.reserve(text.size() / 4 + 1);
    std::size_t from = 0;
    std::size_t covered = 0;
    bool matched = false;
    Stretch match;
    while (from <= text.size() && !text.empty() && next(text, from, match)) {
        run.checkpoint();
        // An empty match right behind the last one is none; go on one character later.
        if (match.begin == match.end && matched && match.end == covered) {
            from += from < text.size() ? codePointAt(text, from).length : 1;
            continue;
        }
        if (covered != match.begin) {
            found.push_back({covered, match.begin, false});
        }
        found.push_back(match);
        from = covered = match.end;
        matched = true;
    }
    if (covered != text.size()) {
        found.push_back({covered, text.size(), false});
    }
    return found;
}

std::string TextPattern::replace(std::string_view text, std::string_view content) const
{
    std::string result;
    result.reserve(text.size());
    for (const Stretch& stretch : stretches(text)) {
        result +=
            stretch.isMatch ? content : text.substr(stretch.begin, stretch.end - stretch.begin);
    }
    return result;
}

bool isWordCharacter(char32_t value)
{
    // Oniguruma's word class is Alphabetic, M, Nd and Pc; the joiners belong to \w as well.
    initialize();
    return value == 0x200C || value == 0x200D ||
           ONIGENC_IS_CODE_WORD(ONIG_ENCODING_UTF8, static_cast<OnigCodePoint>(value));
}

bool isSpaceCharacter(char32_t value)
{
    initialize();
    return ONIGENC_IS_CODE_SPACE(ONIG_ENCODING_UTF8, static_cast<OnigCodePoint>(value));
}

} // namespace qw::tok
