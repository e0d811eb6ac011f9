#include "store/run_store.h"

#include <chrono>
#include <map>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "report/method_settings.h"
#include "store/migrations.h"
#include "store/run_id.h"
#include "store/sqlite_db.h"

namespace qw {

namespace {
void makeParent(const std::filesystem::path& file)
{
    const std::filesystem::path folder = file.parent_path();
    std::error_code problem;
    if (!folder.empty()) {
        std::filesystem::create_directories(folder, problem);
    }
    QW_REQUIRE(!problem, ErrorCode::Store, folder.string(),
               ": the folder of the run store cannot be made: ", problem.message());
}

/// Two processes that create the same file meet here; SQLite does not wait by itself then.
void useWriteAheadLog(Database& db)
{
    constexpr int kTries = 200;
    for (int i = 0; i < kTries; ++i) {
        if (db.tryExecute("PRAGMA journal_mode = WAL")) {
            return;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(25));
    }
    throw Error(ErrorCode::Io, db.file().string() + ": another program holds the run store");
}

void saveLayers(Database& db, const RunResult& result)
{
    Statement(db, "DELETE FROM layers WHERE run_id = ?").bind(result.id).run();
    Statement insert(db, "INSERT INTO layers VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    std::int64_t position = 0;
    for (const LayerResult& layer : result.layers) {
        insert.bind(result.id)
            .bind(position++)
            .bind(layer.name)
            .bind(layer.rows)
            .bind(layer.cols)
            .bind(layer.rank)
            .bind(layer.weightError)
            .bind(layer.outputError)
            .bind(layer.sqnrDb)
            .bind(layer.bitsPerWeight)
            .bind(layer.bytes)
            .bind(layer.seconds)
            .bind(layer.errorNorm)
            .bindBlob(layer.singularValues)
            .bind(layer.trainRank)
            .bind(layer.trainedParameters)
            .bind(layer.moved0)
            .bind(layer.moved1)
            .bind(layer.moved2plus)
            .run();
    }
}

/// The columns layerFrom() reads.
const std::string kLayerColumns =
    "name, rows, cols, layers.rank, weight_error, output_error, sqnr_db, layers.bits_per_weight, "
    "layers.bytes, seconds, error_norm, train_rank, trained_parameters, moved_0, moved_1, "
    "moved_2plus";
constexpr int kLayerColumnCount = 16;

/// All but the singular values.
LayerResult layerFrom(const Statement& row)
{
    LayerResult layer;
    layer.name = row.text(0);
    layer.rows = row.integer(1);
    layer.cols = row.integer(2);
    layer.rank = row.integer(3);
    layer.weightError = row.real(4);
    layer.outputError = row.real(5);
    layer.sqnrDb = row.real(6);
    layer.bitsPerWeight = row.real(7);
    layer.bytes = row.integer(8);
    layer.seconds = row.real(9);
    layer.errorNorm = row.real(10);
    layer.trainRank = row.integer(11);
    layer.trainedParameters = row.integer(12);
    layer.moved0 = row.real(13);
    layer.moved1 = row.real(14);
    layer.moved2plus = row.real(15);
    return layer;
}

std::vector<LayerResult> loadLayers(Database& db, const std::string& id)
{
    Statement rows(db, "SELECT " + kLayerColumns +
                           ", singular_values "
                           "FROM layers WHERE run_id = ? ORDER BY position");
    rows.bind(id);
    std::vector<LayerResult> layers;
    while (rows.step()) {
        layers.push_back(layerFrom(rows));
        layers.back().singularValues = rows.blob(kLayerColumnCount);
    }
    return layers;
}

/// By run, of those with these ids that have layers.
std::map<std::string, TrainedTotals> totalsOf(Database& db, const std::vector<std::string>& ids)
{
    Statement rows(db, "SELECT run_id, max(train_rank), sum(trained_parameters) FROM layers "
                       "WHERE run_id IN (SELECT value FROM json_each(?)) GROUP BY run_id");
    rows.bind(Json(ids).dump());
    std::map<std::string, TrainedTotals> totals;
    while (rows.step()) {
        totals[rows.text(0)] = {rows.integer(1), rows.integer(2)};
    }
    return totals;
}

bool learns(const std::string& method)
{
    return trainsModel(method) || looksAt(method, "none", "reconstruction.iterations");
}

RunResult bodyOf(const Database& db, const std::string& id, const std::string& body)
{
    const std::string where = db.file().string() + ": run " + id;
    try {
        return runResultFromJson(parseJson(body, where));
    } catch (const Error& problem) {
        throw Error(
            ErrorCode::Store,
            message(where, " is damaged or was written by another version: ", problem.what()));
    }
}
} // namespace

struct RunStore::Private {
    Private(const std::filesystem::path& file, Database::Mode mode) : db(file, mode) {}

