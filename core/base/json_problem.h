#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "base/json_io.h"

namespace qw {

/// What the JSON library found, in words for the user: "line 2, column 7: unexpected end of input;
/// expected '}'". Without its own prefixes and without what it read, which may be any bytes.
std::string jsonProblem(const std::exception& problem);

/// parseJson() of one line of a file. @param what  file and line: the sentence adds the column
/// @throws Error::BadFile
Json parseJsonLine(std::string_view line, const std::string& what);

} // namespace qw
