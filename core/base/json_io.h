#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace qw {

using Json = nlohmann::ordered_json;

/// Parses UTF-8 JSON with a depth limit and without duplicate keys.
/// @throws Error::BadFile naming @p what and the place
Json parseJson(std::string_view text, const std::string& what, int maxDepth = 64);

/// Reads and parses a file of at most @p maxBytes.
/// @throws Error::NotFound, Io, BadFile naming the file
Json readJsonFile(const std::filesystem::path& file, std::int64_t maxBytes = 64 << 20);

/// The known name nearest to @p name by edit distance, or empty if none is near.
std::string nearestName(std::string_view name, const std::vector<std::string>& known);

/// Reads an object key by key and then refuses what nobody asked for, naming the nearest known key.
class ObjectReader
{
public:
    /// @param where  how the user knows the object, for instance "recipe.json: weights"
    ObjectReader(const Json& object, std::string where);

    /// Leaves @p value alone if the key is missing. @throws Error::BadInput on a wrong type
    template <class T>
    ObjectReader& optional(const std::string& key, T& value)
    {
        if (const Json* found = find(key)) {
            try {
                found->get_to(value);
            } catch (const nlohmann::json::exception&) {
                wrongType(key, *found);
            }
        }
        return *this;
    }
    /// nullptr if missing.
    const Json* find(const std::string& key);
    /// @throws Error::BadInput for a key that was never asked for
    void finish() const;
    [[noreturn]] void wrongType(const std::string& key, const Json& found) const;

private:
    const Json& m_object;
    std::string m_where;
    std::set<std::string> m_known;
};

/// NaN and infinity become null, as JSON wants it.
Json finiteOrNull(double value);

} // namespace qw
