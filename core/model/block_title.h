#pragma once

#include <cstdint>
#include <string>

namespace qw {

class Checkpoint;

/// A block as progress names it: counted from 1, and by the name that tables and layers have, which
/// count from 0: "block 3 of 8 (model.layers.2)".
std::string blockTitle(const Checkpoint& checkpoint, std::int64_t index);

} // namespace qw
