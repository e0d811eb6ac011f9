#include "store/merge_store.h"

#include <system_error>

#include "base/error.h"
#include "store/migrations.h"
#include "store/run_id.h"
#include "store/sqlite_db.h"

namespace qw {

MergeReport mergeStore(Database& db, const std::filesystem::path& other)
{
    std::error_code unreachable;
    const bool there = std::filesystem::exists(other, unreachable);
    QW_REQUIRE(!unreachable, ErrorCode::Store, other.string(),
               ": the run store cannot be reached: ", unreachable.message());
    QW_REQUIRE(there, ErrorCode::NotFound, other.string(), ": there is no such run store");
    QW_REQUIRE(!std::filesystem::equivalent(other, db.file()), ErrorCode::BadInput, other.string(),
               ": is this store itself; merge another one");
    // Of a copy, upgraded if the store is an older one: the other file stays as it is.
    const std::filesystem::path copy = db.file().string() + ".merged-" + makeRunId();
    struct Detach {
        Database& db;
        const std::filesystem::path& copy;
        ~Detach()
        {
            db.tryExecute("DETACH other");
            std::error_code ignored;
            for (const char* end : {"", "-journal"}) {
                std::filesystem::remove(copy.string() + end, ignored);
            }
        }
    } detach{db, copy};
    {
        Database source(other,
                        canBeWritten(other) ? Database::Mode::Create : Database::Mode::ReadOnly);
        Statement(source, "VACUUM INTO ?").bind(copy.string()).run();
        Database upgraded(copy);
        migrateCopy(upgraded, storeMigrations());
    }
    Statement(db, "ATTACH ? AS other").bind(copy.string()).run();
    MergeReport report;
    Transaction transaction(db);
    // What was deleted there is not brought back; what was deleted here stays so.
    report.alreadyThere = db.number("SELECT count(*) FROM other.runs WHERE NOT hidden AND "
                                    "id IN (SELECT id FROM main.runs)");
    db.execute("CREATE TEMP TABLE incoming AS SELECT id FROM other.runs WHERE NOT hidden "
               "AND id NOT IN (SELECT id FROM main.runs)");
    // What was at work when it was merged before may be finished now.
    db.execute("CREATE TEMP TABLE finished AS SELECT id FROM other.runs WHERE NOT hidden AND "
               "status = 'finished' AND id IN "
               "(SELECT id FROM main.runs WHERE status <> 'finished')");
    const std::int64_t finished = db.number("SELECT count(*) FROM temp.finished");
    report.alreadyThere -= finished;
    report.added = db.number("SELECT count(*) FROM temp.incoming") + finished;
    db.execute(
        "UPDATE main.runs SET (status, rank, bits_per_weight, bytes, perplexity, nll, kl_mean, "
        "body) = (SELECT status, rank, bits_per_weight, bytes, perplexity, nll, kl_mean, body "
        "FROM other.runs WHERE other.runs.id = main.runs.id) WHERE id IN temp.finished;"
        "DELETE FROM main.layers WHERE run_id IN temp.finished;"
        "INSERT INTO temp.incoming SELECT id FROM temp.finished;");
    db.execute(
        "INSERT INTO main.runs SELECT * FROM other.runs WHERE id IN temp.incoming "
        "AND id NOT IN temp.finished;"
        "INSERT INTO main.layers SELECT * FROM other.layers WHERE run_id IN temp.incoming;"
        "INSERT OR IGNORE INTO main.tags SELECT * FROM other.tags WHERE run_id IN temp.incoming;"
        "INSERT OR IGNORE INTO main.spectra SELECT * FROM other.spectra;"
        "DROP TABLE temp.incoming; DROP TABLE temp.finished");
    transaction.commit();
    return report;
}

} // namespace qw
