#include "methods/gptq.h"

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/cholesky_inverse.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/floor_divide.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/mm.h>

#include "base/error.h"

namespace qw {

namespace {
/// Columns whose errors reach the rest in one product.

/// Such that no group begins inside a block and ends outside of it.
std::int64_t blockFor(std::int64_t groupSize)
{
    return groupSize <= 0 || groupSize % kGptqBlock == 0 ? kGptqBlock
           : groupSize < kGptqBlock                      ? kGptqBlock / groupSize * groupSize
                                                         : groupSize;
}

/// Columns first .. last - 1 of a block: rounds each and moves its error onto the later columns of
/// the block. Rows do not know each other.
struct Columns {
    at::Tensor weight; ///< [out, width] float32, updated
    at::Tensor codes;  ///< [out, width] int16
    at::Tensor errors; ///< [out, width] float32: over the factor's diagonal
    at::Tensor factor; ///< [width, width] float32, upper triangular

    void round(std::int64_t first, std::int64_t last, const at::Tensor& scale,
               const at::Tensor& zero, const GridOptions& grid) const;
};

void Columns::round(std::int64_t first, std::int64_t last, const at::Tensor& scale,
                    const at::Tensor& zero, const GridOptions& grid) const
{
    const std::int64_t width = weight.size(1);
    auto* w = weight.data_ptr<float>();
    auto* code = codes.data_ptr<std::int16_t>();
    auto* error = errors.data_ptr<float>();
    const auto* u = factor.data_ptr<float>();
    const at::Tensor scales = scale.contiguous(); // [out, last - first]
    const at::Tensor zeros = zero.contiguous();
    const auto* s = scales.data_ptr<float>();
    const auto* z = zeros.data_ptr<float>();
    const auto low = static_cast<float>(codeMin(grid));
    const auto high = static_cast<float>(codeMax(grid));
    at::parallel_for(0, weight.size(0), 1, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t r = from; r < to; ++r) {
            float* row = w + r * width;
            for (std::int64_t i = first; i < last; ++i) {
                const float step = s[r * (last - first) + i - first];
                const float shift = z[r * (last - first) + i - first];
                const float rounded = std::clamp(std::rint(row[i] / step) + shift, low, high);
                const float felt = (row[i] - (rounded - shift) * step) / u[i * width + i];
                code[r * width + i] = static_cast<std::int16_t>(rounded);
                error[r * width + i] = felt;
                for (std::int64_t j = i; j < width; ++j) {
                    row[j] -= felt * u[i * width + j];
                }
            }
        }
    });
}

/// The upper Cholesky factor of H^-1, with as much damping as it takes.
at::Tensor inverseFactor(const at::Tensor& hessian, double& dampPercent)
{
    const double mean = hessian.diagonal().mean().item<double>();
    for (; dampPercent <= 100; dampPercent *= 2) {
        at::Tensor damped = hessian.clone();
        damped.diagonal().add_(dampPercent / 100 * mean);
        const auto [lower, failed] = at::linalg_cholesky_ex(damped);
        if (failed.item<std::int64_t>() != 0) {
            continue;
        }
        const auto [upper, failedAgain] = at::linalg_cholesky_ex(at::cholesky_inverse(lower), true);
        if (failedAgain.item<std::int64_t>() == 0 && upper.isfinite().all().item<bool>()) {
            return upper;
        }
    }
    throw Error(ErrorCode::NonFinite, "the autocorrelation of the calibration inputs cannot be "
                                      "factorized with any damping up to 100 %");
}

/// On the host, wherever the model is: column after column is no work for a GPU.
class Walk
{
public:
    Walk(const at::Tensor& weight, const at::Tensor& autocorrelation, const GridParams& nearest,
         const GridOptions& grid, const GptqSpec& spec, const RunContext& run)
        : m_grid(grid), m_spec(spec), m_run(run),
          m_weight(weight.cpu().clone(at::MemoryFormat::Contiguous)), m_in(weight.size(1)),
          m_group(grid.groupSize > 0 ? grid.groupSize : m_in), m_hessian(2 * autocorrelation.cpu())
    {
        QW_REQUIRE(grid.groupSize != -1, ErrorCode::BadInput,
                   "GPTQ needs a scale per row or group, not one for the whole tensor");
        QW_REQUIRE(m_in % m_group == 0, ErrorCode::BadShape, "group size ", m_group,
                   " does not divide ", m_in, " columns");
        QW_REQUIRE(m_hessian.isfinite().all().item<bool>(), ErrorCode::NonFinite,
                   "its calibration inputs are not finite");
        m_dynamic = m_group < m_in && !spec.staticGroups;
        if (m_dynamic) {
            m_params.scale = at::empty({m_weight.size(0), m_in / m_group}, m_weight.options());
            m_params.zero = at::empty_like(m_params.scale);
        } else {
            m_params = {nearest.scale.cpu(), nearest.zero.cpu()};
        }
    }
    GptqCodes execute();

private:
    void prepare();
    void roundBlock(std::int64_t begin, std::int64_t end, const at::Tensor& factor);
    GridParams columnsOf(std::int64_t begin, std::int64_t end) const;

