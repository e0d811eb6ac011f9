#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/checkpoint.h"
#include "report/run_result.h"

namespace qw {

/// One linear of the model and what is to be done with it.
struct LayerPlan {
    LinearInfo info;
    LayerSettings settings; ///< after overrides and adjustments
};

/// What a run will do, settled before any work starts.
struct RunPlan {
    std::vector<LayerPlan> layers; ///< skipped ones left out
    std::vector<std::string> substitutions;
    std::int64_t weights = 0;       ///< of the layers above
    std::int64_t bytesOriginal = 0; ///< the same as stored in the model folder
    std::int64_t bytes = 0;         ///< of the artifact, exact
    std::int64_t maxRank = 0;       ///< largest rank of a layer

    double bitsPerWeight() const;
    std::vector<LayerPlan> ofBlock(std::int64_t block) const;
};

/// Applies overrides to each layer and settles what does not fit: with spec.adjust the nearest
/// group size that divides is taken and said so; ranks are cut to the smaller dimension.
/// @throws Error::BadInput naming the layer and the group sizes that would do
RunPlan planRun(const RunSpec& spec, const Checkpoint& checkpoint);

/// A sentence for each override whose pattern matches no layer: most likely a typing error.
std::vector<std::string> unusedOverrides(const RunSpec& spec, const Checkpoint& checkpoint);

/// The layer of this name. @throws Error::BadInput naming the nearest
const LinearInfo& findLayer(const Checkpoint& checkpoint, const std::string& name);

/// What the spec says of one layer, its group size settled as planRun() does.
LayerSettings settledSettings(const RunSpec& spec, const LinearInfo& layer,
                              std::vector<std::string>& substitutions);

/// Bits a layer will take: the same count as storedBits() of its result.
std::int64_t plannedBits(const LayerPlan& layer, const RunSpec& spec);

/// Sentence of group sizes that divide @p columns.
std::string divisorsOf(std::int64_t columns);

} // namespace qw
