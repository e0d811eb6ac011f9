#pragma once

#include "methods/factorize.h"
#include "methods/input_statistics.h"
#include "quant/quantized_linear.h"
#include "report/run_spec.h"

namespace qw {

/// The settings of a layer (strings and numbers of a recipe) as the quantizers want them.
WeightFormat weightFormat(const WeightSpec& spec);
GridOptions gridOptions(const WeightSpec& spec);
/// MXINT activations follow the weights' rule and exponent width.
ActivationQuantizer activationQuantizer(const ActivationSpec& spec, const WeightSpec& weight);

/// The same with one scale for all tokens: of the smallest grid that holds what the calibration
/// saw, and zero. @param statistics  with the range
/// Source: LRQ's W8A8 is per-tensor static, but how its range is found is not published.
ActivationQuantizer staticQuantizer(const ActivationSpec& spec, const InputStatistics& statistics);

ActivationQuantizer kvCacheQuantizer(const KvCacheSpec& spec);
/// What L²QER asks to be collected, and the norm it makes of it.
StatisticsNeeds l2qerNeeds(const LowRankSpec& spec);
ErrorNorm l2qerNorm(const LowRankSpec& spec, const InputStatistics& statistics);

} // namespace qw
