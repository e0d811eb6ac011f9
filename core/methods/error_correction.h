#pragma once

#include <string>

#include "methods/method.h"

namespace qw {

/// Adds the low-rank pair of LQER, L²QER, QERA-approx or QERA-exact for the error that the
/// outcome's codes leave, at the rank of the task.
/// @param method  id of one of them. @throws Error as they do
void correctErrors(const std::string& method, const LayerTask& task, LayerOutcome& outcome,
                   const RunContext& run);

} // namespace qw
