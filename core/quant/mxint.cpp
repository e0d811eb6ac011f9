#include "quant/mxint.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "base/error.h"
#include "quant/mx_kernels.h"
#include "quant/mx_rounding.h"

namespace qw {

namespace {
constexpr std::int64_t kNarrowBias = 7; // of a 4-bit field: LQER's 2^(bits-1) - 1
constexpr std::int64_t kWideBias = 127;
constexpr std::int64_t kGrain = 1 << 15; // values worth a thread

struct Rows {
    std::int64_t count;
    std::int64_t width;
    std::int64_t blocks;

    std::int64_t grain() const { return std::max<std::int64_t>(1, kGrain / width); }
};

Rows rowsOf(const at::Tensor& x, const MxOptions& options)
{
    const std::int64_t width = x.size(-1);
    return {x.numel() / width, width, (width + options.blockSize - 1) / options.blockSize};
}

/// From raw shared exponents to those of the steps, in place.
void settleExponents(std::int16_t* exponents, std::int64_t count, const MxOptions& options)
{
    int smallest = std::numeric_limits<int>::max();
    int largest = std::numeric_limits<int>::min();
    for (std::int64_t i = 0; i < count; ++i) {
        if (exponents[i] != kNoExponent) {
            smallest = std::min<int>(smallest, exponents[i]);
            largest = std::max<int>(largest, exponents[i]);
        }
    }
    const bool allZero = smallest > largest;
    const MxExponentRange range =
        mxExponentRange(options.exponentBits, allZero ? 0 : smallest, allZero ? 0 : largest);
    const std::int64_t ofZeros = mxZeroExponent(options.rule, allZero ? 0 : smallest);
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t shared = exponents[i] == kNoExponent ? ofZeros : exponents[i];
        exponents[i] = static_cast<std::int16_t>(std::clamp(shared, range.low, range.high) -
                                                 stepBelow(options));
    }
}
} // namespace

void requireMxOptions(const MxOptions& options)
{
    QW_REQUIRE(options.bits >= 2 && options.bits <= 8, ErrorCode::BadInput, "MXINT bits ",
               options.bits, " is not in 2..8");
    QW_REQUIRE(options.blockSize > 0, ErrorCode::BadInput, "MXINT block ", options.blockSize,
               " is not above 0");
    QW_REQUIRE(options.exponentBits == 4 || options.exponentBits == 8, ErrorCode::BadInput,
               "MXINT exponent bits ", options.exponentBits, " is not 4 or 8");
}

void requireMxInput(const at::Tensor& x, const MxOptions& options)
{
    requireMxOptions(options);
    QW_REQUIRE(x.dim() > 0 && x.size(-1) > 0, ErrorCode::BadShape,
               "block floating point needs at least one value a row");
}

std::int64_t stepBelow(const MxOptions& options)
{
    return options.bits - (options.rule == MxRule::Lqer ? 1 : 2);
}

MxExponentRange mxFixedRange(std::int64_t exponentBits)
{
    return exponentBits == 4 ? MxExponentRange{-kNarrowBias, 15 - kNarrowBias}
                             : MxExponentRange{-kWideBias, 255 - kWideBias};
}

MxExponentRange mxExponentRange(std::int64_t exponentBits, std::int64_t smallest,
                                std::int64_t largest)
{
    const MxExponentRange fixed = mxFixedRange(exponentBits);
    if (exponentBits == 8 || (smallest >= fixed.low && largest <= fixed.high)) {
        return fixed;
    }
    return {largest - 15, largest};
}

std::int64_t mxZeroExponent(MxRule rule, std::int64_t smallest)
{
    constexpr std::int64_t kQeraZero = -126;
    return rule == MxRule::Lqer ? smallest : kQeraZero;
}

