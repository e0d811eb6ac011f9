#pragma once

#include <vector>

#include "base/param_spec.h"

namespace qw {

/// Settings every method has: the weight format.
std::vector<ParamSpec> weightParams();
/// Settings of the low-rank correction, those of L2QER's statistic included on request.
std::vector<ParamSpec> lowRankParams(bool withStatistic);

} // namespace qw
