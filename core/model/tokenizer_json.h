#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace qw::tok {

/// Objects are sorted maps: a vocabulary of 100,000 keys would take quadratic time in qw::Json.
using JsonTree = nlohmann::json;

/// Parses tokenizer.json with a depth limit and without duplicate keys.
/// @throws Error::BadFile naming @p file and the place
JsonTree parseTokenizerJson(std::string_view text, const std::string& file);

/// One value of the file together with its place in it ("tokenizer.json: normalizer.type"), so
/// that every refusal can say where. The tree outlives it.
class Part
{
public:
    Part(const JsonTree& value, std::string file, std::string path = {});

    const JsonTree& value() const { return *m_value; }
    bool isNull() const { return m_value->is_null(); }
    bool isString() const { return m_value->is_string(); }
    bool isArray() const { return m_value->is_array(); }
    bool isObject() const { return m_value->is_object(); }

    /// The member, or a null part if it is missing. @throws Error::BadFile if this is no object
    Part operator[](const std::string& key) const;
    /// The elements of an array. @throws Error::BadFile if this is none
    std::vector<Part> elements() const;
    std::size_t size() const { return m_value->size(); }

    std::string text() const;                        ///< @throws Error::BadFile unless a string
    std::string textOr(std::string otherwise) const; ///< also where null or missing
    bool flag() const;                               ///< @throws Error::BadFile unless a boolean
    bool flagOr(bool otherwise) const;
    std::int32_t id() const; ///< a token id. @throws Error::BadFile unless in 0..2^24-1
    std::int64_t countOr(std::int64_t otherwise) const; ///< 0..2^24-1
    char32_t character() const; ///< @throws Error::BadFile unless a string of one code point

    [[noreturn]] void bad(const std::string& what) const;
    [[noreturn]] void unsupported(const std::string& known) const;
    /// "tokenizer.json: model.vocab"
    std::string where() const;

private:
    const JsonTree* m_value;
    std::string m_file;
    std::string m_path;
};

} // namespace qw::tok
