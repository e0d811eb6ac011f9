#pragma once

#include <cstdint>

#include "model/simd.h"

namespace qw {

/// What one row of logits says about one prediction.
struct PredictionOfRow {
    double nll = 0; ///< of the target, nats
    double kl = 0;  ///< KL(reference || row), nats; 0 without a reference
    bool sameTop = false;
};

/// Scores rows of logits on the CPU without writing probabilities: two passes over a row that lies
/// in cache, three more where there is a reference. Elements are float, or std::uint16_t holding
/// bfloat16. The result does not depend on the number of threads.
/// @param logits, reference [rows, vocab] dense, reference may be null; @param targets [rows]
template <class Element>
void scoreLogits(const Element* logits, const Element* reference, const std::int64_t* targets,
                 std::int64_t rows, std::int64_t vocab, PredictionOfRow* results,
                 Simd simd = bestSimd());

/// Turns rows of logits into the gradient of the sum of their targets' nll, times @p scale, in
/// place.
/// @param nll [rows]: of the targets, nats
template <class Element>
void lossGradient(Element* logits, const std::int64_t* targets, std::int64_t rows,
                  std::int64_t vocab, float scale, double* nll, Simd simd = bestSimd());

} // namespace qw
