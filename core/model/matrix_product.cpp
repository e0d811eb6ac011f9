#include "model/matrix_product.h"

#include <cstdint>
#include <vector>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include "model/bf16_product_kernel.h"
#include "model/custom_gradient.h"

namespace qw {

namespace {
// Where bf16Product() was the faster one.
constexpr std::int64_t kFewestRows = 8;
constexpr std::int64_t kFewestColumns = 64;
constexpr std::int64_t kDeepest = 16384;

bool isNarrow(const at::Tensor& x)
{
    return x.is_cpu() && x.scalar_type() == at::kBFloat16;
}

/// Whether the library has no better way for these types, and the shapes fit.
bool areForUs(const at::Tensor& a, const at::Tensor& b)
{
    static const bool kOursIsBetter = hasBf16Product() && !hasBf16Tiles();
    return kOursIsBetter && isNarrow(a) && isNarrow(b) && a.dim() == 2 && b.dim() == 2 &&
           a.size(1) == b.size(0) && a.size(1) > 0 && a.size(1) % 2 == 0 && a.size(1) <= kDeepest;
}

bool isFaster(std::int64_t rows, std::int64_t columns)
{
    return rows >= kFewestRows && columns >= kFewestColumns;
}

const std::uint16_t* words(const at::Tensor& x)
{
    return x.defined() ? static_cast<const std::uint16_t*>(x.data_ptr()) : nullptr;
}

at::Tensor withDenseLines(const at::Tensor& x)
{
    return x.stride(0) == 1 || x.stride(1) == 1 ? x : x.contiguous();
}

at::Tensor ownProduct(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias,
                      at::ScalarType type)
{
    const at::Tensor left = withDenseLines(a);
    const at::Tensor right = withDenseLines(b);
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

at::Tensor matrixProduct(const at::Tensor& a, const at::Tensor& b, at::ScalarType type)
{
    const at::NoGradGuard noGrad;
    if (areForUs(a, b)) {
        if (isFaster(a.size(0), b.size(1))) {
            return ownProduct(a, b, {}, type);
        }
        if (isFaster(b.size(1), a.size(0))) {
            return ownProduct(b.t(), a.t(), {}, type).t().contiguous();
        }
    }
    return at::mm(a, b).to(type);
}

at::Tensor linearProduct(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias)
{
    const at::Tensor rows = x.dim() == 2 ? x : x.reshape({-1, x.size(-1)});
    const bool fits = areForUs(rows, weight.t()) && isFaster(rows.size(0), weight.size(0)) &&
                      (!bias.defined() ||
                       (isNarrow(bias) && bias.is_contiguous() && bias.numel() == weight.size(0)));
    if (!fits || wantsGradient(bias)) {
        return at::linear(x, weight, bias);
    }
    CustomGradient product;
    product.forward = [=] { return ownProduct(rows, weight.t(), bias, at::kBFloat16); };
    at::Tensor y;
    if (wantsGradient(x) || wantsGradient(weight)) {
        // Each gradient keeps the other operand.
        const at::Tensor forX = wantsGradient(x) ? weight : at::Tensor();
        const at::Tensor forWeight = wantsGradient(weight) ? rows : at::Tensor();
        product.backward = [=](const at::Tensor& gradient) {
            std::vector<at::Tensor> all(2);
            if (forX.defined()) {
                all[0] = matrixProduct(gradient, forX, at::kBFloat16);
            }
            if (forWeight.defined()) {
                all[1] = matrixProduct(gradient.t(), forWeight, at::kBFloat16);
            }
            return all;
        };
        y = applyWithGradient({rows, weight}, std::move(product));
    } else {
        y = product.forward();
    }
    std::vector<std::int64_t> shape = x.sizes().vec();
    shape.back() = weight.size(0);
    return y.view(shape);
}

at::Tensor lowRankProduct(const at::Tensor& left, const at::Tensor& right, at::ScalarType type)
{
    const at::Tensor a = left.detach().to(type);
    const at::Tensor b = right.detach().to(type);
    if (!wantsGradient(left) && !wantsGradient(right)) {
        return matrixProduct(a, b, type);
    }
    const at::Tensor forLeft = wantsGradient(left) ? b : at::Tensor();
    const at::Tensor forRight = wantsGradient(right) ? a : at::Tensor();
    CustomGradient product;
    product.forward = [=] { return matrixProduct(a, b, type); };
    product.backward = [=](const at::Tensor& gradient) {
        std::vector<at::Tensor> all(2);
        if (forLeft.defined()) {
            all[0] = matrixProduct(gradient, forLeft.t(), at::kFloat);
        }
        if (forRight.defined()) {
            all[1] = matrixProduct(forRight.t(), gradient, at::kFloat);
        }
        return all;
    };
    return applyWithGradient({left, right}, std::move(product));
}

} // namespace qw
