#include "model/block_ops.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/silu.h>

#include "model/attention_gradient.h"
#include "model/custom_gradient.h"
#include "model/row_ops.h"

namespace qw {

namespace {
class InPlaceOps final : public BlockOps
{
public:
    at::Tensor normalize(const ModelConfig& config, const NormWeights& norm, const at::Tensor& x,
                         at::ScalarType type) const override
    {
        return qw::normalize(config, norm, x, type);
    }
    at::Tensor add(const at::Tensor& x, const at::Tensor& y) const override
    {
        addInPlace(x, y);
        return x;
    }
    at::Tensor replace(const at::Tensor& x, const at::Tensor& y) const override
    {
        return x.copy_(y);
    }
    at::Tensor gate(const at::Tensor& gate, const at::Tensor& up) const override
    {
        return siluTimesUp(gate, up);
    }
    at::Tensor rotate(const at::Tensor& x, const RotaryTable& table) const override
    {
        rotateInPlace(x, table);
        return x;
    }
    at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const AttentionOptions& options) const override
    {
        return causalAttention(q, k, v, options);
    }
};

class PlainOps : public BlockOps
{
public:
    at::Tensor normalize(const ModelConfig& config, const NormWeights& norm, const at::Tensor& x,
                         at::ScalarType type) const override
    {
        return plainNormalize(config, norm, x, type);
    }
    at::Tensor add(const at::Tensor& x, const at::Tensor& y) const override
    {
        return x + y.view_as(x);
    }
    at::Tensor replace(const at::Tensor& /*x*/, const at::Tensor& y) const override { return y; }
    at::Tensor gate(const at::Tensor& gate, const at::Tensor& up) const override
    {
        return at::silu(gate) * up;
    }
    at::Tensor rotate(const at::Tensor& x, const RotaryTable& table) const override
    {
        return applyRotary(x, table).to(x.scalar_type());
    }
    at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const AttentionOptions& options) const override
    {
        return plainAttention(q, k, v, options);
    }
};

class FusedOps final : public PlainOps
{
public:
    at::Tensor normalize(const ModelConfig& config, const NormWeights& norm, const at::Tensor& x,
                         at::ScalarType type) const override
    {
        if (!x.is_cpu()) {
            return plainNormalize(config, norm, x, type);
        }
        return applyWithGradient(
            {x}, {[=, &config] { return qw::normalize(config, norm, x, type); },
                  [=, &config](const at::Tensor& gradient) {
                      return std::vector<at::Tensor>{normalizeGradient(config, norm, x, gradient)};
                  }});
    }
    at::Tensor gate(const at::Tensor& gate, const at::Tensor& up) const override
    {
        if (!gate.is_cpu()) {
            return PlainOps::gate(gate, up);
        }
        return applyWithGradient({gate, up}, {[=] { return siluTimesUp(gate.clone(), up); },
                                              [=](const at::Tensor& gradient) {
                                                  auto [dgate, dup] =
                                                      siluTimesUpGradients(gate, up, gradient);
                                                  return std::vector<at::Tensor>{dgate, dup};
                                              }});
    }
    at::Tensor rotate(const at::Tensor& x, const RotaryTable& table) const override
    {
        if (!x.is_cpu()) {
            return PlainOps::rotate(x, table);
        }
        const auto rotated = [](const at::Tensor& heads, const RotaryTable& by) {
            const at::Tensor y = heads.clone(); // keeps the layout
            rotateInPlace(y, by);
            return y;
        };
        return applyWithGradient({x}, {[=] { return rotated(x, table); },
                                       [=](const at::Tensor& gradient) {
                                           const RotaryTable back{table.cosine, -table.sine};
                                           return std::vector<at::Tensor>{rotated(gradient, back)};
                                       }});
    }
    at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const AttentionOptions& options) const override
    {
        return q.is_cpu() ? differentiableAttention(q, k, v, options)
                          : plainAttention(q, k, v, options);
    }
};
} // namespace

const BlockOps& inPlaceOps()
{
    static const InPlaceOps kOps;
    return kOps;
}

const BlockOps& differentiableOps()
{
    static const FusedOps kOps;
    return kOps;
}

const BlockOps& plainDifferentiableOps()
{
    static const PlainOps kOps;
    return kOps;
}

} // namespace qw
