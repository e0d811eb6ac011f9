#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "methods/awq_search.h"
#include "methods/fold.h"
#include "methods/method.h"

namespace qw {

/// What AWQ decides for one block before anything is rounded for good.
struct AwqChoices {
    std::map<std::int64_t, ScaleChoice> scales; ///< by input group; those left alone are missing
    std::map<std::string, at::Tensor> bounds;   ///< by layer, [out, groups]: folded weights are cut
};

/// @param task  with full-precision inputs, statistics of them (mean |x|, x^T x), and settings of
/// integer grids; @param groups  of its block; @param done  hears how many ratios were tried
/// @throws Error::NonFinite; Cancelled
/// Source: AWQ, arXiv:2306.00978, and its official code. Differs: grids contain zero; the error of
/// a single layer is computed from x^T x.
AwqChoices chooseAwq(const BlockTask& task, const std::vector<FoldGroup>& groups,
                     const std::function<void(std::int64_t)>& done, const RunContext& run);

} // namespace qw
