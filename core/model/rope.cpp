#include "model/rope.h"

#include <cmath>
#include <numbers>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/pow.h>

namespace qw {

namespace {
double dynamicTheta(const RopeSettings& rope, std::int64_t maxPositions, std::int64_t length)
{
    if (length <= maxPositions) {
        return rope.theta;
    }
    const double stretch =
        rope.factor * static_cast<double>(length) / static_cast<double>(maxPositions) -
        (rope.factor - 1);
    const auto dims = static_cast<double>(rope.rotaryDims);
    return rope.theta * std::pow(stretch, dims / (dims - 2));
}

/// Llama 3: long wavelengths are stretched, short ones kept, those between blended.
void stretchLlama3(at::Tensor& frequencies, const RopeSettings& rope)
{
    auto* f = frequencies.data_ptr<float>();
    const auto original = static_cast<double>(rope.originalMaxPositions);
    for (std::int64_t i = 0; i < frequencies.numel(); ++i) {
        const double wavelength = 2 * std::numbers::pi / f[i];
        if (wavelength > original / rope.lowFreqFactor) {
            f[i] = static_cast<float>(f[i] / rope.factor);
        } else if (wavelength >= original / rope.highFreqFactor) {
            const double blend = (original / wavelength - rope.lowFreqFactor) /
                                 (rope.highFreqFactor - rope.lowFreqFactor);
            f[i] = static_cast<float>((1 - blend) * f[i] / rope.factor + blend * f[i]);
        }
    }
}
} // namespace

RotaryTable rotaryTable(const ModelConfig& config, std::int64_t start, std::int64_t count,
                        std::int64_t length)
{
    const RopeSettings& rope = config.rope;
    const double theta =
        rope.type == "dynamic" ? dynamicTheta(rope, config.maxPositions, length) : rope.theta;
    at::Tensor frequencies = at::empty({rope.rotaryDims / 2}, at::kFloat);
    for (std::int64_t i = 0; i < rope.rotaryDims / 2; ++i) {
        frequencies.data_ptr<float>()[i] =
            static_cast<float>(1.0 / std::pow(theta, 2.0 * static_cast<double>(i) /
                                                         static_cast<double>(rope.rotaryDims)));
    }
    if (rope.type == "linear") {
        frequencies = frequencies / rope.factor;
    } else if (rope.type == "llama3") {
        stretchLlama3(frequencies, rope);
    }
    const at::Tensor positions = at::arange(start, start + count, at::kFloat);
    const at::Tensor half = at::outer(positions, frequencies);
    const at::Tensor angles = at::cat({half, half}, 1);
    return {angles.cos(), angles.sin()};
}

at::Tensor applyRotary(const at::Tensor& x, const RotaryTable& table)
{
    const std::int64_t dims = table.cosine.size(1);
    const at::Tensor rotated = x.narrow(-1, 0, dims);
    const at::Tensor first = rotated.narrow(-1, 0, dims / 2);
    const at::Tensor second = rotated.narrow(-1, dims / 2, dims / 2);
    const at::Tensor turned = at::cat({-second, first}, -1);
    const at::Tensor result = rotated * table.cosine + turned * table.sine;
    if (dims == x.size(-1)) {
        return result;
    }
    return at::cat({result, x.narrow(-1, dims, x.size(-1) - dims)}, -1);
}

} // namespace qw
