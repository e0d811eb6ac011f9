#pragma once

#include <string>

namespace qw {

/// Now, as results and exports are dated: "2026-01-31T23:59:59Z".
std::string utcNow();

} // namespace qw
