#pragma once

#include <span>
#include <string_view>

#include "store/sqlite_db.h"

namespace qw {

/// The steps from an empty file to the present layout. Append-only: released steps never change,
/// since files out there have run them.
std::span<const std::string_view> storeMigrations();

/// Brings a file to the layout after @p steps; its version is the number of steps it has run.
/// Copies a file that holds runs to "NAME.before-vN" first. Safe in several processes at once.
/// @throws Error::Store if the file is newer, damaged, or belongs to another program
void migrate(Database& db, std::span<const std::string_view> steps);
/// As migrate(), of a file that is a copy itself: makes no other.
void migrateCopy(Database& db, std::span<const std::string_view> steps);
/// For a file that cannot be written. @throws Error::Store if it is not of the layout after @p
/// steps
void requireMigrated(Database& db, std::span<const std::string_view> steps);

} // namespace qw
