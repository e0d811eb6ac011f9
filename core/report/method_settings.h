#pragma once

#include <string>
#include <vector>

#include "report/run_spec.h"

namespace qw {

/// The methods that look at a setting ("gptq.act_order"), in the order of the registry; empty if
/// every method does. It says what the methods' ParamSpecs say, for whoever sees no method.
std::vector<std::string> methodsWith(const std::string& setting);

/// Whether a run looks at a setting: its method does, or what corrects the method's errors.
/// @param correction  as in LowRankSpec
bool looksAt(const std::string& method, const std::string& correction, const std::string& setting);

/// The spec with the defaults where the run does not look, so that no wish is stored that the run
/// cannot grant. Overrides are explicit and stay; so does what an imported run was made with.
RunSpec withoutUnused(const RunSpec& spec);

} // namespace qw
