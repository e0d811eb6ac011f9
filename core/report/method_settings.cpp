#include "report/method_settings.h"

#include <algorithm>

#include "report/imported.h"

namespace qw {

namespace {
struct Rule {
    std::string setting; ///< or, with a dot at its end, a section
    std::vector<std::string> methods;
};

/// The first that fits counts.
const std::vector<Rule>& rules()
{
    static const std::vector<std::string> kLowRank{"lqer", "l2qer", "qera-approx", "qera-exact"};
    static const std::vector<Rule> kRules = {
        {"low_rank.correction", {}},
        {"low_rank.statistic", {"l2qer"}},
        {"low_rank.reduce", {"l2qer"}},
        {"low_rank.", kLowRank},
        {"gptq.", {"gptq"}},
        {"awq.", {"awq"}},
        {"smooth.", {"smoothquant"}},
        {"reconstruction.rank", {"lrq"}},
        {"reconstruction.rho", {"lrq"}},
        {"reconstruction.", {"flexround", "lrq"}},
        {"training.rank", {"lr-qat"}},
        {"training.alpha", {"lr-qat"}},
        {"training.phi", {"lr-qat"}},
        {"training.init", {"lr-qat"}},
        {"training.lr", {"lr-qat", "lsq"}},
        {"training.weight_decay", {"lr-qat", "lsq"}},
        {"training.", {"lr-qat", "lsq", "peqa"}},
    };
    return kRules;
}

bool fits(const Rule& rule, const std::string& setting)
{
    return rule.setting.back() == '.' ? setting.rfind(rule.setting, 0) == 0
                                      : setting == rule.setting;
}
} // namespace

std::vector<std::string> methodsWith(const std::string& setting)
{
    const auto found = std::find_if(rules().begin(), rules().end(),
                                    [&](const Rule& rule) { return fits(rule, setting); });
    return found == rules().end() ? std::vector<std::string>() : found->methods;
}

bool looksAt(const std::string& method, const std::string& correction, const std::string& setting)
{
    const std::vector<std::string> methods = methodsWith(setting);
    return methods.empty() ||
           std::any_of(methods.begin(), methods.end(),
                       [&](const std::string& one) { return one == method || one == correction; });
}

RunSpec withoutUnused(const RunSpec& spec)
{
    if (spec.method == kImported) {
        return spec;
    }
    const Json usual = toJson(RunSpec{});
    Json used = toJson(spec);
    for (const auto& [section, settings] : used.items()) {
        if (!settings.is_object()) {
            continue; // "seed" and others are for all methods
        }
        for (const auto& [key, value] : settings.items()) {
            if (!looksAt(spec.method, spec.lowRank.correction, section + "." + key)) {
                value = usual.at(section).at(key);
            }
        }
    }
    return runSpecFromJson(used);
}

} // namespace qw
