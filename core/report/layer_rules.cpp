#include "report/layer_rules.h"

#include <cctype>

#include "base/error.h"

namespace qw {

namespace {
/// The text that "^text$" stands for if nothing in it is special but escaped dots, or empty. The
/// window writes such patterns, one for each layer edited.
std::string literal(const std::string& pattern)
{
    if (pattern.size() < 3 || pattern.front() != '^' || pattern.back() != '$') {
        return {};
    }
    std::string text;
    for (std::size_t i = 1; i + 1 < pattern.size(); ++i) {
        const auto letter = static_cast<unsigned char>(pattern[i]);
        if (letter == '\\' && pattern[i + 1] == '.') {
            text += pattern[++i];
        } else if (std::isalnum(letter) != 0 || letter == '_') {
            text += pattern[i];
        } else {
            return {};
        }
    }
    return text;
}
} // namespace

LayerRules::LayerRules(const RunSpec& spec) : m_usual{spec.weight, spec.lowRank.rank, false}
{
    for (const LayerOverride& entry : spec.overrides) {
        Rule rule{std::nullopt, literal(entry.pattern), entry};
        try {
            if (rule.name.empty()) {
                rule.expression.emplace(entry.pattern, std::regex::ECMAScript);
            }
        } catch (const std::regex_error& problem) {
            throw Error(ErrorCode::BadInput,
                        message("override \"", entry.pattern,
                                "\" is not a usable regular expression: ", problem.what()));
        }
        m_rules.push_back(std::move(rule));
    }
}

LayerSettings LayerRules::of(const std::string& layer) const
{
    LayerSettings settings = m_usual;
    for (const Rule& rule : m_rules) {
        if (rule.expression ? !std::regex_search(layer, *rule.expression) : layer != rule.name) {
            continue;
        }
        const LayerOverride& entry = rule.change;
        settings.weight.bits = entry.bits.value_or(settings.weight.bits);
        settings.weight.groupSize = entry.groupSize.value_or(settings.weight.groupSize);
        settings.rank = entry.rank.value_or(settings.rank);
        settings.skip = entry.skip.value_or(settings.skip);
    }
    return settings;
}

LayerSettings settingsFor(const RunSpec& spec, const std::string& layer)
{
    return LayerRules(spec).of(layer);
}

} // namespace qw
