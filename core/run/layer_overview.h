#pragma once

#include <ATen/core/Tensor.h>

#include "engine.h"
#include "model/checkpoint.h"

namespace qw {

/// What the folder says of a layer; the weight's numbers are missing.
LayerOverview overviewOf(const LinearInfo& linear);

/// Fills in range, deviation and outlier ratio. @param w  [out, in] float32
void measureWeight(LayerOverview& layer, const at::Tensor& w);

} // namespace qw
