#include "methods/trained_weight.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include "base/error.h"

namespace qw {

TrainedWeight::TrainedWeight(std::string name, const at::Tensor& weight,
                             const TrainedWeightOptions& options, const InputStatistics* statistics,
                             std::uint64_t seed, const RunContext& run)
    : m_name(std::move(name)), m_options(options)
{
    const at::NoGradGuard noGrad;
    const at::Tensor dense = weight.to(at::kFloat).contiguous();
    TrainedStart start = startOf(m_name, dense, options, statistics, seed, run);
    m_parts.grid = options.grid;
    m_parts.compute = options.compute;
    m_parts.frozen = std::move(start.frozen);
    m_parts.scale = start.scale;
    m_parts.left = start.left;
    m_parts.right = start.right;
    if (start.left.defined()) {
        m_parts.factor = options.alpha / static_cast<double>(start.left.size(1));
    }
    if (options.kind == TrainedKind::Lsq) {
        m_parts.weight = dense.clone();
    }
    for (const LearnedTensor& tensor : learned()) {
        tensor.value.set_requires_grad(true);
    }
}

std::vector<LearnedTensor> TrainedWeight::learned() const
{
    using Group = LearnedTensor::Group;
    std::vector<LearnedTensor> all;
    for (const LearnedTensor& tensor : {LearnedTensor{"left", m_parts.left, Group::LowRank},
                                        LearnedTensor{"right", m_parts.right, Group::LowRank},
                                        LearnedTensor{"weight", m_parts.weight, Group::Weight}}) {
        if (tensor.value.defined()) {
            all.push_back(tensor);
        }
    }
    if (m_options.learnScale) {
        all.push_back({"scale", m_parts.scale, Group::Scale});
    }
    return all;
}

std::vector<std::pair<std::string, at::Tensor>> TrainedWeight::state() const
{
    if (m_options.kind != TrainedKind::LrQat || m_options.init == "zero") {
        return {};
    }
    std::vector<std::pair<std::string, at::Tensor>> all = {{"frozen", m_parts.frozen.stored()}};
    if (!m_options.learnScale) {
        all.emplace_back("scale", m_parts.scale);
    }
    return all;
}

std::int64_t TrainedWeight::parameterCount() const
{
    std::int64_t count = 0;
    for (const LearnedTensor& tensor : learned()) {
        count += tensor.value.numel();
    }
    return count;
}

at::Tensor TrainedWeight::scale() const
{
    const at::NoGradGuard noGrad;
    return storedScale(m_parts);
}

QuantizedLinear TrainedWeight::deployed(const WeightFormat& format) const
{
    QuantizedLinear linear;
    linear.name = m_name;
    linear.format = format;
    linear.codes = integers().to(at::kChar).cpu();
    linear.out = linear.codes.size(0);
    linear.in = linear.codes.size(1);
    linear.scale = scale().cpu();
    return linear;
}

std::vector<double> TrainedWeight::moved() const
{
    FakeQuantParts start = m_parts;
    for (at::Tensor* part : {&start.left, &start.right, &start.weight}) {
        part->reset();
    }
    const at::Tensor steps = (integers() - fakeQuant(start, true)).abs();
    const auto share = [&](const at::Tensor& which) {
        return static_cast<double>(which.sum().item<std::int64_t>()) /
               static_cast<double>(steps.numel());
    };
    return {share(steps < 0.5), share((steps > 0.5).logical_and(steps < 1.5)), share(steps > 1.5)};
}

} // namespace qw
