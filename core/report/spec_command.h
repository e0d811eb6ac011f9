#pragma once

#include <string>

#include "report/run_spec.h"

namespace qw {

/// The shell command that starts this run, with the settings that differ from their defaults; empty
/// if a setting has no flag: then only the spec as a file will do.
std::string runCommand(const RunSpec& spec);

/// A word as a POSIX shell reads it back.
std::string shellQuoted(const std::string& word);

} // namespace qw
