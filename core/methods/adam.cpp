#include "methods/adam.h"

#include <cmath>
#include <numbers>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include "methods/rounding_kernels.h"

namespace qw {

Adam::Adam(std::vector<std::pair<std::string, at::Tensor>> parameters, AdamOptions options)
    : m_options(options)
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
    const auto& [beta1, beta2, eps] = m_options;
    const double rootCorrection = 1 / std::sqrt(1 - std::pow(beta2, t));
    for (Entry& entry : m_entries) {
        const double entryRate = rate * entry.rate;
        const double stepRate = entryRate / (1 - std::pow(beta1, t));
        const double keep = 1 - entryRate * entry.decay;
        const at::Tensor gradient = entry.value.grad().contiguous();
        if (gradient.is_cpu()) {
            AdamRates rates;
            rates.rate = static_cast<float>(stepRate);
            rates.beta1 = static_cast<float>(beta1);
            rates.beta2 = static_cast<float>(beta2);
            rates.eps = static_cast<float>(eps);
            rates.rootCorrection = static_cast<float>(rootCorrection);
            rates.keep = static_cast<float>(keep);
            adamStep(rates, gradient.data_ptr<float>(), gradient.numel(),
                     entry.value.data_ptr<float>(), entry.first.data_ptr<float>(),
                     entry.second.data_ptr<float>());
        } else {
            entry.first.mul_(beta1).add_(gradient, 1 - beta1);
            entry.second.mul_(beta2).addcmul_(gradient, gradient, 1 - beta2);
            entry.value.mul_(keep).addcdiv_(
                entry.first, (entry.second.sqrt() * rootCorrection).add_(eps), -stepRate);
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
