#include "report/spec_command.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <string_view>

#include "report/imported.h"
#include "report/method_settings.h"
#include "report/run_tables.h"

namespace qw {

namespace {
struct FlagOf {
    const char* setting; ///< path in JSON
    const char* flag;
};
constexpr std::array kFlags = {
    FlagOf{"method", "--method"},
    FlagOf{"weight.format", "--format"},
    FlagOf{"weight.bits", "--bits"},
    FlagOf{"weight.group_size", "--group-size"},
    FlagOf{"weight.scale_dtype", "--scale-dtype"},
    FlagOf{"weight.range", "--range"},
    FlagOf{"weight.range_norm", "--range-norm"},
    FlagOf{"weight.range_steps", "--range-steps"},
    FlagOf{"weight.exponent_bits", "--exponent-bits"},
    FlagOf{"weight.mx_rule", "--mx-rule"},
    FlagOf{"low_rank.rank", "--rank"},
    FlagOf{"low_rank.factor_bits", "--factor-bits"},
    FlagOf{"low_rank.factor_block", "--factor-block"},
    FlagOf{"low_rank.statistic", "--statistic"},
    FlagOf{"low_rank.reduce", "--reduce"},
    FlagOf{"low_rank.solver", "--solver"},
    FlagOf{"low_rank.correction", "--correction"},
    FlagOf{"reconstruction.iterations", "--iters"},
    FlagOf{"reconstruction.lr", "--lr"},
    FlagOf{"reconstruction.rank", "--rank"},
    FlagOf{"reconstruction.rho", "--rho"},
    FlagOf{"reconstruction.batch_size", "--batch-size"},
    FlagOf{"reconstruction.compute", "--train-compute"},
    FlagOf{"reconstruction.without", "--without"},
    FlagOf{"reconstruction.divisor", "--divisor"},
    FlagOf{"training.text", "--train-text"},
    FlagOf{"training.steps", "--steps"},
    FlagOf{"training.batch_size", "--batch-size"},
    FlagOf{"training.grad_accum", "--grad-accum"},
    FlagOf{"training.seqlen", "--train-seqlen"},
    FlagOf{"training.lr", "--lr"},
    FlagOf{"training.lr_scale", "--lr-scale"},
    FlagOf{"training.warmup", "--warmup"},
    FlagOf{"training.weight_decay", "--weight-decay"},
    FlagOf{"training.clip", "--clip"},
    FlagOf{"training.rank", "--rank"},
    FlagOf{"training.alpha", "--alpha"},
    FlagOf{"training.phi", "--phi"},
    FlagOf{"training.init", "--init"},
    FlagOf{"training.compute", "--train-compute"},
    FlagOf{"training.save_every", "--save-every"},
    FlagOf{"gptq.damp_percent", "--damp-percent"},
    FlagOf{"awq.ratios", "--awq-ratios"},
    FlagOf{"awq.clip", "--awq-clip"},
    FlagOf{"smooth.alpha", "--smooth-alpha"},
    FlagOf{"activation.format", "--act-format"},
    FlagOf{"activation.bits", "--act-bits"},
    FlagOf{"activation.block_size", "--act-block"},
    FlagOf{"activation.zero_point", "--act-zero-point"},
    FlagOf{"activation.points", "--act-points"},
    FlagOf{"activation.scale", "--act-scale"},
    FlagOf{"calibration.text", "--calibration"},
    FlagOf{"calibration.nsamples", "--nsamples"},
    FlagOf{"calibration.seqlen", "--calibration-seqlen"},
    FlagOf{"calibration.windows", "--calibration-windows"},
    FlagOf{"calibration.stat_batch", "--stat-batch"},
    FlagOf{"evaluation.text", "--text"},
    FlagOf{"evaluation.seqlen", "--seqlen"},
    FlagOf{"evaluation.windows", "--windows"},
    FlagOf{"evaluation.protocol", "--protocol"},
    FlagOf{"evaluation.compute", "--compute"},
    FlagOf{"seed", "--seed"},
    FlagOf{"artifacts", "--artifacts"},
    FlagOf{"device", "--device"},
    FlagOf{"threads", "--threads"},
};
/// Flags without a value, for what is not the default.
constexpr std::array kSwitches = {
    FlagOf{"weight.sym", "--sym"},
    FlagOf{"activation.attention", "--act-attention"},
    FlagOf{"training.recompute", "--no-recompute"},
    FlagOf{"training.recompute", "--recompute"},
    FlagOf{"gptq.act_order", "--act-order"},
    FlagOf{"gptq.true_sequential", "--true-sequential"},
    FlagOf{"gptq.static_groups", "--static-groups"},
    FlagOf{"adjust", "--adjust"},
};

template <class Flags>
const char* flagFor(const Flags& flags, const std::string& setting)
{
    const auto found = std::find_if(flags.begin(), flags.end(),
                                    [&](const FlagOf& entry) { return setting == entry.setting; });
    return found == flags.end() ? nullptr : found->flag;
}

/// Puts the flag wherever the setting stands as a word of its own, outside quotes; what is no path
/// ("seed") only at the beginning of the sentence.
void nameFlag(std::string& sentence, const FlagOf& entry)
{
    const std::string setting = entry.setting;
    const bool path = setting.find('.') != std::string::npos;
    const auto inWord = [&](std::size_t at) {
        return at < sentence.size() &&
               (std::isalnum(static_cast<unsigned char>(sentence[at])) != 0 ||
                std::string_view("_-/\"'").find(sentence[at]) != std::string_view::npos);
    };
    const auto quoted = [&](std::size_t at) {
        const auto begin = sentence.begin();
        return std::count(begin, begin + static_cast<std::ptrdiff_t>(at), '"') % 2 != 0;
    };
    std::size_t at = sentence.find(setting);
    while (at != std::string::npos && (path || at == 0)) {
        const std::size_t end = at + setting.size();
        const bool goesOn = end < sentence.size() && sentence[end] == '.' && inWord(end + 1);
        const bool whole = (at == 0 || !inWord(at - 1)) && !inWord(end) && !goesOn;
        if (whole && !quoted(at)) {
            sentence.replace(at, setting.size(), entry.flag);
        }
        at = sentence.find(setting, at + 1);
    }
}

struct OverrideSentence {
    std::size_t index = 0;
    std::string said; ///< of it
};

/// Of "overrides[0].bits 9 is …": 0, "bits 9 is …"; of "overrides[0] has …": 0, "has …".
std::optional<OverrideSentence> overrideSentence(const std::string& sentence)
{
    constexpr std::string_view kBegin = "overrides[";
    if (sentence.rfind(kBegin, 0) != 0) {
        return std::nullopt;
    }
    OverrideSentence found;
    const auto [end, problem] = std::from_chars(sentence.data() + kBegin.size(),
                                                sentence.data() + sentence.size(), found.index);
    const std::size_t rest =
        sentence.find_first_not_of("]. ", static_cast<std::size_t>(end - sentence.data()));
    if (problem != std::errc() || rest == std::string::npos) {
        return std::nullopt;
    }
    found.said = sentence.substr(rest);
    return found;
}

/// --override and --skip; false if they cannot say it: the program puts all skips last.
bool addOverrides(const std::vector<LayerOverride>& overrides, std::string& command)
{
    bool skipped = false;
    for (const LayerOverride& entry : overrides) {
        std::string settings;
        const auto add = [&](const char* key, const std::string& value) {
            settings += (settings.empty() ? "" : ",") + std::string(key) + "=" + value;
        };
        if (entry.bits) {
            add("bits", std::to_string(*entry.bits));
        }
        if (entry.groupSize) {
            const Json group = groupSizeToJson(*entry.groupSize);
            add("group_size", group.is_string() ? group.get<std::string>() : group.dump());
        }
        if (entry.rank) {
            add("rank", std::to_string(*entry.rank));
        }
        const bool skip = entry.skip.value_or(false);
        if (entry.pattern.empty() || skip == !settings.empty() || (skipped && !skip) ||
            (entry.skip && !skip)) {
            return false;
        }
        command += skip ? " --skip " + shellQuoted(entry.pattern)
                        : " --override " + shellQuoted(entry.pattern + ":" + settings);
        skipped = skip;
    }
    return true;
}
} // namespace

std::vector<std::string> settingsOfFlag(const std::string& flag)
{
    std::vector<std::string> settings;
    const auto add = [&](const FlagOf& entry) {
        if (flag == entry.flag) {
            settings.emplace_back(entry.setting);
        }
    };
    std::for_each(kFlags.begin(), kFlags.end(), add);
    std::for_each(kSwitches.begin(), kSwitches.end(), add);
    return settings;
}

std::string inFlags(std::string sentence, std::size_t overrides)
{
    if (const auto found = overrideSentence(sentence)) {
        return (found->index < overrides ? "--override: " : "--skip: ") + found->said;
    }
    for (const FlagOf& entry : kFlags) {
        nameFlag(sentence, entry);
    }
    for (const FlagOf& entry : kSwitches) {
        nameFlag(sentence, entry);
    }
    nameFlag(sentence, {"kv_cache.bits", "--kv-bits"});
    return sentence;
}

std::string shellQuoted(const std::string& word)
{
    const std::string plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=,+-";
    if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) {
        return word;
    }
    std::string quoted = "'";
    for (const char c : word) {
        quoted += c == '\'' ? "'\\''" : std::string(1, c);
    }
    return quoted + "'";
}

