#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/run_context.h"
#include "methods/method.h"
#include "model/decoder.h"
#include "report/layer_rules.h"
#include "run/artifact.h"
#include "run/block_calibration.h"
#include "run/run_plan.h"

namespace qw {

/// Specs that differ in nothing but the rank of the correction: one calibration, one factorization
/// at the largest rank, which the others slice.
struct RunGroup {
    std::vector<RunSpec> specs;
    std::vector<RunPlan> plans;    ///< one a spec
    std::vector<LayerRules> rules; ///< one a spec
    std::size_t largest = 0;       ///< the spec with the largest rank
    RunSpec factorSpec;            ///< what is factorized: that one, or its like of a larger rank
    RunPlan factorPlan;
};

/// Settles what each spec will do.
/// @param factorRank  of the factorization, if above all ranks asked: repeats a run that was sliced
/// @throws Error::BadInput as planRun() does
RunGroup planGroup(std::vector<RunSpec> specs, const Checkpoint& checkpoint,
                   std::int64_t factorRank = 0);

/// What calibration learned of a block, by input group.
using BlockStatistics = std::map<std::int64_t, std::unique_ptr<InputStatistics>>;

/// Statistics that must be collected: what the method and a correction on top of it ask for, and
/// what gives the output errors.
StatisticsNeeds statisticsNeeds(const RunGroup& group);

/// The layers of a block that are to be quantized, in the order they run; they share its weights.
std::vector<LayerTask> layerTasks(const RunGroup& group, const BlockWeights& block,
                                  const BlockStatistics& statistics);

/// Quantizes the linears of one block and measures each at every rank asked. Weights and
/// statistics are dropped as soon as nobody needs them any more.
BlockArtifact quantizeBlock(const RunGroup& group, const LayerMethod& method, BlockWeights block,
                            BlockStatistics statistics, const RunContext& run);

/// The block as later ones are to see it: its codes alone. Corrections and quantized activations
/// come on top, so that weights depend on neither.
BlockHooks pathHooks(BlockArtifact artifact, const BlockWeights& block, const Decoder& decoder);

/// What a block-wise method works between, and whom it tells.
struct BlockPaths {
    const Decoder* decoder = nullptr;
    BlockCalibration* inputs = nullptr;    ///< before the block, of the model the method looks at
    const HiddenStates* targets = nullptr; ///< of the full-precision model after it
    std::filesystem::path stateFile;
    HiddenStatesPlace scratch;
    std::function<void(const BlockLosses&)> lossesCame;
};

/// The same by a block-wise method. The inputs move on past what it made of the block, which gives
/// the error after. @param block  in float32
BlockArtifact quantizeBlock(const RunGroup& group, const BlockMethod& method, BlockWeights block,
                            BlockStatistics statistics, const BlockPaths& paths,
                            const RunContext& run);

} // namespace qw
