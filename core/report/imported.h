#pragma once

namespace qw {

/// The method of runs that were not made here but read from files of another program.
constexpr const char* kImported = "imported";

} // namespace qw
