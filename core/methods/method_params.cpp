#include "methods/method_params.h"

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
        choice("range", "Range", {"minmax", "lrq", "lp"},
               "Where the grid ends: at the extremes, or where a search finds the least error",
               "LRQ and LR-QAT, official code"),
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
               "MXINT width of A and B; 0 keeps them float32", "LQER, section 4"),
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

} // namespace qw
