#pragma once

#include <string>

namespace qw {

/// What a number stands for where it leaves the choice to the program or means more than itself:
/// "automatic" for training.lr -1, "all" for evaluation.windows 0. Empty: the number is meant.
/// @param setting  path in JSON
std::string openNumber(const std::string& setting, double value);

/// A value of settingsOf() for people: such a word, else as it is.
std::string readableValue(const std::string& setting, const std::string& value);

} // namespace qw
