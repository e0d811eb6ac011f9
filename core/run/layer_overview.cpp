#include "run/layer_overview.h"

#include <algorithm>
#include <cmath>

namespace qw {

LayerOverview overviewOf(const LinearInfo& linear)
{
    LayerOverview layer;
    layer.name = linear.name;
    layer.rows = linear.out;
    layer.cols = linear.in;
    layer.parameters = linear.in * linear.out;
    layer.dtype = linear.dtype;
    layer.minimum = layer.maximum = layer.standardDeviation = layer.outlierRatio = kMissing;
    return layer;
}

void measureWeight(LayerOverview& layer, const at::Tensor& w)
{
    layer.minimum = w.min().item<double>();
    layer.maximum = w.max().item<double>();
    layer.standardDeviation = w.to(at::kDouble).std().item<double>();
    layer.outlierRatio =
        std::max(std::abs(layer.minimum), std::abs(layer.maximum)) / layer.standardDeviation;
}

} // namespace qw
