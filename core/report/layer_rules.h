#pragma once

#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "report/run_spec.h"

namespace qw {

/// What a spec says of each layer, its overrides read once; for many layers of one spec.
class LayerRules
{
public:
    /// @throws Error::BadInput for an override that is no usable regular expression
    explicit LayerRules(const RunSpec& spec);
    LayerSettings of(const std::string& layer) const;

private:
    struct Rule {
        std::optional<std::regex> expression;
        std::string name; ///< where the pattern is one layer's whole name: no expression is needed
        LayerOverride change;
    };
    LayerSettings m_usual;
    std::vector<Rule> m_rules; ///< later ones win
};

} // namespace qw
