#include "model/matrix_product.h"

#include <cstdint>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include "model/bf16_product_kernel.h"
#include "model/custom_gradient.h"

namespace qw {

namespace {
constexpr std::int64_t kFewRows = 32; // then packing would cost as much as the product

bool isNarrow(const at::Tensor& x)
{
    return x.is_cpu() && x.scalar_type() == at::kBFloat16;
}

/// Whether a [m, k] b, whichever way b lies, is for bf16Product().
bool takes(const at::Tensor& a, const at::Tensor& b)
{
    return isNarrow(a) && isNarrow(b) && a.size(0) >= kFewRows && a.size(1) % 2 == 0 &&
           hasBf16Product();
}

const std::uint16_t* words(const at::Tensor& x)
{
    return x.defined() ? static_cast<const std::uint16_t*>(x.data_ptr()) : nullptr;
}

bool hasDenseLines(const at::Tensor& x)
{
    return x.stride(0) == 1 || x.stride(1) == 1;
}

at::Tensor ownProduct(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias,
                      at::ScalarType type)
{
    const at::Tensor left = hasDenseLines(a) ? a : a.contiguous();
    const at::Tensor right = hasDenseLines(b) ? b : b.contiguous();
    const at::Tensor c = at::empty({a.size(0), b.size(1)}, a.options().dtype(type));
    const ProductSide sideA = {words(left), left.stride(0), left.stride(1)};
    const ProductSide sideB = {words(right), right.stride(1), right.stride(0)};
    const auto run = [&](auto* to) {
        bf16Product(sideA, sideB, a.size(0), b.size(1), a.size(1), words(bias), to);
    };
    if (type == at::kFloat) {
        run(c.data_ptr<float>());
    } else {
        run(static_cast<std::uint16_t*>(c.data_ptr()));
    }
    return c;
}

bool wantsGradient(const at::Tensor& x)
{
    return at::GradMode::is_enabled() && x.defined() && x.requires_grad();
}
} // namespace

at::Tensor multiply(const at::Tensor& a, const at::Tensor& b, at::ScalarType type)
{
    const at::NoGradGuard noGrad;
    return takes(a, b) ? ownProduct(a, b, {}, type) : at::mm(a, b).to(type);
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias)
{
    const at::Tensor rows = x.dim() == 2 ? x : x.reshape({-1, x.size(-1)});
    if (wantsGradient(bias) || !takes(rows, weight) || (bias.defined() && !isNarrow(bias))) {
        return at::linear(x, weight, bias);
    }
    const at::Tensor dense = bias.defined() ? bias.contiguous() : bias;
    const auto forward = [=] { return ownProduct(rows, weight.t(), dense, at::kBFloat16); };
    const bool ofX = wantsGradient(x);
    const bool ofWeight = wantsGradient(weight);
    const at::Tensor y =
        !ofX && !ofWeight
            ? forward()
            : applyWithGradient({rows, weight},
                                {forward, [=](const at::Tensor& gradient) {
                                     std::vector<at::Tensor> all(2);
                                     if (ofX) {
                                         all[0] = multiply(gradient, weight, at::kBFloat16);
                                     }
                                     if (ofWeight) {
                                         all[1] = multiply(gradient.t(), rows, at::kBFloat16);
                                     }
                                     return all;
                                 }});
    std::vector<std::int64_t> shape = x.sizes().vec();
    shape.back() = weight.size(0);
    return y.view(shape);
}

at::Tensor lowRankProduct(const at::Tensor& left, const at::Tensor& right, at::ScalarType type)
{
    const at::Tensor a = left.detach().to(type);
    const at::Tensor b = right.detach().to(type);
    const auto forward = [=] { return multiply(a, b, type); };
    if (!wantsGradient(left) && !wantsGradient(right)) {
        return forward();
    }
    return applyWithGradient({left, right}, {forward, [=](const at::Tensor& gradient) {
                                                 return std::vector<at::Tensor>{
                                                     multiply(gradient, b.t(), at::kFloat),
                                                     multiply(a.t(), gradient, at::kFloat)};
                                             }});
}

} // namespace qw
