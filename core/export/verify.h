#pragma once

#include "export/export_reader.h"
#include "export/run_model.h"
#include "export/target_plan.h"

namespace qw {

/// What reading an export back showed.
struct Verification {
    std::int64_t tensors = 0;
    double maxAbsDifference = 0;   ///< of a value, from the run's own
    std::string worst;             ///< the tensor it is in
    double maxLogitDifference = 0; ///< as a share of the largest logit
};

/// Compares everything that was written with the run, and runs a prompt through what was read.
/// @param base  of the weights, or null: an adapter alone, over the run's own codes
/// @param adapter  or null
/// @throws Error::Mismatch naming the tensor that is not what the plan says
Verification verifyExport(const RunModel& model, const TargetPlan& plan, ExportReader* base,
                          AdapterReader* adapter, const RunContext& context);

} // namespace qw
