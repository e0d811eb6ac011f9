#include "app/gui/spec_fields.h"

#include <algorithm>
#include <limits>

#include <QCoreApplication>

#include "report/method_style.h"
#include "report/open_numbers.h"

namespace qw {

namespace {
struct Text {
    Q_DECLARE_TR_FUNCTIONS(SpecFields)
};

ParamSpec number(const char* key, const QString& label, const char* unit, std::int64_t low,
                 std::int64_t high, const QString& help)
{
    return {key,
            label.toStdString(),
            unit,
            std::int64_t{0},
            static_cast<double>(low),
            static_cast<double>(high),
            {},
            help.toStdString(),
            {}};
}

ParamSpec choice(const char* key, const QString& label, std::vector<std::string> choices,
                 const QString& help, const char* source = "")
{
    return {
        key,   label.toStdString(), {}, std::string(), 0, 0, std::move(choices), help.toStdString(),
        source};
}

ParamSpec flag(const char* key, const QString& label, const QString& help, const char* source = "")
{
    return {key, label.toStdString(), {}, false, 0, 0, {}, help.toStdString(), source};
}

ParamSpec file(const QString& label, const QString& help)
{
    return {"text", label.toStdString(), {}, std::string(), 0, 0, {}, help.toStdString(), {}};
}

constexpr std::int64_t kMany = 1 << 20;

bool isInt(const RunSpec& spec)
{
    return spec.weight.format == "int";
}
bool isMx(const RunSpec& spec)
{
    return spec.weight.format == "mxint";
}
bool quantizesActivations(const RunSpec& spec)
{
    return spec.activation.format != "none";
}

/// Where a parameter of a method stands in the spec, and where it matters.
SpecField methodField(const ParamSpec& param)
{
    // "bits" is a setting of several sections; a method means its weights, then its correction.
    const Json json = toJson(RunSpec{});
    SpecField field;
    field.param = param;
    field.path = param.key;
    field.isFile = param.key == "training.text";
    const auto has = [&](const std::string& section) {
        return json.at(section).is_object() && json.at(section).contains(param.key);
    };
    std::vector<std::string> sections = {"weight", "low_rank"};
    for (const auto& entry : json.items()) {
        sections.push_back(entry.key());
    }
    const auto found = std::find_if(sections.begin(), sections.end(), has);
    if (found != sections.end()) {
        field.path = *found + "." + param.key;
    }
    field.section = field.path.rfind("weight.", 0) == 0     ? Text::tr("Weight format")
                    : field.path.rfind("low_rank.", 0) == 0 ? Text::tr("Low-rank correction")
                    : field.path.rfind("training.", 0) == 0 ? Text::tr("Training")
                                                            : Text::tr("Method settings");
    if (param.key == "sym" || param.key == "scale_dtype" || param.key == "range") {
        field.relevant = isInt;
    } else if (param.key == "exponent_bits" || param.key == "mx_rule") {
        field.relevant = isMx;
        field.advanced = true;
    }
    return field;
}

bool hasLinearPoints(const RunSpec& spec)
{
    return spec.activation.points == "linear";
}

void addActivations(std::vector<SpecField>& fields)
{
    const QString section = Text::tr("Activations");
    fields.push_back(
        {"activation.points",
         section,
         false,
         false,
         choice("points", Text::tr("Places"), {"linear", "a8", "a8kv4", "a4"},
                Text::tr("Inputs of linear layers as chosen below, or all places that LR-QAT "
                         "names, with widths of their own"),
                "LR-QAT, W4A8 and W4A8KV4"),
         {}});
    fields.push_back({"activation.format", section, false, false,
                      choice("format", Text::tr("Inputs of layers"), {"none", "int", "mxint"},
                             Text::tr("Whether and how the inputs of linear layers are quantized"),
                             "LQER section 4; LRQ"),
                      hasLinearPoints});
    fields.push_back(
        {"activation.bits", section, false, false,
         number("bits", Text::tr("Activation bits"), "bit", 2, 8, Text::tr("Width of a code")),
         quantizesActivations});
    fields.push_back({"activation.block_size", section, true, false,
                      number("block_size", Text::tr("Activation block"), "", 1, kMany,
                             Text::tr("Features that share an exponent")),
                      [](const RunSpec& spec) { return spec.activation.format == "mxint"; }});
    fields.push_back(
        {"activation.attention", section, false, false,
         flag("attention", Text::tr("Attention products"),
              Text::tr("Quantize the operands of both attention products too"), "LQER, W4A8"),
         [](const RunSpec& spec) { return spec.activation.format == "mxint"; }});
    fields.push_back({"activation.zero_point", section, true, false,
                      choice("zero_point", Text::tr("Zero point"), {"rounded", "float", "none"},
                             Text::tr("Rounded, as LR-QAT's code has it, or none: symmetric")),
                      [](const RunSpec& spec) { return spec.activation.format == "int"; }});
    fields.push_back(
        {"activation.scale", section, true, false,
         choice("scale", Text::tr("Scale of activations"), {"token", "tensor"},
                Text::tr("Found for each token as the model runs, or one for a layer from "
                         "the calibration (experimental)"),
                "SmoothQuant; LRQ, W8A8"),
         [](const RunSpec& spec) { return spec.activation.format == "int"; }});
    fields.push_back(
        {"kv_cache.format", section, false, false,
         choice("format", Text::tr("Keys and values"), {"none", "int"},
                Text::tr("Quantize keys and values, per token over all heads"), "LRQ, W4A8"),
         hasLinearPoints});
    fields.push_back(
        {"kv_cache.bits", section, false, false,
         number("bits", Text::tr("Key and value bits"), "bit", 2, 8, Text::tr("Width of a code")),
         [](const RunSpec& spec) { return spec.kvCache.format != "none"; }});
}

void addData(std::vector<SpecField>& fields)
{
    const QString section = Text::tr("Data");
    fields.push_back({"calibration.text",
                      section,
                      false,
                      true,
                      file(Text::tr("Calibration text"),
                           Text::tr("What the statistics of inputs come from: a text file, or "
                                    "demo:calibration")),
                      {}});
    const auto calibrates = [](const RunSpec& spec) { return !spec.calibration.text.empty(); };
    fields.push_back({"calibration.nsamples", section, false, false,
                      number("nsamples", Text::tr("Windows"), "", 1, kMany,
                             Text::tr("Calibration windows; more make the statistics steadier")),
                      calibrates});
    fields.push_back(
        {"evaluation.text",
         section,
         false,
         true,
         file(Text::tr("Evaluation text"),
              Text::tr("What perplexity is measured on: a text file, or demo:evaluation; "
                       "empty: not measured")),
         {}});
    fields.push_back({"evaluation.windows", section, false, false,
                      number("windows", Text::tr("Evaluated windows"), "", 0, kMany,
                             Text::tr("How many of the text's windows are measured")),
                      [](const RunSpec& spec) { return !spec.evaluation.text.empty(); }});
    fields.push_back({"seed",
                      section,
                      false,
                      false,
                      number("seed", Text::tr("Seed"), "", 0, std::numeric_limits<int>::max(),
                             Text::tr("Of everything random: the same seed gives the same bits")),
                      {}});
}

void addAdvanced(std::vector<SpecField>& fields)
{
    const auto add = [&fields](const char* path, ParamSpec param) {
        fields.push_back({path, Text::tr("Data and machine"), true, false, std::move(param), {}});
    };
    add("calibration.seqlen",
        number("seqlen", Text::tr("Calibration length"), "tokens", 0, kMany,
               Text::tr("Tokens of a window; automatic: the model's context, at "
                        "most 2048")));
    add("calibration.windows",
        choice("windows", Text::tr("Choice of windows"), {"random", "sequential"},
               Text::tr("Random places of the text, or from its beginning")));
    add("calibration.stat_batch",
        number("stat_batch", Text::tr("Windows in a batch"), "", 1, kMany,
               Text::tr("The unit of L\u00b2QER's maximum over batches")));
    add("evaluation.seqlen",
        number("seqlen", Text::tr("Evaluation length"), "tokens", 0, kMany,
               Text::tr("Tokens of a window; automatic: what the protocol says")));
    add("evaluation.protocol",
        choice("protocol", Text::tr("Protocol"), {"gptq", "llama.cpp"},
               Text::tr("How windows are cut and scored; only equal protocols are compared")));
    add("evaluation.compute", choice("compute", Text::tr("Products in"), {"f32", "bf16"},
                                     Text::tr("Number type of the evaluation's products")));
    const auto searched = [](const RunSpec& spec) { return spec.weight.range != "minmax"; };
    add("weight.range_norm", {"range_norm",
                              Text::tr("Norm of the range search").toStdString(),
                              {},
                              0.0,
                              0,
                              0,
                              {},
                              Text::tr("Exponent of the error the search looks at").toStdString(),
                              "GPTQ code, LRQ code"});
    fields.back().relevant = searched;
    add("weight.range_steps", number("range_steps", Text::tr("Steps of the range search"), "", 1,
                                     100000, Text::tr("Candidates the search tries")));
    fields.back().relevant = searched;
    add("low_rank.factor_block", number("factor_block", Text::tr("Factor block"), "", 1, kMany,
                                        Text::tr("Entries of A and B that share an exponent")));
    add("adjust",
        flag("adjust", Text::tr("Adjust group sizes"),
             Text::tr("Take the nearest group size that divides a layer instead of refusing")));
    add("artifacts", choice("artifacts", Text::tr("Quantized tensors"), {"keep", "discard"},
                            Text::tr("Kept ones can be inspected, exported and generated with")));
    add("device",
        choice("device", Text::tr("Device"), {"cpu", "cuda"}, Text::tr("Where tensor work runs")));
    add("threads",
        number("threads", Text::tr("Threads"), "", 0, 4096,
               Text::tr("Automatic: as in the settings; the number decides the last bits")));
}
} // namespace

std::vector<SpecField> specFields(const std::vector<MethodDescription>& methods,
                                  const std::string& method)
{
    std::vector<SpecField> fields;
    std::vector<std::string> ids;
    QStringList titles;
    for (const MethodDescription& one : methods) {
        ids.push_back(one.id);
        titles << QString::fromStdString(one.title);
    }
    const auto chosen = std::find_if(methods.begin(), methods.end(),
                                     [&](const auto& one) { return one.id == method; });
    fields.push_back(
        {"method",
         Text::tr("Method"),
         false,
         false,
         choice("method", Text::tr("Method"), ids,
                chosen == methods.end() ? QString() : QString::fromStdString(chosen->summary),
                chosen == methods.end() ? "" : chosen->source.c_str()),
         {},
         titles});
    if (chosen != methods.end()) {
        for (const ParamSpec& param : chosen->params) {
            fields.push_back(methodField(param));
        }
    }
    addActivations(fields);
    addData(fields);
    addAdvanced(fields);
    return fields;
}

std::map<std::string, std::string> settingLabels(const std::vector<MethodDescription>& methods)
{
    std::map<std::string, std::string> labels;
    for (const MethodDescription& method : methods) {
        for (const SpecField& field : specFields(methods, method.id)) {
            labels.emplace(field.path, field.param.label);
        }
    }
    return labels;
}

QString settingText(const std::string& path, const std::string& value)
{
    const bool method = path == "method" || path == "low_rank.correction";
    return QString::fromStdString(method ? methodStyle(value).title : readableValue(path, value));
}

} // namespace qw
