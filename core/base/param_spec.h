#pragma once

#include <string>
#include <variant>
#include <vector>

namespace qw {

/// One setting of a method: builds the form, the command line help and the check of a recipe.
struct ParamSpec {
    using Value = std::variant<bool, std::int64_t, double, std::string>;
    std::string key;   ///< as in JSON, snake_case
    std::string label; ///< for people
    std::string unit;  ///< empty if none
    Value defaultValue;
    double minimum = 0; ///< for numbers; equal bounds: no range
    double maximum = 0;
    std::vector<std::string> choices; ///< for strings
    std::string help;                 ///< what it does, one sentence
    std::string source;               ///< paper, section
    bool operator==(const ParamSpec&) const = default;
};

} // namespace qw
