#include "methods/adam.h"

#include <cmath>
#include <numbers>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include "methods/rounding_kernels.h"

namespace qw {

namespace {
constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.999;
constexpr double kEps = 1e-8;
} // namespace

Adam::Adam(std::vector<std::pair<std::string, at::Tensor>> parameters)
{
    for (auto& [name, value] : parameters) {
        const at::Tensor plain = value.detach();
        m_entries.push_back({name, value, at::zeros_like(plain), at::zeros_like(plain)});
    }
}

void Adam::step(double rate)
{
    const at::NoGradGuard noGrad;
    ++m_steps;
    const auto t = static_cast<double>(m_steps);
    const double stepRate = rate / (1 - std::pow(kBeta1, t));
    const double rootCorrection = 1 / std::sqrt(1 - std::pow(kBeta2, t));
    for (Entry& entry : m_entries) {
        const at::Tensor gradient = entry.value.grad().contiguous();
        if (gradient.is_cpu()) {
            AdamRates rates;
            rates.rate = static_cast<float>(stepRate);
            rates.rootCorrection = static_cast<float>(rootCorrection);
            adamStep(rates, gradient.data_ptr<float>(), gradient.numel(),
                     entry.value.data_ptr<float>(), entry.first.data_ptr<float>(),
                     entry.second.data_ptr<float>());
        } else {
            entry.first.mul_(kBeta1).add_(gradient, 1 - kBeta1);
            entry.second.mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
            entry.value.addcdiv_(entry.first, (entry.second.sqrt() * rootCorrection).add_(kEps),
                                 -stepRate);
        }
        entry.value.mutable_grad().reset();
    }
}

double cosineRate(double start, std::int64_t done, std::int64_t total)
{
    return start / 2 *
           (1 +
            std::cos(std::numbers::pi * static_cast<double>(done) / static_cast<double>(total)));
}

} // namespace qw
