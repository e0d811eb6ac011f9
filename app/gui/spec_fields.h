#pragma once

#include <vector>

#include "app/gui/engine_calls.h"
#include "widgets/spec_form.h"

namespace qw {

/// The fields of the Quantize page for a method: its own parameters as the engine describes them,
/// then activations, data and what is rarely changed.
std::vector<SpecField> specFields(const std::vector<MethodDescription>& methods,
                                  const std::string& method);

} // namespace qw
