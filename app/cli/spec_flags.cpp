#include "spec_flags.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include <CLI/App.hpp>

#include "base/error.h"
#include "engine.h"
#include "report/method_settings.h"
#include "report/spec_command.h"

namespace qw::cli {

namespace {
std::int64_t wholeNumber(const std::string& text, const std::string& what)
{
    std::int64_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    QW_REQUIRE(problem == std::errc() && end == text.data() + text.size(), ErrorCode::BadInput,
               what, ": \"", text, "\" is not a whole number");
    return value;
}

/// The setting that --rank means.
std::string rankSetting(const std::string& method)
{
    if (method == "lrq" || method == "flexround") {
        return "reconstruction.rank";
    }
    return trainsModel(method) ? "training.rank" : "low_rank.rank";
}

/// Whether a flag of the command line means anything to a method.
bool takesFlag(const std::string& method, const std::string& correction, const std::string& flag)
{
    if (flag == "--rank") { // without a correction to have it, the notes of the run say so
        const std::string setting = rankSetting(method);
        return setting == "low_rank.rank" || looksAt(method, correction, setting);
    }
    const std::vector<std::string> settings = settingsOfFlag(flag == "--ranks" ? "--rank" : flag);
    return settings.empty() ||
           std::any_of(settings.begin(), settings.end(), [&](const std::string& setting) {
               return looksAt(method, correction, setting);
           });
}

/// All methods to which it means something.
std::vector<std::string> methodsWithFlag(const std::string& flag)
{
    std::vector<std::string> methods;
    for (const std::string& setting : settingsOfFlag(flag == "--ranks" ? "--rank" : flag)) {
        for (const std::string& method : methodsWith(setting)) {
            methods.push_back(method);
        }
    }
    return methods;
}

/// "a, b and c"
std::string listed(const std::vector<std::string>& words)
{
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
        text += (i == 0 ? "" : i + 1 < words.size() ? ", " : " and ") + words[i];
    }
    return text;
}
} // namespace

std::string inFlagsOf(const CLI::App& command, const std::string& sentence)
{
    const auto count = [&](const std::string& name) {
        const CLI::Option* option = command.get_option_no_throw(name);
        return option != nullptr ? option->count() : 0;
    };
    std::string said = inFlags(sentence, count("--override"));
    const std::size_t at = said.find("--");
    if (at == std::string::npos) {
        return said;
    }
    const std::string flag = said.substr(at, said.find_first_of(" :,;)", at) - at);
    if (count(flag) == 0 && count(flag + "s") > 0) { // the lists of a sweep: --ranks
        said.insert(at + flag.size(), "s");
    } else if (flag == "--rank" && count(flag) == 0 && count("--correction-rank") > 0) {
        said.replace(at, flag.size(), "--correction-rank");
    }
    return said;
}

void checkFlags(const CLI::App& command, const RunSpec& spec)
{
    try {
        validate(spec);
    } catch (const Error& problem) {
        throw Error(problem.code(), inFlagsOf(command, problem.what()));
    }
}

std::int64_t groupSizeOf(const std::string& flag, const std::string& text)
{
    try {
        return groupSizeFromText(text);
    } catch (const Error& problem) { // "group_size "0" is …"
        const std::string sentence = problem.what();
        throw Error(problem.code(), flag + sentence.substr(sentence.find(' ')));
    }
}

void makePathsAbsolute(RunSpec& spec)
{
    for (std::string* path :
         {&spec.model, &spec.calibration.text, &spec.evaluation.text, &spec.training.text}) {
        std::error_code ignored;
        if (!path->empty() && *path != "demo" && path->rfind("demo:", 0) != 0 &&
            std::filesystem::exists(*path, ignored)) {
            const auto whole = std::filesystem::absolute(*path).lexically_normal();
            // One spelling for "model" and "model/": runs are found by it.
            *path = (whole.has_filename() ? whole : whole.parent_path()).string();
        }
    }
}

RunSpec SpecFlags::result(const std::string& model, const std::string& device, std::int64_t threads,
                          std::vector<std::string> methods) const
{
    RunSpec made = spec;
    made.model = model;
    made.device = device;
    made.threads = threads;
    if (methods.empty()) {
        methods = {spec.method};
    }
    refuseForeign(methods);
    QW_REQUIRE(!(sym && asym), ErrorCode::BadInput, "--sym and --asym exclude each other");
    const auto trains = std::find_if(methods.begin(), methods.end(), trainsModel);
    QW_REQUIRE(!asym || trains == methods.end(), ErrorCode::BadInput, "--asym does not go with ",
               *trains, ", which trains symmetric grids only");
    if (trainsModel(made.method)) {
        const WeightSpec usual = usualWeight(made.method);
        made.weight.range = usual.range;
        made.weight.rangeNorm = usual.rangeNorm;
    }
    made.weight.sym = sym || trainsModel(made.method);
    takeRange(made);
    if (!groupSize.empty()) {
        made.weight.groupSize = groupSizeOf("--group-size", groupSize);
    } else if (made.weight.format == "mxint") {
        made.weight.groupSize = 16;
    }
    takeRank(made);
    takeShared(made, trains != methods.end(),
               !std::all_of(methods.begin(), methods.end(), trainsModel));
    if (kvBits) {
        made.kvCache = {"int", *kvBits};
    }
    for (const std::string& text : overrides) {
        made.overrides.push_back(parseOverride(text));
    }
    for (const std::string& pattern : skips) {
        LayerOverride skip;
        skip.pattern = pattern;
        skip.skip = true;
        made.overrides.push_back(skip);
    }
    makePathsAbsolute(made);
    refuseIdleActivations(made.activation);
    check(made);
    return made;
}

