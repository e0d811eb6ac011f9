#pragma once

#include <string>

namespace qw {

/// Twelve characters (Crockford's base 32, lower case): eight of milliseconds since 2024, four
/// random. Later ids sort after earlier ones, two machines do not meet in practice, and an id is
/// never a mere number, so that no tool takes it for one.
std::string makeRunId();

} // namespace qw