std::string runCommand(const RunSpec& spec)
{
    if (spec.method == kImported) {
        return {};
    }
    RunSpec defaults = runSpecFromJson(
        Json{{"method", spec.method}, {"weight", {{"format", spec.weight.format}}}});
    defaults.weight.format = RunSpec{}.weight.format;
    defaults.method = RunSpec{}.method;
    const auto usual = settingsOf(defaults);
    std::string command = "qw run " + shellQuoted(spec.model);
    for (const auto& [setting, value] : settingsOf(spec)) {
        const auto found = usual.find(setting);
        if ((found != usual.end() && found->second == value) || setting == "model" ||
            setting == "overrides") {
            continue;
        }
        if (setting == "kv_cache.bits" && spec.kvCache.format == "int") {
            continue; // said with the format
        }
        if (!looksAt(spec.method, spec.lowRank.correction, setting)) {
            continue; // its flag would be refused, or mean another setting
        }
        if (setting == "low_rank.rank" && spec.lowRank.correction != "none") {
            command += " --correction-rank " + value;
        } else if (setting == "kv_cache.format") {
            command += " --kv-bits " + std::to_string(spec.kvCache.bits);
        } else if (const char* flag = flagFor(kFlags, setting)) {
            command += std::string(" ") + flag + " " + shellQuoted(value);
        } else if (const char* on = flagFor(kSwitches, setting)) {
            command += std::string(" ") + on;
        } else {
            return {};
        }
    }
    return addOverrides(spec.overrides, command) ? command : "";
}

} // namespace qw
