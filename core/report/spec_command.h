#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "report/run_spec.h"

namespace qw {

/// The shell command that starts this run, with the settings that differ from their defaults
/// and that the run looks at; empty if one of them has no flag: then only the spec as a file will
/// do.
std::string runCommand(const RunSpec& spec);

/// The settings that a flag of `qw run` stands for, which one depends on the method ("--lr":
/// reconstruction.lr, training.lr); empty for a flag that is no setting of a spec.
std::vector<std::string> settingsOfFlag(const std::string& flag);

/// A sentence of validate() with the flags of `qw run` in the place of the settings it names:
/// "--range-norm -1 is not a number above 0". What stands in quotes or in a path is the user's and
/// stays. @param overrides  how many of the spec's are of --override; those behind are of --skip
std::string inFlags(std::string sentence, std::size_t overrides = SIZE_MAX);

/// A word as a POSIX shell reads it back.
std::string shellQuoted(const std::string& word);

} // namespace qw
