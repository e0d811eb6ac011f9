#pragma once

#include <string>

#include "export/run_facts.h"
#include "export/target_plan.h"
#include "export/verify.h"

namespace qw {

/// README.md of an export: method, settings, measured numbers with their protocol, what is lost,
/// and how to load it in the client it is for.
std::string modelCard(const RunResult& run, const RunFacts& facts, const TargetPlan& plan,
                      const Verification& verification);

/// "Read back and compared: 45 tensors, bit for bit the run's; ..."
std::string verdictOf(const Verification& verification);

} // namespace qw
