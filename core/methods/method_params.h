#pragma once

#include <vector>

#include "base/param_spec.h"

namespace qw {

/// Settings every method has: the weight format.
std::vector<ParamSpec> weightParams();
/// Settings of the low-rank correction, those of L2QER's statistic included on request.
std::vector<ParamSpec> lowRankParams(bool withStatistic);
/// Settings of block-wise reconstruction, those of a low-rank divisor included on request.
std::vector<ParamSpec> reconstructionParams(bool withRank);

/// Settings of training the whole model, those of LR-QAT's pair and of what is no scale on request.
std::vector<ParamSpec> trainingParams(bool lowRank, bool weights);

std::vector<ParamSpec> gptqParams();
std::vector<ParamSpec> awqParams();
std::vector<ParamSpec> smoothParams();

} // namespace qw