void SpecFlags::check(const RunSpec& made) const
{
    checkFlags(*m_command, made);
}

void SpecFlags::takeRange(RunSpec& made) const
{
    made.weight.range = range.value_or(made.weight.range);
    made.weight.rangeNorm = rangeNorm.value_or(made.weight.rangeNorm);
}

void SpecFlags::takeRank(RunSpec& made) const
{
    if (rank.empty()) {
        return;
    }
    const std::string setting = rankSetting(made.method);
    if (setting == "reconstruction.rank") {
        made.reconstruction.rank = rank;
        return;
    }
    (setting == "training.rank" ? made.training.rank : made.lowRank.rank) =
        wholeNumber(rank, "--rank");
}

void SpecFlags::takeShared(RunSpec& made, bool trains, bool othersToo) const
{
    const auto take = [](const auto& typed, auto& value) { value = typed.value_or(value); };
    if (trains) {
        QW_REQUIRE(!lr || *lr >= 0, ErrorCode::BadInput, "--lr ", *lr, " is below 0");
        take(lr, made.training.lr);
        take(batchSize, made.training.batchSize);
        take(trainCompute, made.training.compute);
    }
    if (othersToo) {
        take(lr, made.reconstruction.lr);
        take(batchSize, made.reconstruction.batchSize);
        take(trainCompute, made.reconstruction.compute);
    }
}

/// A flag that would be lost is most likely a mistake. An unknown method has no flags: that there
/// is none of that name is said by whoever looks for it.
void SpecFlags::refuseForeign(const std::vector<std::string>& methods) const
{
    const std::vector<MethodDescription> known = describeMethods();
    const auto isKnown = [&](const std::string& method) {
        return std::any_of(known.begin(), known.end(),
                           [&](const MethodDescription& one) { return one.id == method; });
    };
    if (!std::all_of(methods.begin(), methods.end(), isKnown)) {
        return;
    }
    for (const CLI::Option* option : m_command->get_options()) {
        const std::string flag = option->get_name();
        QW_REQUIRE(option->count() == 0 ||
                       std::any_of(methods.begin(), methods.end(),
                                   [&](const std::string& method) {
                                       return takesFlag(method, spec.lowRank.correction, flag);
                                   }),
                   ErrorCode::BadInput, flag, " is a setting of ", listed(methodsWithFlag(flag)),
                   ", not of ", listed(methods));
    }
}

/// Widths and the like of activations that nothing quantizes.
void SpecFlags::refuseIdleActivations(const ActivationSpec& activation) const
{
    if (activation.format != "none" || activation.points != "linear") {
        return;
    }
    for (const char* flag : {"--act-bits", "--act-block", "--act-zero-point"}) {
        QW_REQUIRE(m_command->count(flag) == 0, ErrorCode::BadInput, flag,
                   " needs --act-format int or mxint");
    }
}

LayerOverride parseOverride(const std::string& text)
{
    const auto colon = text.rfind(':');
    QW_REQUIRE(colon != std::string::npos && colon > 0, ErrorCode::BadInput, "--override \"", text,
               "\" is not of the form REGEX:bits=8,rank=0");
    LayerOverride result;
    result.pattern = text.substr(0, colon);
    std::size_t at = colon + 1;
    while (at <= text.size()) {
        const auto comma = std::min(text.find(',', at), text.size());
        const std::string part = text.substr(at, comma - at);
        const auto equals = part.find('=');
        QW_REQUIRE(equals != std::string::npos, ErrorCode::BadInput, "--override \"", text,
                   "\": \"", part, "\" is not of the form key=value");
        const std::string key = part.substr(0, equals);
        const std::string value = part.substr(equals + 1);
        if (key == "bits") {
            result.bits = wholeNumber(value, "--override bits");
        } else if (key == "rank") {
            result.rank = wholeNumber(value, "--override rank");
        } else if (key == "group_size") {
            result.groupSize = groupSizeFromText(value);
        } else {
            throw Error(ErrorCode::BadInput, message("--override: unknown key \"", key,
                                                     "\"; use bits, rank or group_size"));
        }
        at = comma + 1;
    }
    return result;
}

} // namespace qw::cli
