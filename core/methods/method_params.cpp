#include "methods/method_params.h"

#include "report/run_spec.h"
#include "report/spec_limits.h"

namespace qw {

namespace {
ParamSpec number(const char* key, const char* label, const char* unit, std::int64_t value,
                 double low, double high, const char* help, const char* source)
{
    return {key, label, unit, value, low, high, {}, help, source};
}

ParamSpec choice(const char* key, const char* label, std::vector<std::string> choices,
                 const char* help, const char* source)
{
    const std::string first = choices.front();
    return {key, label, "", first, 0, 0, std::move(choices), help, source};
}
} // namespace

std::vector<ParamSpec> weightParams()
{
    return {
        choice("format", "Number format", {"int", "mxint"},
               "Integer grid with a scale per group, or block floating point", "LQER, section 3"),
        number("bits", "Bits", "bit", 4, 2, 8, "Width of one weight's code", ""),
        number("group_size", "Group size", "columns", 128, -1, 1 << 20,
               "Input columns that share a scale; channel: a whole row; mxint: the block", ""),
        {"sym", "Symmetric", "", false, 0, 0, {}, "No zero point: codes on both sides of zero", ""},
        choice("scale_dtype", "Scale type", {"f16", "f32", "bf16"},
               "Scales are rounded to it before codes are computed, so that exports are exact", ""),
        choice("range", "Range", {"minmax", "lrq", "lp", "shrink"},
               "Where the grid ends: at the extremes, or where a search finds the least error",
               "LRQ, LR-QAT and GPTQ (shrink), official code"),
        number("exponent_bits", "Exponent bits", "bit", 8, 4, 8,
               "mxint: width of the shared exponent", "LQER, appendix"),
        choice("mx_rule", "MXINT rule", {"lqer", "qera"},
               "How the shared exponent follows from the block's maximum",
               "LQER code block_fp, QERA code mxint"),
    };
}

std::vector<ParamSpec> lowRankParams(bool withStatistic)
{
    std::vector<ParamSpec> params = {
        number("rank", "Rank", "", 32, 0, 1 << 16, "Columns of A and rows of B; 0: no correction",
               "LQER, section 3"),
        number("factor_bits", "Factor bits", "bit", 0, 0, 8,
               "MXINT width of A and B, or float32: not quantized", "LQER, section 4"),
        choice("solver", "Solver", {"randomized", "full"},
               "Randomized subspace iteration, or a full SVD", "Halko et al. 2011"),
    };
    if (withStatistic) {
        params.push_back(choice("statistic", "Statistic", {"mean-abs", "rms"},
                                "What is measured of each input channel", "LQER, section 3.2"));
        params.push_back(choice("reduce", "Over batches", {"max", "mean"},
                                "How batches of calibration windows are put together",
                                "LQER code"));
    }
    return params;
}

std::vector<ParamSpec> reconstructionParams(bool withRank)
{
    std::vector<ParamSpec> params = {
        number("reconstruction.iterations", "Iterations", "", ReconstructionSpec{}.iterations, 1,
               kMostUpdates, "Steps of Adam for each block", "LRQ, official code"),
        {"reconstruction.lr",
         "Learning rate",
         "",
         0.0,
         0,
         1,
         {},
         "At the start, then along a cosine to 0; automatic: from LRQ's table or its rule",
         "LRQ, released scripts"},
        number("reconstruction.batch_size", "Batch", "windows", 2, 1, 1 << 16,
               "Calibration windows of one iteration", "LRQ, official code"),
        choice("reconstruction.compute", "Products", {"auto", "f32", "bf16"},
               "Type of the products while learning; auto: bf16 where the processor has it", ""),
    };
    params.push_back(choice("reconstruction.divisor", "Divisor", {"exp", "product"},
                            "Learn the logarithm of the divisor's factors, or the factors "
                            "themselves",
                            "FlexRound, equation 2; LRQ, official code"));
    if (withRank) {
        params.push_back(choice("reconstruction.rank", "Rank", {"relative", "full", "official"},
                                "Of the learned divisor: by its share of the weights, full, or "
                                "as in the released code",
                                "LRQ, section 3; official code"));
        params.push_back({"reconstruction.rho",
                          "Relative rank",
                          "",
                          0.4,
                          0.05,
                          1,
                          {},
                          "Entries of the low-rank terms over those of the weight",
                          ""});
        params.push_back(choice(
            "reconstruction.without", "Leave out", {"none", "row", "column", "low-rank", "scale"},
            "A part of the divisor that is not learned, to see what it does", "LRQ, ablations"));
    }
    return params;
}

std::vector<ParamSpec> trainingParams(bool lowRank, bool weights)
{
    const auto real = [](const char* key, const char* label, double value, double low, double high,
                         const char* help, const char* source) {
        return ParamSpec{key, label, "", value, low, high, {}, help, source};
    };
    constexpr const char* kRecipe = "LR-QAT, README";
    std::vector<ParamSpec> params = {
        {"training.text",
         "Training text",
         "",
         std::string(),
         0,
         0,
         {},
         "What the next token is predicted on: a text file, or demo:calibration",
         ""},
        number("training.steps", "Steps", "", TrainingSpec{}.steps, 1, kMostUpdates,
               "Updates of what is learned", kRecipe),
        number("training.batch_size", "Batch", "windows", 4, 1, 1 << 16,
               "Windows in memory at once", kRecipe),
        number("training.grad_accum", "Batches a step", "", 8, 1, 1 << 16,
               "Whose gradients are added up", kRecipe),
        number("training.seqlen", "Length of a window", "tokens", 0, 0, 1 << 20,
               "Automatic: 1024, or the model's context", kRecipe),
    };
    if (weights) {
        params.push_back(real("training.lr", "Learning rate", -1, -1, 1,
                              "Of what is no scale, at its highest; automatic: by the rule",
                              kRecipe));
    }
    params.push_back(real("training.lr_scale", "Learning rate of scales", -1, -1, 1,
                          "At its highest; 0: they stay as found; automatic: by the rule",
                          kRecipe));
    params.push_back(number("training.warmup", "Warm-up", "steps", -1, -1, kMostUpdates,
                            "Until the rate is at its highest; automatic: a tenth of the steps",
                            kRecipe));
    if (lowRank) {
        params.push_back(
            number("training.rank", "Rank", "", 0, 0, 1 << 16,
                   "Columns of A and rows of B; automatic: 32, or a quarter of the width",
                   "LR-QAT, section 4"));
        params.push_back(real("training.alpha", "Alpha", 1, 0, 1e6,
                              "The product counts alpha over rank", kRecipe));
        params.push_back(
            choice("training.phi", "Frozen part", {"fixed8", "fp32", "bf16", "fp16", "int"},
                   "How the weight that is not trained is kept", "LR-QAT, downcasting operators"));
        params.push_back(choice("training.init", "Start", {"zero", "loftq", "lqer", "qera-exact"},
                                "Of the pair: no product, or that of a low-rank correction",
                                "LR-QAT, official code; LoftQ"));
    }
    if (weights) {
        params.push_back(real("training.weight_decay", "Weight decay", -1, -1, 1,
                              "Of what is no scale; automatic: as published", kRecipe));
    }
    params.push_back(real("training.clip", "Gradient clip", 1, 0, 1e6,
                          "Largest norm of the gradient, or none", kRecipe));
    params.push_back(choice("training.compute", "Products", {"auto", "f32", "bf16"},
                            "Type of the products while training; auto: bf16 where the processor "
                            "has it",
                            ""));
    return params;
}

std::vector<ParamSpec> gptqParams()
{
    const auto flag = [](const char* key, const char* label, const char* help) {
        return ParamSpec{key, label, "", false, 0, 0, {}, help, "GPTQ, official code"};
    };
    return {
        flag("gptq.act_order", "Largest inputs first",
             "Round columns in the order of the size of their inputs"),
        flag("gptq.true_sequential", "True sequential",
             "Within a block, look at what the layers already quantized make"),
        flag("gptq.static_groups", "Static groups",
             "Find the grids of all groups before the first column is rounded"),
        {"gptq.damp_percent",
         "Damping",
         "%",
         1.0,
         0.001,
         100,
         {},
         "Of the mean of the Hessian's diagonal, added to it",
         "GPTQ, section 3.3"},
    };
}

std::vector<ParamSpec> awqParams()
{
    return {
        number("awq.ratios", "Ratios tried", "", 20, 1, 1000,
               "Scales of the inputs: their mean size to the power 0, 1/N, 2/N, ...",
               "AWQ, official code"),
        choice("awq.clip", "Cut weights", {"search", "none"},
               "Look for the place where the weights of each group are cut before rounding",
               "AWQ, official code"),
    };
}

std::vector<ParamSpec> smoothParams()
{
    return {{"smooth.alpha",
             "Strength",
             "",
             0.0,
             0,
             1,
             {},
             "Share of the activations' range that goes into the weights; automatic: what the "
             "official code takes for the family",
             "SmoothQuant, equation 4"}};
}

} // namespace qw