    /// The full id. @throws Error::NotFound; BadInput if several begin so
    std::string resolve(const std::string& idOrPrefix, bool hiddenToo)
    {
        const std::vector<std::string> found = candidates(idOrPrefix, hiddenToo);
        QW_REQUIRE(!found.empty(), ErrorCode::NotFound, "no run \"", idOrPrefix, "\" in ",
                   db.file().string());
        QW_REQUIRE(found.size() == 1, ErrorCode::BadInput, "several runs begin with \"", idOrPrefix,
                   "\": ", found[0], ", ", found[1], found.size() > 2 ? ", ..." : "",
                   "; give more characters");
        return found.front();
    }

    /// The run of exactly this id, else up to three that begin so.
    std::vector<std::string> candidates(const std::string& idOrPrefix, bool hiddenToo)
    {
        std::vector<std::string> found;
        if (idOrPrefix.empty()) {
            return found;
        }
        Statement rows(db, "SELECT id FROM runs WHERE substr(id, 1, length(?1)) = ?1 AND "
                           "(?2 OR NOT hidden) ORDER BY id <> ?1, id LIMIT 3");
        rows.bind(idOrPrefix).bind(std::int64_t{hiddenToo});
        while (rows.step()) {
            found.push_back(rows.text(0));
            if (found.back() == idOrPrefix) {
                break;
            }
        }
        return found;
    }

    RunResult load(const std::string& id)
    {
        Statement row(db, "SELECT body FROM runs WHERE id = ?");
        row.bind(id);
        QW_REQUIRE(row.step(), ErrorCode::NotFound, "no run \"", id, "\" in ", db.file().string());
        RunResult result = bodyOf(db, id, row.text(0));
        result.layers = loadLayers(db, id);
        return result;
    }

