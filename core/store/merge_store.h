#pragma once

#include <cstdint>
#include <filesystem>

namespace qw {

class Database;

struct MergeReport {
    std::int64_t added = 0;
    std::int64_t alreadyThere = 0;
};

/// Copies into a store what it lacks of another one, which stays as it is.
/// @throws Error::Store, NotFound; BadInput if both are the same file
MergeReport mergeStore(Database& db, const std::filesystem::path& other);

} // namespace qw
