#include "base/json_io.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/files.h"
#include "base/json_problem.h"

namespace qw {

Json parseJson(std::string_view text, const std::string& what, int maxDepth)
{
    std::vector<std::set<std::string>> keys; // of the objects open now
    const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
        using Event = Json::parse_event_t;
        if (depth >= maxDepth) {
            throw Error(ErrorCode::BadFile,
                        message(what, ": is nested deeper than ", maxDepth, " levels"));
        }
        if (event == Event::object_start) {
            keys.emplace_back();
        } else if (event == Event::object_end) {
            keys.pop_back();
        } else if (event == Event::key) {
            const auto& key = parsed.get_ref<const std::string&>();
            if (!keys.back().insert(key).second) {
                throw Error(ErrorCode::BadFile,
                            message(what, ": the key \"", key, "\" stands twice in one object"));
            }
        }
        return true;
    };
    try {
        return Json::parse(text.begin(), text.end(), watch);
    } catch (const nlohmann::json::exception& problem) {
        throw Error(ErrorCode::BadFile,
                    message(what, ": is not valid JSON: ", jsonProblem(problem)));
    }
}

Json readJsonFile(const std::filesystem::path& file, std::int64_t maxBytes)
{
    return parseJson(readTextFile(file, maxBytes), file.string());
}

std::string nearestName(std::string_view name, const std::vector<std::string>& known)
{
    std::string best;
    std::size_t bestDistance = std::max<std::size_t>(2, name.size() / 3) + 1;
    for (const std::string& candidate : known) {
        std::vector<std::size_t> row(candidate.size() + 1); // of the edit distance table
        std::iota(row.begin(), row.end(), std::size_t{0});
        for (std::size_t i = 0; i < name.size(); ++i) {
            std::size_t diagonal = row[0];
            row[0] = i + 1;
            for (std::size_t j = 0; j < candidate.size(); ++j) {
                const std::size_t change = diagonal + (name[i] == candidate[j] ? 0 : 1);
                diagonal = row[j + 1];
                row[j + 1] = std::min({row[j + 1] + 1, row[j] + 1, change});
            }
        }
        if (row.back() < bestDistance) {
            bestDistance = row.back();
            best = candidate;
        }
    }
    return best;
}

ObjectReader::ObjectReader(const Json& object, std::string where)
    : m_object(object), m_where(std::move(where))
{
    QW_REQUIRE(object.is_object(), ErrorCode::BadInput, m_where, ": expected an object, found ",
               object.type_name());
}

const Json* ObjectReader::find(const std::string& key)
{
    m_known.insert(key);
    const auto found = m_object.find(key);
    return found == m_object.end() ? nullptr : &*found;
}

void ObjectReader::finish() const
{
    for (const auto& [key, value] : m_object.items()) {
        if (m_known.contains(key)) {
            continue;
        }
        const std::string nearest = nearestName(key, {m_known.begin(), m_known.end()});
        throw Error(
            ErrorCode::BadInput,
            message(m_where, ": unknown key \"", key, "\"",
                    nearest.empty() ? std::string() : "; did you mean \"" + nearest + "\"?"));
    }
}

void ObjectReader::wrongType(const std::string& key, const Json& found) const
{
    throw Error(ErrorCode::BadInput, message(m_where, ": \"", key, "\" has the wrong type (",
                                             found.type_name(), "): ", found.dump()));
}

Json finiteOrNull(double value)
{
    return std::isfinite(value) ? Json(value) : Json(nullptr);
}

} // namespace qw