    GridOptions m_grid;
    GptqSpec m_spec;
    const RunContext& m_run;
    at::Tensor m_weight; // columns in the order of the walk
    std::int64_t m_in;
    std::int64_t m_group;
    at::Tensor m_hessian;
    bool m_dynamic = false; // grids found on the way
    at::Tensor m_order;     // [in] int64: the column that comes at each place
    at::Tensor m_codes;
    GridParams m_params; // by group
};

void Walk::prepare()
{
    const at::Tensor dead = m_hessian.diagonal() == 0;
    m_hessian.diagonal().masked_fill_(dead, 1);
    m_weight.masked_fill_(dead.unsqueeze(0), 0);
    m_order = m_spec.actOrder ? at::argsort(m_hessian.diagonal(), true, 0, true)
                              : at::arange(m_in, at::kLong);
    if (m_spec.actOrder) {
        m_weight = m_weight.index_select(1, m_order).contiguous();
        m_hessian = m_hessian.index_select(0, m_order).index_select(1, m_order);
    }
    m_codes = at::empty(m_weight.sizes(), m_weight.options().dtype(at::kShort));
}

/// Scale and zero of each of these places, [out, end - begin].
GridParams Walk::columnsOf(std::int64_t begin, std::int64_t end) const
{
    const at::Tensor places =
        m_dynamic ? at::arange(begin, end, at::kLong) : m_order.narrow(0, begin, end - begin);
    const at::Tensor groups = at::floor_divide(places, m_group);
    return {m_params.scale.index_select(1, groups), m_params.zero.index_select(1, groups)};
}

void Walk::roundBlock(std::int64_t begin, std::int64_t end, const at::Tensor& factor)
{
    const std::int64_t width = end - begin;
    const Columns columns = {
        m_weight.narrow(1, begin, width).contiguous(),
        at::empty({m_weight.size(0), width}, m_codes.options()),
        at::empty({m_weight.size(0), width}, m_weight.options()),
        factor.narrow(0, begin, width).narrow(1, begin, width).to(at::kFloat).contiguous()};
    for (std::int64_t at = begin; at < end;) {
        m_run.checkpoint();
        std::int64_t next = end;
        if (m_dynamic) {
            next = std::min(end, (at / m_group + 1) * m_group);
            if (at % m_group == 0) { // columns of later blocks are up to date here
                GridOptions whole = m_grid;
                whole.groupSize = 0;
                const at::Tensor group = m_group <= width
                                             ? columns.weight.narrow(1, at - begin, m_group)
                                             : m_weight.narrow(1, at, m_group);
                const GridParams found = fitGrid(group.contiguous(), whole, m_run);
                m_params.scale.select(1, at / m_group).copy_(found.scale.select(1, 0));
                m_params.zero.select(1, at / m_group).copy_(found.zero.select(1, 0));
            }
        }
        const GridParams params = columnsOf(at, next);
        columns.round(at - begin, next - begin, params.scale, params.zero, m_grid);
        at = next;
    }
    m_codes.narrow(1, begin, width).copy_(columns.codes);
    if (end < m_in) {
        m_weight.narrow(1, end, m_in - end)
            .sub_(at::mm(columns.errors,
                         factor.narrow(0, begin, width).narrow(1, end, m_in - end).to(at::kFloat)));
    }
}

GptqCodes Walk::execute()
{
    prepare();
    GptqCodes result;
    result.dampPercent = m_spec.dampPercent;
    m_run.checkpoint();
    const at::Tensor factor = inverseFactor(m_hessian, result.dampPercent);
    m_hessian = at::Tensor();
    const std::int64_t block = blockFor(m_dynamic ? m_group : 0);
    for (std::int64_t begin = 0; begin < m_in; begin += block) {
        roundBlock(begin, std::min(begin + block, m_in), factor);
    }
    const at::Tensor back = at::argsort(m_order);
    result.codes = m_codes.index_select(1, back);
    result.params = m_params;
    if (m_dynamic && m_spec.actOrder) {
        result.groupIndex = at::floor_divide(back, m_group).to(at::kInt);
    }
    return result;
}
} // namespace

GptqCodes gptq(const at::Tensor& weight, const at::Tensor& autocorrelation,
               const GridParams& nearest, const GridOptions& grid, const GptqSpec& spec,
               const RunContext& run)
{
    const at::NoGradGuard noGrad;
    return Walk(weight, autocorrelation, nearest, grid, spec, run).execute();
}

} // namespace qw
