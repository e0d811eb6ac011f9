#include "base/json_problem.h"

#include "base/error.h"

namespace qw {

namespace {
/// Removes all up to and including @p mark, if it is there.
void dropThrough(std::string& text, std::string_view mark)
{
    const auto at = text.find(mark);
    if (at != std::string::npos) {
        text.erase(0, at + mark.size());
    }
}
} // namespace

std::string jsonProblem(const std::exception& problem)
{
    std::string text = problem.what();
    dropThrough(text, "] "); // "[json.exception.parse_error.101] "
    text = text.substr(0, text.find("; last read"));
    const auto reason = text.find(": syntax error while parsing");
    if (reason == std::string::npos) {
        return text;
    }
    std::string place = text.substr(0, reason);
    dropThrough(place, "parse error at ");
    std::string why = text.substr(reason);
    dropThrough(why, " - ");
    return place + ": " + why;
}

Json parseJsonLine(std::string_view line, const std::string& what)
{
    try {
        return parseJson(line, what);
    } catch (const Error& problem) {
        std::string text = problem.what();
        const std::string only = "line 1, column";
        const auto at = text.find(only, what.size());
        if (at != std::string::npos) {
            text.replace(at, only.size(), "column");
        }
        throw Error(problem.code(), text);
    }
}

} // namespace qw
