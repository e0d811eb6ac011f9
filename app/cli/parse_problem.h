#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
class ParseError;
} // namespace CLI

namespace qw::cli {

/// One sentence about a command line that could not be read: names the command, the word that is
/// wrong and the nearest word that would be right. Begins with "qw".
/// @param arguments  the command line without the program's name
std::string sentenceFor(const CLI::App& app, const std::vector<std::string>& arguments,
                        const CLI::ParseError& problem);

} // namespace qw::cli
