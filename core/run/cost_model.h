#pragma once

#include <cstdint>

#include "report/run_result.h"
#include "run/block_quantizer.h"
#include "run/run_texts.h"

namespace qw {

/// Windows a run will read.
struct Workload {
    std::int64_t calibrationWindows = 0;
    std::int64_t calibrationSeqlen = 0;
    std::int64_t evaluationWindows = 0;
    std::int64_t evaluationSeqlen = 0;
    std::int64_t trainingSeqlen = 0;
};

Workload workloadOf(const RunTexts& texts);

/// Peak memory and time of a group of runs, from shapes and a product rate measured here and now
/// (a tenth of a second). The sizes are those of the largest rank, exact.
Estimate estimateGroup(const RunGroup& group, const Checkpoint& checkpoint, const Workload& work,
                       std::int64_t hiddenBudgetBytes);
/// The same at a given rate. @param rate  float32 operations of products a second
Estimate estimateGroup(const RunGroup& group, const Checkpoint& checkpoint, const Workload& work,
                       std::int64_t hiddenBudgetBytes, double rate);

} // namespace qw
