#include "methods/learned_rounding.h"

#include <cmath>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log1p.h>
#include <ATen/ops/round.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"
#include "methods/rounding_kernels.h"
#include "model/custom_gradient.h"
#include "model/matrix_product.h"
#include "quant/range_search.h"

namespace qw {

namespace {
float* floats(const at::Tensor& x)
{
    return x.defined() ? x.data_ptr<float>() : nullptr;
}

template <class Element>
Element* elements(const at::Tensor& x)
{
    return x.defined() ? static_cast<Element*>(x.data_ptr()) : nullptr;
}

/// Inputs of the fused operation, all dense.
struct Operands {
    at::Tensor weight, z, logScale, low, high, row, column;

    template <class Element>
    RoundingArguments<Element> arguments() const
    {
        RoundingArguments<Element> a;
        a.rows = weight.size(0);
        a.groups = logScale.size(1);
        a.width = weight.size(1) / a.groups;
        a.weight = floats(weight);
        a.z = elements<Element>(z);
        a.logScale = floats(logScale);
        a.low = floats(low);
        a.high = floats(high);
        a.row = floats(row);
        a.column = floats(column);
        return a;
    }
    template <class Element>
    void forward(bool codesOnly, const at::Tensor& values) const
    {
        roundLearned(arguments<Element>(), codesOnly, elements<Element>(values));
    }
    at::Tensor round(at::ScalarType type, bool codesOnly) const
    {
        const at::Tensor values = at::empty(weight.sizes(), weight.options().dtype(type));
        if (type == at::kBFloat16) {
            forward<std::uint16_t>(codesOnly, values);
        } else {
            forward<float>(codesOnly, values);
        }
        return values;
    }
    /// In the order of inputs().
    template <class Element>
    std::vector<at::Tensor> backward(const at::Tensor& gradient) const
    {
        std::vector<at::Tensor> result = {at::empty(logScale.sizes(), logScale.options())};
        RoundingGradients<Element> gradients;
        gradients.logScale = floats(result.back());
        if (z.defined()) {
            result.push_back(at::empty(z.sizes(), z.options()));
            gradients.z = elements<Element>(result.back());
        }
        if (row.defined()) {
            result.push_back(at::empty(row.sizes(), row.options()));
            gradients.row = floats(result.back());
        }
        if (column.defined()) {
            result.push_back(at::empty(column.sizes(), column.options()));
            gradients.column = floats(result.back());
        }
        roundLearnedBackward(arguments<Element>(), elements<Element>(gradient), gradients);
        return result;
    }
    std::vector<at::Tensor> inputs() const
    {
        std::vector<at::Tensor> all = {logScale};
        for (const at::Tensor& part : {z, row, column}) {
            if (part.defined()) {
                all.push_back(part);
            }
        }
        return all;
    }
};

/// The exponent of a factor 1 + x. Factors stay positive: no weight changes its sign.
at::Tensor exponentOf(const at::Tensor& x)
{
    constexpr double kSmallestFactor = 0.01;
    return x.defined() ? at::log1p(x.clamp_min(kSmallestFactor - 1)) : x;
}

/// v as the result, with the gradient of @p through.
at::Tensor straightThrough(const at::Tensor& v, const at::Tensor& through)
{
    return v.detach() + (through - through.detach());
}
} // namespace

at::Tensor plainRoundLearned(const at::Tensor& weight, const RoundingParameters& p,
                             const at::Tensor& z, const at::Tensor& low, const at::Tensor& high,
                             at::ScalarType type)
{
    const std::int64_t groups = p.logScale.size(1);
    const auto grouped = [&](const at::Tensor& x) { return x.reshape({x.size(0), groups, -1}); };
    at::Tensor exponent = p.logScale.unsqueeze(2);
    if (p.row.defined()) {
        exponent = exponent + p.row.view({-1, 1, 1});
    }
    if (z.defined()) {
        exponent = exponent + grouped(z.to(at::kFloat));
    }
    if (p.column.defined()) {
        exponent = exponent + grouped(p.column.unsqueeze(0));
    }
    const at::Tensor quotient = grouped(weight) / exponent.exp();
    const at::Tensor code = at::round(quotient.detach());
    const at::Tensor clamped = at::minimum(at::maximum(code, low.unsqueeze(2)), high.unsqueeze(2));
    const at::Tensor felt = at::where(clamped == code, quotient, clamped);
    return (p.logScale.exp().unsqueeze(2) * straightThrough(clamped, felt))
        .reshape(weight.sizes())
        .to(type);
}

at::Tensor roundLearned(const at::Tensor& weight, const RoundingParameters& p, const at::Tensor& z,
                        const at::Tensor& low, const at::Tensor& high, at::ScalarType type)
{
    QW_REQUIRE(!z.defined() || z.scalar_type() == type, ErrorCode::BadShape,
               "learned rounding: z and the result differ in type");
    if (!weight.is_cpu()) {
        return plainRoundLearned(weight, p, z, low, high, type);
    }
    const auto dense = [](const at::Tensor& x) { return x.defined() ? x.contiguous() : x; };
    const Operands operands = {dense(weight), dense(z),     dense(p.logScale), dense(low),
                               dense(high),   dense(p.row), dense(p.column)};
    return applyWithGradient(operands.inputs(),
                             {[=] { return operands.round(type, false); },
                              [=](const at::Tensor& gradient) {
                                  const at::Tensor g = gradient.contiguous();
                                  return type == at::kBFloat16 ? operands.backward<std::uint16_t>(g)
                                                               : operands.backward<float>(g);
                              }});
}

LearnedRounding::LearnedRounding(std::string name, const at::Tensor& weight,
                                 const GridOptions& grid, const DivisorShape& shape,
                                 std::uint64_t seed, const RunContext& run)
    : m_name(std::move(name)), m_weight(weight.contiguous()), m_grid(grid), m_shape(shape)
{
    const at::NoGradGuard noGrad;
    QW_REQUIRE(grid.groupSize != -1, ErrorCode::BadInput, m_name,
               ": learned rounding needs a scale per row or group, not one for the whole tensor");
    const GridParams found = fitGrid(m_weight, grid, run);
    m_zero = found.zero;
    m_low = static_cast<double>(codeMin(grid)) - found.zero;
    m_high = static_cast<double>(codeMax(grid)) - found.zero;
    m_startLogScale = found.scale.log();
    const std::int64_t out = weight.size(0);
    const std::int64_t in = weight.size(1);
    m_parameters.logScale = m_startLogScale.clone();
    if (shape.hasZ) {
        m_parameters.left = at::zeros({out, shape.rank > 0 ? shape.rank : in}, m_weight.options());
        if (shape.rank > 0) {
            // On the host, so that every device begins with the same numbers.
            const double bound = 1 / std::sqrt(static_cast<double>(in));
            m_parameters.right = at::empty({shape.rank, in}, at::kFloat)
                                     .uniform_(-bound, bound, at::detail::createCPUGenerator(seed))
                                     .to(m_weight.device());
        }
    }
    if (shape.hasRow) {
        m_parameters.row = at::zeros({out}, m_weight.options());
    }
    if (shape.hasColumn) {
        m_parameters.column = at::zeros({in}, m_weight.options());
    }
    for (auto& [key, tensor] : learned()) {
        tensor.set_requires_grad(true);
    }
}

std::vector<std::pair<std::string, at::Tensor>> LearnedRounding::learned() const
{
    std::vector<std::pair<std::string, at::Tensor>> all;
    if (m_shape.learnScale) {
        all.emplace_back("log_scale", m_parameters.logScale);
    }
    for (const auto& [key, tensor] :
         {std::pair{"left", m_parameters.left}, std::pair{"right", m_parameters.right},
          std::pair{"row", m_parameters.row}, std::pair{"column", m_parameters.column}}) {
        if (tensor.defined()) {
            all.emplace_back(key, tensor);
        }
    }
    return all;
}

std::int64_t LearnedRounding::parameterCount() const
{
    std::int64_t count = 0;
    for (const auto& [key, tensor] : learned()) {
        count += tensor.numel();
    }
    return count;
}

at::Tensor LearnedRounding::z(at::ScalarType type) const
{
    if (!m_shape.hasZ) {
        return {};
    }
    const at::Tensor z = m_parameters.right.defined()
                             ? lowRankProduct(m_parameters.left, m_parameters.right, type)
                             : m_parameters.left.to(type);
    return m_shape.product ? exponentOf(z) : z;
}

RoundingParameters LearnedRounding::exponents() const
{
    RoundingParameters all = m_parameters;
    if (m_shape.product) {
        all.row = exponentOf(all.row);
        all.column = exponentOf(all.column);
    }
    return all;
}

at::Tensor LearnedRounding::weight(at::ScalarType type) const
{
    if (m_shape.hasZ && !m_parameters.right.defined()) { // no product made it: it stays float32
        return roundLearned(m_weight, exponents(), z(at::kFloat), m_low, m_high, at::kFloat)
            .to(type);
    }
    return roundLearned(m_weight, exponents(), z(type), m_low, m_high, type);
}

at::Tensor LearnedRounding::integers() const
{
    const at::NoGradGuard noGrad;
    if (!m_weight.is_cpu()) {
        return at::round(weight(at::kFloat).view({m_low.size(0), m_low.size(1), -1}) /
                         scale().unsqueeze(2))
            .view_as(m_weight);
    }
    const RoundingParameters all = exponents();
    const Operands operands = {m_weight, z(at::kFloat), all.logScale, m_low,
                               m_high,   all.row,       all.column};
    return operands.round(at::kFloat, true);
}

at::Tensor LearnedRounding::scale() const
{
    const at::NoGradGuard noGrad;
    const at::Tensor logScale = m_parameters.logScale.detach();
    if (!logScale.is_cpu()) {
        return logScale.exp();
    }
    at::Tensor result = at::empty(logScale.sizes(), logScale.options());
    exponentials(floats(logScale.contiguous()), logScale.numel(), floats(result));
    return result;
}

QuantizedLinear LearnedRounding::deployed(const WeightFormat& format) const
{
    const at::NoGradGuard noGrad;
    const std::int64_t groups = m_low.size(1);
    QuantizedLinear linear;
    linear.name = m_name;
    linear.out = m_weight.size(0);
    linear.in = m_weight.size(1);
    linear.format = format;
    linear.codes = (integers().view({linear.out, groups, -1}) + m_zero.unsqueeze(2))
                       .view_as(m_weight)
                       .to(m_grid.sym ? at::kChar : at::kByte)
                       .cpu();
    linear.scale = representableScale(scale(), m_grid.scaleDtype).cpu();
    if (!m_grid.sym) {
        linear.zero = m_zero.to(at::kByte).cpu();
    }
    return linear;
}

std::vector<double> LearnedRounding::moved() const
{
    const at::NoGradGuard noGrad;
    RoundingParameters start;
    start.logScale = m_startLogScale;
    const Operands operands = {
        m_weight.cpu(), {}, m_startLogScale.cpu(), m_low.cpu(), m_high.cpu(), {}, {}};
    const at::Tensor steps = (integers().cpu() - operands.round(at::kFloat, true)).abs();
    const auto share = [&](const at::Tensor& which) {
        return static_cast<double>(which.sum().item<std::int64_t>()) /
               static_cast<double>(steps.numel());
    };
    return {share(steps < 0.5), share((steps > 0.5).logical_and(steps < 1.5)), share(steps > 1.5)};
}

} // namespace qw
