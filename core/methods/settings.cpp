#include "methods/settings.h"

#include <algorithm>
#include <cmath>

#include "methods/low_rank.h"

namespace qw {

WeightFormat weightFormat(const WeightSpec& spec)
{
    WeightFormat format;
    format.kind = spec.format == "mxint" ? WeightFormat::Kind::Mx : WeightFormat::Kind::Int;
    format.bits = spec.bits;
    format.groupSize = spec.groupSize;
    format.sym = spec.sym;
    format.scaleDtype = spec.scaleDtype == "f16"    ? at::kHalf
                        : spec.scaleDtype == "bf16" ? at::kBFloat16
                                                    : at::kFloat;
    format.exponentBits = spec.exponentBits;
    format.mxRule = spec.mxRule == "qera" ? MxRule::Qera : MxRule::Lqer;
    return format;
}

GridOptions gridOptions(const WeightSpec& spec)
{
    GridOptions options;
    options.bits = spec.bits;
    options.groupSize = spec.groupSize;
    options.sym = spec.sym;
    options.scaleDtype = weightFormat(spec).scaleDtype;
    options.range = spec.range == "lrq"      ? RangeSearch::Lrq
                    : spec.range == "lp"     ? RangeSearch::LpNorm
                    : spec.range == "shrink" ? RangeSearch::Shrink
                                             : RangeSearch::MinMax;
    options.rangeNorm = spec.rangeNorm;
    options.rangeSteps = spec.rangeSteps;
    return options;
}

ActivationQuantizer activationQuantizer(const ActivationSpec& spec, const WeightSpec& weight)
{
    ActivationQuantizer quantizer;
    quantizer.bits = spec.bits;
    if (spec.format == "int") {
        using Kind = ActivationQuantizer::Kind;
        quantizer.kind = spec.zeroPoint == "float"  ? Kind::TokenAsymmetricFloat
                         : spec.zeroPoint == "none" ? Kind::TokenSymmetric
                                                    : Kind::TokenAsymmetric;
    } else if (spec.format == "mxint") {
        quantizer.kind = ActivationQuantizer::Kind::Mx;
        quantizer.mx = {spec.bits, spec.blockSize, weight.exponentBits,
                        weight.mxRule == "qera" ? MxRule::Qera : MxRule::Lqer};
    }
    return quantizer;
}

ActivationQuantizer staticQuantizer(const ActivationSpec& spec, const InputStatistics& statistics)
{
    constexpr double kScaleFloor = 1e-8;
    const double low = std::min(0.0, statistics.lowest());
    const double high = std::max(0.0, statistics.highest());
    const double levels = std::ldexp(1.0, static_cast<int>(spec.bits)) - 1;
    ActivationQuantizer quantizer;
    quantizer.kind = ActivationQuantizer::Kind::TensorStatic;
    quantizer.bits = spec.bits;
    if (spec.zeroPoint == "none") {
        quantizer.zero = (levels + 1) / 2;
        quantizer.scale = std::max(std::max(-low, high) / (quantizer.zero - 1), kScaleFloor);
    } else {
        quantizer.scale = std::max((high - low) / levels, kScaleFloor);
        quantizer.zero = std::clamp(std::nearbyint(-low / quantizer.scale), 0.0, levels);
    }
    return quantizer;
}

ActivationQuantizer kvCacheQuantizer(const KvCacheSpec& spec)
{
    ActivationQuantizer quantizer;
    quantizer.bits = spec.bits;
    if (spec.format == "int") {
        quantizer.kind = ActivationQuantizer::Kind::TokenAsymmetric;
    }
    return quantizer;
}

StatisticsNeeds l2qerNeeds(const LowRankSpec& spec)
{
    StatisticsNeeds needs;
    (spec.statistic == "rms" ? needs.meanSquare : needs.meanAbs) = true;
    return needs;
}

ErrorNorm l2qerNorm(const LowRankSpec& spec, const InputStatistics& statistics)
{
    const bool maximum = spec.reduce == "max";
    const at::Tensor statistic =
        spec.statistic == "rms" ? statistics.scaleRms(maximum) : statistics.scaleMeanAbs(maximum);
    return {lqerScale(statistic).square(), {}};
}

} // namespace qw
