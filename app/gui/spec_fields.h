#pragma once

#include <map>
#include <string>
#include <vector>

#include "app/gui/engine_calls.h"
#include "widgets/spec_form.h"

namespace qw {

/// The fields of the Quantize page for a method: its own parameters as the engine describes them,
/// then activations, data and what is rarely changed.
std::vector<SpecField> specFields(const std::vector<MethodDescription>& methods,
                                  const std::string& method);

/// What that form calls settings, by path; those that it does not have are left out.
std::map<std::string, std::string> settingLabels(const std::vector<MethodDescription>& methods);

/// A value of settingsOf() for people: methods and corrections by their titles.
QString settingText(const std::string& path, const std::string& value);

} // namespace qw
