#include "quant/range_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "quant/clones.h"

namespace qw {

namespace {
constexpr std::int64_t kChunk = 64; // values between two looks at the limit

/// x^p for x >= 0, relative error below 1e-5 for p <= 5; anything below 2^-126 becomes 2^-126.
/// The coefficients are Chebyshev fits of log2(1 + t) / t and of 2^f.
QW_INLINE inline float powerNear(float x, float p)
{
    const auto bits = std::bit_cast<std::int32_t>(x);
    const std::int32_t e = (bits - 0x3f3504f3) >> 23; // x = m * 2^e, m in [sqrt(1/2), sqrt(2))
    const float t = std::bit_cast<float>(bits - e * (1 << 23)) - 1.0F;
    float log = 0.172128737F;
    log = log * t - 0.269506276F;
    log = log * t + 0.295633614F;
    log = log * t - 0.359350652F;
    log = log * t + 0.480629146F;
    log = log * t - 0.721364021F;
    log = log * t + 1.44269645F;
    const float y = std::max(p * (static_cast<float>(e) + log * t), -126.0F);
    const float whole = std::rint(y);
    const float f = y - whole;
    float power = 0.00967603736F;
    power = power * f + 0.0559220351F;
    power = power * f + 0.240221068F;
    power = power * f + 0.693121016F;
    power = power * f + 1.0F;
    return power * std::bit_cast<float>((static_cast<std::int32_t>(whole) + 127) << 23);
}
} // namespace

double nearTolerance(double p)
{
    return 2e-4 * std::max(p, 1.0);
}

QW_CLONES double gridScoreNear(const float* w, std::int64_t n, GridPoint point, CodeRange codes,
                               float p, double limit)
{
    const float inverse = 1.0F / point.scale;
    double score = 0;
    for (std::int64_t first = 0; first < n && score <= limit; first += kChunk) {
        const std::int64_t count = std::min(kChunk, n - first);
        const float* values = w + first;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t i = 0; i < count; ++i) {
            float code = std::rint(values[i] * inverse) + point.zero;
            code = std::min(std::max(code, codes.low), codes.high);
            sum += powerNear(std::fabs((code - point.zero) * point.scale - values[i]), p);
        }
        score += sum;
    }
    return score;
}

double gridScore(const float* w, std::int64_t n, GridPoint point, CodeRange codes, double p)
{
    double score = 0;
    for (std::int64_t i = 0; i < n; ++i) {
        float code = std::rint(w[i] / point.scale) + point.zero;
        code = std::clamp(code, codes.low, codes.high);
        score += std::pow(std::fabs((code - point.zero) * point.scale - w[i]), p);
    }
    return score;
}

} // namespace qw
