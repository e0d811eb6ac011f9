#pragma once

#include <string>

#include "export/run_facts.h"
#include "export/target_plan.h"
#include "export/verify.h"

namespace qw {

/// What the card's commands call the files beside it.
struct CardNames {
    std::string ggufModel;
    std::string ggufAdapter;
    std::string base; ///< of an adapter alone; empty: not known
};

/// README.md of an export: method, settings, measured numbers with their protocol, what is lost,
/// and how to load it in the client it is for.
std::string modelCard(const RunResult& run, const RunFacts& facts, const TargetPlan& plan,
                      const Verification& verification, const CardNames& names);

/// "Read back and compared: 45 tensors, bit for bit the run's; ..."
std::string verdictOf(const Verification& verification);

} // namespace qw
