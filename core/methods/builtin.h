#pragma once

#include <memory>

#include "methods/method.h"
#include "methods/trained_weight.h"

namespace qw {

std::unique_ptr<LayerMethod> makeRtn();
std::unique_ptr<LayerMethod> makeLqer();       ///< plain SVD of the error
std::unique_ptr<LayerMethod> makeL2qer();      ///< scaled by mean |x|
std::unique_ptr<LayerMethod> makeQeraApprox(); ///< scaled by the root mean square of x
std::unique_ptr<LayerMethod> makeQeraExact();  ///< least output error for its rank

std::unique_ptr<BlockMethod> makeGptq();        ///< each column makes up for the ones before it
std::unique_ptr<BlockMethod> makeAwq();         ///< scales that large inputs ask for, folded away
std::unique_ptr<BlockMethod> makeSmoothQuant(); ///< scales that even out inputs, folded away
std::unique_ptr<BlockMethod> makeLrq();         ///< learned divisors of low rank
std::unique_ptr<BlockMethod> makeFlexRound();   ///< full learned divisors

std::unique_ptr<ModelMethod> makeLrQat(); ///< a low-rank pair inside the rounding, and scales
std::unique_ptr<ModelMethod> makeLsq();   ///< weights and scales
std::unique_ptr<ModelMethod> makePeqa();  ///< scales alone

} // namespace qw
