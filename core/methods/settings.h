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

ActivationQuantizer kvCacheQuantizer(const KvCacheSpec& spec);
/// What L²QER asks to be collected, and the norm it makes of it.
StatisticsNeeds l2qerNeeds(const LowRankSpec& spec);
ErrorNorm l2qerNorm(const LowRankSpec& spec, const InputStatistics& statistics);

} // namespace qw
