#pragma once

#include <filesystem>

#include "store/run_store.h"

namespace qw {

class Database;

/// Copies into a store what it lacks of another one, which stays as it is.
/// @throws Error::Store, NotFound; BadInput if both are the same file
MergeReport mergeStore(Database& db, const std::filesystem::path& other);

} // namespace qw
