#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "base/run_context.h"
#include "methods/method.h"
#include "model/decoder.h"
#include "run/artifact.h"
#include "run/run_plan.h"

namespace qw {

/// Specs that differ in nothing but the rank of the correction: one calibration, one factorization
/// at the largest rank, which the others slice.
struct RunGroup {
    std::vector<RunSpec> specs;
    std::vector<RunPlan> plans; ///< one a spec
    std::size_t largest = 0;    ///< the spec with the largest rank

    const RunSpec& largestSpec() const { return specs[largest]; }
    const RunPlan& largestPlan() const { return plans[largest]; }
};

/// Settles what each spec will do. @throws Error::BadInput as planRun() does
RunGroup planGroup(std::vector<RunSpec> specs, const Checkpoint& checkpoint);

/// What calibration learned of a block, by input group.
using BlockStatistics = std::map<std::int64_t, std::unique_ptr<InputStatistics>>;

/// Quantizes the linears of one block and measures each at every rank asked. Weights and
/// statistics are dropped as soon as nobody needs them any more.
BlockArtifact quantizeBlock(const RunGroup& group, const LayerMethod& method, BlockWeights block,
                            BlockStatistics statistics, const RunContext& run);

} // namespace qw
