#include "store/migrations.h"

#include <array>
#include <system_error>

#include <unistd.h>

#include "base/error.h"

namespace qw {

namespace {
/// Marks our files among SQLite files: "QWRS".
constexpr std::int64_t kApplicationId = 0x51575253;

constexpr std::string_view kVersion1 = R"sql(
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    started TEXT NOT NULL,
    status TEXT NOT NULL,
    method TEXT NOT NULL,
    model TEXT NOT NULL,
    sweep TEXT NOT NULL,
    bits INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    bits_per_weight REAL,
    bytes INTEGER NOT NULL,
    perplexity REAL,
    nll REAL,
    kl_mean REAL,
    body TEXT NOT NULL, -- the whole result as JSON, layers left out
    notes TEXT NOT NULL DEFAULT '',
    starred INTEGER NOT NULL DEFAULT 0,
    hidden INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX runs_started ON runs(started);
CREATE INDEX runs_sweep ON runs(sweep) WHERE sweep <> '';
CREATE TABLE layers (
    run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    rows INTEGER NOT NULL,
    cols INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    weight_error REAL,
    output_error REAL,
    sqnr_db REAL,
    bits_per_weight REAL,
    bytes INTEGER NOT NULL,
    seconds REAL,
    error_norm REAL,
    singular_values BLOB NOT NULL, -- doubles
    PRIMARY KEY (run_id, position)
) STRICT;
CREATE TABLE tags (
    run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (run_id, tag)
) STRICT;
CREATE TABLE spectra (
    cache_key TEXT PRIMARY KEY,
    singular_values BLOB NOT NULL -- doubles
) STRICT;
)sql";

/// What learned rounding leaves of each layer.
constexpr std::string_view kVersion2 = R"sql(
ALTER TABLE layers ADD COLUMN train_rank INTEGER NOT NULL DEFAULT 0;
ALTER TABLE layers ADD COLUMN trained_parameters INTEGER NOT NULL DEFAULT 0;
ALTER TABLE layers ADD COLUMN moved_0 REAL;
ALTER TABLE layers ADD COLUMN moved_1 REAL;
ALTER TABLE layers ADD COLUMN moved_2plus REAL;
)sql";

constexpr std::array<std::string_view, 2> kSteps{kVersion1, kVersion2};

std::int64_t versionOf(Database& db)
{
    return db.number("PRAGMA user_version");
}

/// Refuses what must not be touched.
void requireOurs(Database& db, std::int64_t version, std::int64_t known)
{
    const bool empty = db.number("SELECT count(*) FROM sqlite_master") == 0;
    QW_REQUIRE((version == 0 && empty) || db.number("PRAGMA application_id") == kApplicationId,
               ErrorCode::Store, db.file().string(),
               ": is an SQLite file of another program, no run store");
    QW_REQUIRE(version <= known, ErrorCode::Store, db.file().string(),
               ": was written by a newer version of this program (layout ", version,
               "; this one knows up to ", known, "); use that version or another --store");
}

/// A consistent copy beside the file, under a temporary name until it is whole.
void copyBeside(Database& db, std::int64_t version)
{
    const std::string target = message(db.file().string(), ".before-v", version + 1);
    const std::string temporary = message(target, ".", ::getpid());
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    Statement(db, "VACUUM INTO ?").bind(temporary).run();
    std::error_code problem;
    std::filesystem::rename(temporary, target, problem);
    QW_REQUIRE(!problem, ErrorCode::Io, target, ": cannot be written: ", problem.message());
}

/// Those that the file has not run yet.
void runSteps(Database& db, std::span<const std::string_view> steps)
{
    const auto target = static_cast<std::int64_t>(steps.size());
    if (versionOf(db) == target) {
        return;
    }
    // Steps may rebuild tables others refer to; inside a transaction the switch does nothing.
    db.execute("PRAGMA foreign_keys = OFF");
    {
        Transaction transaction(db);
        const std::int64_t now = versionOf(db); // another process may have been quicker
        for (std::int64_t step = now; step < target; ++step) {
            db.execute(std::string(steps[static_cast<std::size_t>(step)]));
        }
        QW_REQUIRE(!Statement(db, "PRAGMA foreign_key_check").step(), ErrorCode::Store,
                   db.file().string(), ": the run store holds rows without their run");
        if (now < target) {
            db.execute(message("PRAGMA user_version = ", target));
            db.execute(message("PRAGMA application_id = ", kApplicationId));
        }
        transaction.commit();
    }
    db.execute("PRAGMA foreign_keys = ON");
}
} // namespace

std::span<const std::string_view> storeMigrations()
{
    return kSteps;
}

void migrate(Database& db, std::span<const std::string_view> steps)
{
    const auto target = static_cast<std::int64_t>(steps.size());
    const std::int64_t before = versionOf(db);
    requireOurs(db, before, target);
    if (before > 0 && before < target) {
        copyBeside(db, before);
    }
    runSteps(db, steps);
}

void migrateCopy(Database& db, std::span<const std::string_view> steps)
{
    requireOurs(db, versionOf(db), static_cast<std::int64_t>(steps.size()));
    runSteps(db, steps);
}

void requireMigrated(Database& db, std::span<const std::string_view> steps)
{
    const auto target = static_cast<std::int64_t>(steps.size());
    const std::int64_t version = versionOf(db);
    requireOurs(db, version, target);
    QW_REQUIRE(version == target, ErrorCode::Store, db.file().string(),
               ": was written by an older version of this program and cannot be brought up to "
               "date where it cannot be written; copy it to another folder");
}

} // namespace qw
