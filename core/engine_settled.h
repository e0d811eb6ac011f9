#pragma once

#include <map>
#include <string>

#include "report/run_spec.h"

namespace qw {

/// What a run takes for the numbers that its spec leaves to the program, by setting, of those that
/// its method looks at: {"training.lr", 0.006}. Reads the model's config only.
/// @throws Error for a model that cannot be opened
std::map<std::string, double> settledNumbers(const RunSpec& spec);

} // namespace qw
