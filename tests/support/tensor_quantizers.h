#pragma once

#include <ATen/core/Tensor.h>

#include "base/json_io.h"

namespace qw::test {

/// A part of tests/golden/quantizers.json: "grid", "lrq", ...
const Json& quantizerGolden(const char* part);
/// A row of it by its "name".
const Json& namedCase(const Json& cases, const char* name);
/// Rows of numbers as a float32 matrix.
at::Tensor matrixOf(const Json& rows);

/// Normal numbers of the given size, the same at every call.
at::Tensor normal(at::IntArrayRef shape, double size = 0.05, std::uint64_t seed = 1);
/// Name and matrix of the awkward cases: odd shapes, zeros, constants, one sign, powers of two,
/// tiny and huge magnitudes.
const std::vector<std::pair<std::string, at::Tensor>>& awkwardWeights();
const at::Tensor& awkwardWeight(const std::string& name);

/// "" if both have one dtype, one shape and equal values, else what differs first.
std::string difference(const at::Tensor& actual, const at::Tensor& expected);

} // namespace qw::test
