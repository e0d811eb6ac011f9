#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/run_context.h"
#include "model/tokenizer_json.h"

namespace qw::tok {

/// A stretch of a text, and whether the pattern matched it.
struct Stretch {
    std::size_t begin = 0;
    std::size_t end = 0;
    bool isMatch = false;
};

/// A regular expression of Oniguruma (the engine of the reference library) over UTF-8, or a plain
/// string. Safe to use from several threads.
class TextPattern
{
public:
    /// A plain string. Not empty.
    static TextPattern literal(std::string text);
    /// @param where  the part of the file, for messages
    /// @throws Error::BadFile if the expression does not compile
    static TextPattern regex(const std::string& expression, std::string where);
    /// {"String": s} or {"Regex": r}, as the file has it. @throws Error::BadFile
    static TextPattern fromPart(const Part& part);

    /// The whole text as consecutive stretches, matches and what lies between them.
    /// @throws Error::BadFile if matching takes more steps than a sane expression needs
    std::vector<Stretch> stretches(std::string_view text, const RunContext& run = {}) const;
    /// The text with each match replaced by @p content, literally.
    std::string replace(std::string_view text, std::string_view content) const;

private:
    struct Regex;
    TextPattern() = default;
    bool next(std::string_view text, std::size_t from, Stretch& match) const;

    std::string m_literal;
    std::shared_ptr<const Regex> m_regex;
};

/// \w and \s as the reference library understands them beside added tokens.
bool isWordCharacter(char32_t value);
bool isSpaceCharacter(char32_t value);

} // namespace qw::tok