MxRounding mxRounding(const MxOptions& options)
{
    const bool lqer = options.rule == MxRule::Lqer;
    const MxExponentRange range = mxFixedRange(options.exponentBits);
    MxRounding rounding{};
    rounding.ceil = lqer;
    rounding.below = static_cast<int>(stepBelow(options));
    rounding.largest = static_cast<float>((1 << (options.bits - 1)) - 1);
    // QERA: float32 and bfloat16 share their smallest normal number.
    rounding.flush = lqer ? 0.0F : std::numeric_limits<float>::min();
    rounding.tiny = lqer ? 1e-8F : -1.0F;
    rounding.nudge = lqer ? 1e-9F : 0.0F;
    rounding.low = static_cast<int>(range.low);
    rounding.high = static_cast<int>(lqer ? range.high : std::min<std::int64_t>(range.high, 127));
    return rounding;
}

MxCodes mxEncode(const at::Tensor& x, const MxOptions& options)
{
    requireMxInput(x, options);
    if (!x.is_cpu()) {
        return mxEncodeByOps(x, options);
    }
    const at::Tensor values = x.to(at::kFloat).contiguous();
    const Rows rows = rowsOf(values, options);
    std::vector<std::int64_t> exponentShape = values.sizes().vec();
    exponentShape.back() = rows.blocks;
    MxCodes result{at::empty(values.sizes(), at::kChar), at::empty(exponentShape, at::kShort)};
    const auto* from = values.data_ptr<float>();
    auto* codes = result.codes.data_ptr<std::int8_t>();
    auto* exponents = result.exponents.data_ptr<std::int16_t>();
    const MxRounding rounding = mxRounding(options);
    at::parallel_for(0, rows.count, rows.grain(), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
            mxRowExponents(from + r * rows.width, rows.width, options.blockSize, rounding,
                           exponents + r * rows.blocks);
        }
    });
    settleExponents(exponents, rows.count * rows.blocks, options);
    at::parallel_for(0, rows.count, rows.grain(), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
            mxEncodeRow(from + r * rows.width, rows.width, options.blockSize, rounding,
                        exponents + r * rows.blocks, codes + r * rows.width);
        }
    });
    return result;
}

at::Tensor mxDecode(const MxCodes& codes, const MxOptions& options)
{
    requireMxInput(codes.codes, options);
    if (!codes.codes.is_cpu()) {
        return mxDecodeByOps(codes, options);
    }
    const at::Tensor host = codes.codes.contiguous();
    const at::Tensor steps = codes.exponents.contiguous();
    const Rows rows = rowsOf(host, options);
    at::Tensor result = at::empty(host.sizes(), at::kFloat);
    const auto* from = host.data_ptr<std::int8_t>();
    const auto* exponents = steps.data_ptr<std::int16_t>();
    auto* to = result.data_ptr<float>();
    at::parallel_for(0, rows.count, rows.grain(), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
            mxDecodeRow(from + r * rows.width, rows.width, options.blockSize,
                        exponents + r * rows.blocks, to + r * rows.width);
        }
    });
    return result;
}

at::Tensor mxFakeQuantize(const at::Tensor& x, const MxOptions& options)
{
    requireMxInput(x, options);
    if (!x.is_cpu()) {
        return mxFakeQuantizeByOps(x, options);
    }
    const at::Tensor values = x.to(at::kFloat).contiguous();
    const Rows rows = rowsOf(values, options);
    at::Tensor result = at::empty(values.sizes(), at::kFloat);
    const auto* from = values.data_ptr<float>();
    auto* to = result.data_ptr<float>();
    const MxRounding rounding = mxRounding(options);
    at::parallel_for(0, rows.count, rows.grain(), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
            mxFakeQuantizeRow(from + r * rows.width, rows.width, options.blockSize, rounding,
                              to + r * rows.width);
        }
    });
    return result;
}

std::string describe(const MxOptions& options)
{
    return message("MXINT", options.bits, " block ", options.blockSize,
                   options.exponentBits == 4 ? ", 4-bit exponents" : "");
}

} // namespace qw
