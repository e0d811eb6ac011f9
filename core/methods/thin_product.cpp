#include "methods/thin_product.h"

#include <algorithm>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"

namespace qw {

namespace {
constexpr std::int64_t kPack = 16;   // rows of x taken together
constexpr std::int64_t kMost = 64;   // with more rows the sums take longer than packing
constexpr std::int64_t kAhead = 128; // floats of a row that dots fetches in advance
constexpr std::int64_t kNext = 48;   // the same of addRows
constexpr std::int64_t kDeep = 256;  // rows of e that addRows goes down at a time
constexpr std::int64_t kGrain = 64;  // rows or columns worth a thread

#define QW_SIMD_FUNCTIONS "methods/thin_functions.inc"
#include "model/simd_versions.inc"

bool isThin(const at::Tensor& x, const at::Tensor& e)
{
    return x.size(0) <= kMost && x.device().is_cpu() && e.device().is_cpu() && e.is_contiguous() &&
           x.scalar_type() == at::kFloat && e.scalar_type() == at::kFloat;
}

/// [packs, columns of x, kPack], rows that are missing are zero.
at::Tensor packed(const at::Tensor& x)
{
    const std::int64_t packs = (x.size(0) + kPack - 1) / kPack;
    const at::Tensor padded = at::zeros({packs * kPack, x.size(1)}, x.options());
    padded.narrow(0, 0, x.size(0)).copy_(x);
    return padded.view({packs, kPack, x.size(1)}).transpose(1, 2).contiguous();
}

void requireShapes(const at::Tensor& x, const at::Tensor& e, std::int64_t inner)
{
    QW_REQUIRE(x.dim() == 2 && e.dim() == 2 && x.size(1) == e.size(inner), ErrorCode::BadShape,
               "the rows do not fit the matrix");
}
} // namespace

at::Tensor timesTransposed(const at::Tensor& x, const at::Tensor& e, [[maybe_unused]] Simd simd)
{
    requireShapes(x, e, 1);
    if (!isThin(x, e)) {
        return at::matmul(x, e.t());
    }
    const auto run = QW_SIMD_PICK(simd, dots);
    const std::int64_t rows = e.size(0);
    const std::int64_t steps = e.size(1);
    const at::Tensor packs = packed(x);
    const at::Tensor sums = at::empty({packs.size(0), rows, kPack}, x.options());
    const float* from = packs.data_ptr<float>();
    const float* matrix = e.data_ptr<float>();
    float* to = sums.data_ptr<float>();
    at::parallel_for(0, rows, kGrain, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t r = first; r < last; r += kPack) { // while these rows are in the cache
            const std::int64_t count = std::min(kPack, last - r);
            for (std::int64_t p = 0; p < packs.size(0); ++p) {
                run(from + p * steps * kPack, matrix + r * steps, count, steps,
                    to + (p * rows + r) * kPack);
            }
        }
    });
    return sums.transpose(1, 2).reshape({packs.size(0) * kPack, rows}).narrow(0, 0, x.size(0));
}

at::Tensor timesMatrix(const at::Tensor& x, const at::Tensor& e, [[maybe_unused]] Simd simd)
{
    requireShapes(x, e, 0);
    if (!isThin(x, e)) {
        return at::matmul(x, e);
    }
    const auto run = QW_SIMD_PICK(simd, addRows);
    const std::int64_t rows = e.size(0);
    const std::int64_t width = e.size(1);
    const at::Tensor packs = packed(x);
    const at::Tensor sums = at::zeros({packs.size(0) * kPack, width}, x.options());
    const float* from = packs.data_ptr<float>();
    const float* matrix = e.data_ptr<float>();
    float* to = sums.data_ptr<float>();
    const std::int64_t vectors = (width + kPack - 1) / kPack; // threads share no vector
    at::parallel_for(0, vectors, kGrain / kPack, [&](std::int64_t first, std::int64_t last) {
        const std::int64_t end = std::min(width, last * kPack);
        for (std::int64_t r = 0; r < rows; r += kDeep) {
            for (std::int64_t p = 0; p < packs.size(0); ++p) {
                run(from + (p * rows + r) * kPack, matrix + r * width, std::min(kDeep, rows - r),
                    width, first * kPack, end, to + p * kPack * width);
            }
        }
    });
    return sums.narrow(0, 0, x.size(0));
}

} // namespace qw
