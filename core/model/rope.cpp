#include "model/rope.h"

#include <bit>
#include <cmath>
#include <numbers>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/outer.h>

#include "model/heads_view.h"
#include "model/row_kernels.h"

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

at::Tensor rotaryFrequencies(const RopeSettings& rope, double theta)
{
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
    return frequencies;
}

RotaryTable rotaryTable(const ModelConfig& config, std::int64_t start, std::int64_t count,
                        std::int64_t length)
{
    const RopeSettings& rope = config.rope;
    const double theta =
        rope.type == "dynamic" ? dynamicTheta(rope, config.maxPositions, length) : rope.theta;
    const at::Tensor frequencies = rotaryFrequencies(rope, theta);
    const at::Tensor positions = at::arange(start, start + count, at::kFloat);
    const at::Tensor angles = at::outer(positions, frequencies);
    return {angles.cos(), angles.sin()};
}

at::Tensor applyRotary(const at::Tensor& x, const RotaryTable& table)
{
    const std::int64_t half = table.cosine.size(1);
    const at::Tensor first = x.narrow(-1, 0, half);
    const at::Tensor second = x.narrow(-1, half, half);
    const at::Tensor rest = x.narrow(-1, 2 * half, x.size(-1) - 2 * half);
    return at::cat({first * table.cosine - second * table.sine,
                    second * table.cosine + first * table.sine, rest},
                   -1);
}

void rotateInPlace(const at::Tensor& x, const RotaryTable& table)
{
    if (!x.is_cpu()) {
        x.copy_(applyRotary(x.to(at::kFloat), table));
        return;
    }
    const RotaryShape shape{x.size(0), x.size(1), x.size(2), table.cosine.size(1)};
    const auto* cosine = table.cosine.data_ptr<float>();
    const auto* sine = table.sine.data_ptr<float>();
    if (x.scalar_type() == at::kBFloat16) {
        rotateHeads(headsView<std::uint16_t>(x), cosine, sine, shape);
    } else {
        rotateHeads(headsView<float>(x), cosine, sine, shape);
    }
}

RotaryTables::RotaryTables(const ModelConfig& config, std::string device)
    : m_config(config), m_device(std::move(device))
{
}

RotaryTable RotaryTables::rows(std::int64_t start, std::int64_t count, std::int64_t length)
{
    const bool dynamic = m_config.rope.type == "dynamic" && length > m_config.maxPositions;
    const std::int64_t wanted = dynamic ? length : 0;
    const std::int64_t end = start + count;
    if (!m_table.cosine.defined() || m_length != wanted || m_table.cosine.size(0) < end) {
        const auto positions = std::bit_ceil(static_cast<std::uint64_t>(end));
        m_table = rotaryTable(m_config, 0, static_cast<std::int64_t>(positions), length);
        m_table.cosine = m_table.cosine.to(m_device);
        m_table.sine = m_table.sine.to(m_device);
        m_length = wanted;
    }
    return {m_table.cosine.narrow(0, start, count), m_table.sine.narrow(0, start, count)};
}

} // namespace qw
