#pragma once

#include <functional>

#include <ATen/core/Tensor.h>

#include "engine.h"
#include "model/checkpoint.h"

namespace qw {

/// What the folder says of a layer; the weight's numbers are missing.
LayerOverview overviewOf(const LinearInfo& linear);

/// Fills in range, deviation and outlier ratio. @param w  [out, in] float32
void measureWeight(LayerOverview& layer, const at::Tensor& w);

/// Hands over the weight of each linear in turn, [out, in] float32, with its place among them; a
/// block's pages are released after its last. Begins a phase of that name.
void eachWeight(const Checkpoint& checkpoint, const std::string& phase, const RunContext& run,
                const std::function<void(std::size_t, const at::Tensor&)>& visit);

} // namespace qw