    Database db;
    bool writable = true;
};

RunStore::RunStore(const std::filesystem::path& file, StoreAccess access)
{
    std::error_code unreachable;
    const bool there = std::filesystem::exists(file, unreachable);
    QW_REQUIRE(!unreachable || access == StoreAccess::Create, ErrorCode::Store, file.string(),
               ": the run store cannot be reached: ", unreachable.message());
    QW_REQUIRE(there || access != StoreAccess::Existing, ErrorCode::NotFound, file.string(),
               ": there is no such run store");
    QW_REQUIRE(!std::filesystem::is_directory(file, unreachable), ErrorCode::Store, file.string(),
               ": this is a folder, and a run store is a file");
    if (there && !canBeWritten(file)) {
        d = std::make_unique<Private>(file, Database::Mode::ReadOnly);
        d->writable = false;
        requireMigrated(d->db, storeMigrations());
        return;
    }
    if (access == StoreAccess::Create) {
        makeParent(file);
    }
    const bool none = !there && access == StoreAccess::ExistingOrNone;
    d = std::make_unique<Private>(file, none ? Database::Mode::Empty : Database::Mode::Create);
    useWriteAheadLog(d->db);
    migrate(d->db, storeMigrations());
    // With a write-ahead log this loses nothing when the process dies, and no file when the
    // machine does.
    d->db.execute("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON");
}

RunStore::~RunStore() = default;
RunStore::RunStore(RunStore&& other) noexcept = default;

std::filesystem::path RunStore::defaultFile()
{
    return userDataFolder() / "runs.sqlite";
}

const std::filesystem::path& RunStore::file() const
{
    return d->db.file();
}

bool RunStore::writable() const
{
    return d->writable;
}

void RunStore::requireWritable() const
{
    QW_REQUIRE(d->writable, ErrorCode::Store, file().string(),
               ": the run store can only be read: its file or its folder cannot be written");
}

void RunStore::setPatience(std::chrono::milliseconds patience)
{
    d->db.setPatience(patience);
}

std::string RunStore::newRunId() const
{
    std::string id;
    do {
        id = makeRunId();
    } while (!d->candidates(id, true).empty());
    return id;
}

void RunStore::save(const RunResult& result)
{
    QW_REQUIRE(!result.id.empty(), ErrorCode::Internal, "a run without an id cannot be stored");
    RunResult body = result;
    body.layers.clear();
    Transaction transaction(d->db);
    Statement(d->db, "INSERT INTO runs (id, started, status, method, model, sweep, bits, rank, "
                     "bits_per_weight, bytes, perplexity, nll, kl_mean, body) "
                     "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO UPDATE SET "
                     "started=excluded.started, status=excluded.status, method=excluded.method, "
                     "model=excluded.model, sweep=excluded.sweep, bits=excluded.bits, "
                     "rank=excluded.rank, bits_per_weight=excluded.bits_per_weight, "
                     "bytes=excluded.bytes, perplexity=excluded.perplexity, nll=excluded.nll, "
                     "kl_mean=excluded.kl_mean, body=excluded.body")
        .bind(result.id)
        .bind(result.started)
        .bind(result.status)
        .bind(result.spec.method)
        .bind(result.spec.model)
        .bind(result.sweep)
        .bind(result.spec.weight.bits)
        .bind(result.rank)
        .bind(result.bitsPerWeight)
        .bind(result.bytes)
        .bind(result.score.perplexity)
        .bind(result.score.nll)
        .bind(result.comparison.klMean)
        .bind(toJson(body).dump(-1, ' ', false, Json::error_handler_t::replace))
        .run();
    saveLayers(d->db, result);
    transaction.commit();
}

void RunStore::setStatus(const std::string& id, const std::string& status,
                         const std::string& problem)
{
    Statement(d->db, "UPDATE runs SET status = ?2, body = json_set(body, '$.status', ?2, "
                     "'$.problem', ?3) WHERE id = ?1 AND status IN ('running', 'queued')")
        .bind(d->resolve(id, false))
        .bind(status)
        .bind(problem)
        .run();
}

std::optional<RunResult> RunStore::find(const std::string& idOrPrefix) const
{
    const Snapshot snapshot(d->db); // else it may be deleted between the questions
    if (d->candidates(idOrPrefix, false).empty()) {
        return std::nullopt;
    }
    return d->load(d->resolve(idOrPrefix, false));
}

RunResult RunStore::get(const std::string& idOrPrefix) const
{
    const Snapshot snapshot(d->db);
    return d->load(d->resolve(idOrPrefix, false));
}

std::vector<RunSummary> RunStore::list(const RunFilter& filter) const
{
    Statement rows(
        d->db,
        // Losses of every iteration are the bulk of a run that learned, and nothing to a list.
        "SELECT id, CASE WHEN json_valid(body) THEN json_remove(body, '$.blocks', '$.training') "
        "ELSE body END, notes, starred, "
        "(SELECT json_group_array(tag) FROM (SELECT tag FROM tags "
        "WHERE run_id = id ORDER BY tag)) FROM runs WHERE NOT hidden "
        "AND ?1 IN ('', method) AND ?2 IN ('', model) AND ?3 IN ('', status) "
        "AND (?4 = '' OR EXISTS (SELECT 1 FROM tags WHERE run_id = id AND tag = ?4)) "
        "AND ?5 IN ('', sweep) ORDER BY started DESC, id DESC LIMIT ?6");
    rows.bind(filter.method).bind(filter.model).bind(filter.status).bind(filter.tag);
    rows.bind(filter.sweep).bind(filter.limit > 0 ? filter.limit : std::int64_t{-1});
    std::vector<RunSummary> summaries;
    std::vector<std::string> learned;
    while (rows.step()) {
        RunSummary& summary = summaries.emplace_back();
        try {
            summary.result = bodyOf(d->db, rows.text(0), rows.text(1));
            if (learns(summary.result.spec.method)) {
                learned.push_back(summary.result.id);
            }
        } catch (const Error& problem) { // one damaged run does not hide the others
            summary.result.id = rows.text(0);
            summary.result.status = "unreadable";
            summary.result.problem = problem.what();
        }
        summary.notes = rows.text(2);
        summary.starred = rows.integer(3) != 0;
        summary.tags = parseJson(rows.text(4), "tags").get<std::vector<std::string>>();
    }
    const std::map<std::string, TrainedTotals> totals = totalsOf(d->db, learned);
    for (RunSummary& summary : summaries) {
        if (const auto found = totals.find(summary.result.id); found != totals.end()) {
            summary.result.listedTotals = found->second;
        }
    }
    return summaries;
}

std::vector<RunResult> RunStore::runsOfLayer(const std::string& model,
                                             const std::string& layer) const
{
    Statement rows(d->db, "SELECT " + kLayerColumns +
                              ", id, body FROM runs JOIN layers ON run_id = id "
                              "WHERE NOT hidden AND status = 'finished' AND model = ? AND name = ? "
                              "ORDER BY started DESC, id DESC");
    rows.bind(model).bind(layer);
    std::vector<RunResult> runs;
    while (rows.step()) {
        runs.push_back(
            bodyOf(d->db, rows.text(kLayerColumnCount), rows.text(kLayerColumnCount + 1)));
        runs.back().layers = {layerFrom(rows)};
    }
    return runs;
}

void RunStore::tag(const std::string& id, const std::string& tag)
{
    QW_REQUIRE(!tag.empty(), ErrorCode::BadInput, "a tag needs at least one character");
    Statement(d->db, "INSERT OR IGNORE INTO tags VALUES (?, ?)")
        .bind(d->resolve(id, false))
        .bind(tag)
        .run();
}

void RunStore::untag(const std::string& id, const std::string& tag)
{
    Statement(d->db, "DELETE FROM tags WHERE run_id = ? AND tag = ?")
        .bind(d->resolve(id, false))
        .bind(tag)
        .run();
}

void RunStore::setNotes(const std::string& id, const std::string& notes)
{
    Statement(d->db, "UPDATE runs SET notes = ? WHERE id = ?")
        .bind(notes)
        .bind(d->resolve(id, false))
        .run();
}

void RunStore::setStarred(const std::string& id, bool starred)
{
    Statement(d->db, "UPDATE runs SET starred = ? WHERE id = ?")
        .bind(std::int64_t{starred})
        .bind(d->resolve(id, false))
        .run();
}

void RunStore::remove(const std::string& id)
{
    Statement(d->db, "UPDATE runs SET hidden = 1 WHERE id = ?").bind(d->resolve(id, false)).run();
}

void RunStore::restore(const std::string& id)
{
    Statement(d->db, "UPDATE runs SET hidden = 0 WHERE id = ?").bind(d->resolve(id, true)).run();
}

std::vector<RunResult> RunStore::removed() const
{
    std::vector<RunResult> results;
    Statement rows(d->db, "SELECT id FROM runs WHERE hidden ORDER BY started DESC, id DESC");
    while (rows.step()) {
        results.push_back(d->load(rows.text(0)));
    }
    return results;
}

void RunStore::purge(const std::vector<std::string>& kept)
{
    // Layers and tags go with their run.
    Statement(d->db, "DELETE FROM runs WHERE hidden AND id NOT IN (SELECT value FROM json_each(?))")
        .bind(Json(kept).dump())
        .run();
    // Compacting needs the file for itself; where another program reads, the next purge does it.
    if (d->db.tryExecute("VACUUM")) {
        d->db.tryExecute("PRAGMA wal_checkpoint(TRUNCATE)");
    }
}

void RunStore::together(const std::function<void()>& changes)
{
    Transaction transaction(d->db);
    changes();
    transaction.commit();
}

void RunStore::saveSpectrum(const std::string& cacheKey, const std::vector<double>& values)
{
    Statement(d->db, "INSERT OR REPLACE INTO spectra VALUES (?, ?)")
        .bind(cacheKey)
        .bindBlob(values)
        .run();
}

std::optional<std::vector<double>> RunStore::findSpectrum(const std::string& cacheKey) const
{
    Statement row(d->db, "SELECT singular_values FROM spectra WHERE cache_key = ?");
    row.bind(cacheKey);
    return row.step() ? std::optional(row.blob(0)) : std::nullopt;
}

MergeReport RunStore::mergeFrom(const std::filesystem::path& other)
{
    return mergeStore(d->db, other);
}

} // namespace qw
