#pragma once

#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/json_io.h"

namespace qw {

/// Reads one value only if JSON holds exactly its type: 4.7 or true are no integers, whatever the
/// JSON library would make of them. @return false on another type
inline bool readExactly(const Json& json, std::string& value)
{
    if (json.is_string()) {
        value = json.get<std::string>();
    }
    return json.is_string();
}

inline bool readExactly(const Json& json, bool& value)
{
    if (json.is_boolean()) {
        value = json.get<bool>();
    }
    return json.is_boolean();
}

inline bool readExactly(const Json& json, std::int64_t& value)
{
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (!json.is_number_integer() ||
        (json.is_number_unsigned() && json.get<std::uint64_t>() > kMost)) {
        return false;
    }
    value = json.get<std::int64_t>();
    return true;
}

/// null is NaN, as finiteOrNull() writes it.
inline bool readExactly(const Json& json, double& value)
{
    if (json.is_null()) {
        value = std::numeric_limits<double>::quiet_NaN();
        return true;
    }
    if (json.is_number()) {
        value = json.get<double>();
    }
    return json.is_number();
}

inline bool readExactly(const Json& json, std::map<std::string, double>& values)
{
    if (!json.is_object()) {
        return false;
    }
    std::map<std::string, double> read;
    for (const auto& [key, value] : json.items()) {
        if (!readExactly(value, read[key])) {
            return false;
        }
    }
    values = std::move(read);
    return true;
}

/// ObjectReader with exact types. @throws Error::BadInput naming the key
class TypedReader
{
public:
    TypedReader(const Json& object, const std::string& where) : m_reader(object, where) {}

    /// Leaves @p value alone if the key is missing.
    template <class T>
    TypedReader& read(const std::string& key, T& value)
    {
        if (const Json* found = m_reader.find(key); found && !readExactly(*found, value)) {
            m_reader.wrongType(key, *found);
        }
        return *this;
    }
    template <class T>
    TypedReader& read(const std::string& key, std::optional<T>& value)
    {
        T present{};
        if (const Json* found = m_reader.find(key)) {
            if (!readExactly(*found, present)) {
                m_reader.wrongType(key, *found);
            }
            value = present;
        }
        return *this;
    }
    const Json* find(const std::string& key) { return m_reader.find(key); }
    [[noreturn]] void wrongType(const std::string& key, const Json& found) const
    {
        m_reader.wrongType(key, found);
    }
    void finish() const { m_reader.finish(); }

private:
    ObjectReader m_reader;
};

} // namespace qw
