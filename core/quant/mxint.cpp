#include "quant/mxint.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "base/error.h"

namespace qw {

namespace {
constexpr float kTieNudge = 1e-9F;    // LQER's code adds it before rounding
constexpr float kPassThrough = 1e-8F; // LQER's code leaves values this small alone
constexpr int kQeraZeroExponent = -126;

/// Range of the shared exponent: an 8-bit field with bias 127, a 4-bit one with bias 7.
struct ExponentRange {
    int low;
    int high;
};

ExponentRange exponentRange(const MxOptions& options)
{
    return options.exponentBits == 4 ? ExponentRange{-7, 8} : ExponentRange{-127, 128};
}

/// Exponent of the block maximum under the rule, from frexp: log2 errs above powers of two.
int maximumExponent(float maximum, MxRule rule)
{
    int exponent = 0;
    const float mantissa = std::frexp(maximum, &exponent); // maximum = mantissa * 2^exponent
    if (rule == MxRule::Lqer) {
        return mantissa == 0.5F ? exponent - 1 : exponent; // ceil(log2)
    }
    return exponent - 1; // floor(log2)
}

/// Exponent of the step of one block.
int stepExponent(float maximum, const MxOptions& options)
{
    const ExponentRange range = exponentRange(options);
    const int below = static_cast<int>(options.bits) - (options.rule == MxRule::Lqer ? 1 : 2);
    if (maximum < std::numeric_limits<float>::min()) { // zero, or flushed to zero
        return std::max(range.low, kQeraZeroExponent) - below;
    }
    return std::clamp(maximumExponent(maximum, options.rule), range.low, range.high) - below;
}

struct Rows {
    std::int64_t count;
    std::int64_t width;
    std::int64_t blocks;
};

Rows rowsOf(const at::Tensor& x, const MxOptions& options)
{
    QW_REQUIRE(x.dim() > 0 && x.size(-1) > 0, ErrorCode::BadShape,
               "block floating point needs at least one value");
    QW_REQUIRE(options.bits >= 2 && options.bits <= 8 && options.blockSize > 0, ErrorCode::BadInput,
               "MXINT bits ", options.bits, " or block ", options.blockSize, " is out of range");
    const std::int64_t width = x.size(-1);
    return {x.numel() / width, width, (width + options.blockSize - 1) / options.blockSize};
}

/// LQER: blocks of zeros borrow the smallest maximum of the other blocks (1 if there is none).
float borrowedMaximum(const float* x, const Rows& rows, std::int64_t blockSize)
{
    float smallest = std::numeric_limits<float>::infinity();
    for (std::int64_t r = 0; r < rows.count; ++r) {
        for (std::int64_t b = 0; b < rows.blocks; ++b) {
            const float* from = x + r * rows.width + b * blockSize;
            const std::int64_t n = std::min(blockSize, rows.width - b * blockSize);
            float maximum = 0;
            for (std::int64_t i = 0; i < n; ++i) {
                maximum = std::max(maximum, std::fabs(from[i]));
            }
            if (maximum > 0) {
                smallest = std::min(smallest, maximum);
            }
        }
    }
    return std::isinf(smallest) ? 1.0F : smallest;
}

/// Calls body(row, block, values, count, stepExponent) for all blocks, rows in parallel.
template <class Body>
void forEachBlock(const float* x, const Rows& rows, const MxOptions& options, const Body& body)
{
    const float borrowed =
        options.rule == MxRule::Lqer ? borrowedMaximum(x, rows, options.blockSize) : 0.0F;
    at::parallel_for(0, rows.count, 64, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
            for (std::int64_t b = 0; b < rows.blocks; ++b) {
                const std::int64_t first = b * options.blockSize;
                const std::int64_t n = std::min(options.blockSize, rows.width - first);
                const float* from = x + r * rows.width + first;
                float maximum = 0;
                for (std::int64_t i = 0; i < n; ++i) {
                    maximum = std::max(maximum, std::fabs(from[i]));
                }
                if (maximum == 0) {
                    maximum = borrowed;
                }
                body(r, b, first, n, stepExponent(maximum, options));
            }
        }
    });
}

float codeOf(float value, int exponent, const MxOptions& options, float largest)
{
    const float nudge = options.rule == MxRule::Lqer ? kTieNudge : 0.0F;
    const float magnitude = std::nearbyint(std::ldexp(std::fabs(value) + nudge, -exponent));
    return std::copysign(std::min(magnitude, largest), value);
}

float largestCode(const MxOptions& options)
{
    return static_cast<float>((1 << (options.bits - 1)) - 1);
}
} // namespace

MxCodes mxEncode(const at::Tensor& x, const MxOptions& options)
{
    const at::Tensor values = x.to(at::kCPU, at::kFloat).contiguous();
    const Rows rows = rowsOf(values, options);
    std::vector<std::int64_t> exponentShape = values.sizes().vec();
    exponentShape.back() = rows.blocks;
    MxCodes result{at::empty(values.sizes(), at::kChar), at::empty(exponentShape, at::kShort)};
    const auto* from = values.data_ptr<float>();
    auto* codes = result.codes.data_ptr<std::int8_t>();
    auto* exponents = result.exponents.data_ptr<std::int16_t>();
    const float largest = largestCode(options);
    forEachBlock(
        from, rows, options,
        [&](std::int64_t r, std::int64_t b, std::int64_t first, std::int64_t n, int exponent) {
            exponents[r * rows.blocks + b] = static_cast<std::int16_t>(exponent);
            const std::int64_t offset = r * rows.width + first;
            for (std::int64_t i = 0; i < n; ++i) {
                codes[offset + i] =
                    static_cast<std::int8_t>(codeOf(from[offset + i], exponent, options, largest));
            }
        });
    return result;
}

at::Tensor mxDecode(const MxCodes& codes, const MxOptions& options)
{
    const at::Tensor host = codes.codes.cpu().contiguous();
    const at::Tensor steps = codes.exponents.cpu().contiguous();
    at::Tensor result = at::empty(host.sizes(), at::kFloat);
    const std::int64_t width = host.size(-1);
    const std::int64_t blocks = steps.size(-1);
    const auto* from = host.data_ptr<std::int8_t>();
    const auto* exponents = steps.data_ptr<std::int16_t>();
    auto* to = result.data_ptr<float>();
    for (std::int64_t r = 0; r < host.numel() / width; ++r) {
        for (std::int64_t c = 0; c < width; ++c) {
            to[r * width + c] = std::ldexp(static_cast<float>(from[r * width + c]),
                                           exponents[r * blocks + c / options.blockSize]);
        }
    }
    return result;
}

at::Tensor mxFakeQuantize(const at::Tensor& x, const MxOptions& options)
{
    const at::Tensor values = x.to(at::kCPU, at::kFloat).contiguous();
    const Rows rows = rowsOf(values, options);
    at::Tensor result = at::empty(values.sizes(), at::kFloat);
    const auto* from = values.data_ptr<float>();
    auto* to = result.data_ptr<float>();
    const float largest = largestCode(options);
    const bool passSmall = options.rule == MxRule::Lqer;
    forEachBlock(
        from, rows, options,
        [&](std::int64_t r, std::int64_t, std::int64_t first, std::int64_t n, int exponent) {
            const std::int64_t offset = r * rows.width + first;
            for (std::int64_t i = offset; i < offset + n; ++i) {
                to[i] = passSmall && std::fabs(from[i]) <= kPassThrough
                            ? from[i]
                            : std::ldexp(codeOf(from[i], exponent, options, largest), exponent);
            }
        });
    return result.to(x.device());
}

} // namespace qw
