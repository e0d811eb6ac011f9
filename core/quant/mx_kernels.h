#pragma once

#include <cstdint>
#include <limits>

namespace qw {

/// A rule of block floating point in numbers. See MxRule.
struct MxRounding {
    bool ceil;     ///< of log2 of the maximum; else floor
    int below;     ///< from the shared exponent to that of the step
    float largest; ///< code
    float flush;   ///< magnitudes below count as zero
    float tiny;    ///< magnitudes up to here get no nudge and pass through between layers
    float nudge;   ///< added before rounding
    int low;       ///< exponents that the field can hold
    int high;
};

/// Shared exponent of a block of zeros: none.
constexpr std::int16_t kNoExponent = std::numeric_limits<std::int16_t>::min();

/// Shared exponents of the blocks of a row, not yet brought into the field's range.
void mxRowExponents(const float* x, std::int64_t n, std::int64_t block, const MxRounding& rounding,
                    std::int16_t* exponents);
/// @param steps  exponent of the step of each block
void mxEncodeRow(const float* x, std::int64_t n, std::int64_t block, const MxRounding& rounding,
                 const std::int16_t* steps, std::int8_t* codes);
void mxDecodeRow(const std::int8_t* codes, std::int64_t n, std::int64_t block,
                 const std::int16_t* steps, float* y);
/// x and y must not overlap.
void mxFakeQuantizeRow(const float* x, std::int64_t n, std::int64_t block,
                       const MxRounding& rounding, float* y);

} // namespace qw
