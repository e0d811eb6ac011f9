#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "report/run_result.h"
#include "report/run_summary.h"
#include "store/merge_store.h"

namespace qw {

struct RunFilter {
    std::string method; ///< empty: any
    std::string model;  ///< empty: any
    std::string status;
    std::string tag;
    std::string sweep;
    std::int64_t limit = 0; ///< 0: all
};

/// How a store is opened. One whose file or folder cannot be written is only read.
enum class StoreAccess {
    Create,         ///< made if it is not there
    Existing,       ///< must be there
    ExistingOrNone, ///< as Existing; one that is not there has no runs and is not made
};

/// All runs ever made, in one SQLite file (WAL, several processes at once). An object belongs to
/// the thread that made it. Survives kill -9 at any moment: every change is one transaction.
class RunStore
{
public:
    /// Upgrades an older file after copying it beside; refuses a newer one.
    /// @throws Error naming the file: NotFound if it has to be there; Store or BadFile if it cannot
    /// be a store; Io if another program holds it or the disk is full
    explicit RunStore(const std::filesystem::path& file, StoreAccess access = StoreAccess::Create);
    ~RunStore();
    RunStore(RunStore&& other) noexcept;
    RunStore(const RunStore&) = delete;
    RunStore& operator=(const RunStore&) = delete;

    static std::filesystem::path defaultFile(); ///< by XDG
    const std::filesystem::path& file() const;
    bool writable() const; ///< else it is only read: whoever changes it gets Error::Store
    /// For whoever is about to work long for what is to be stored.
    /// @throws Error::Store with the reason, if it can only be read
    void requireWritable() const;
    /// How long a change waits for another program that holds the file, before it gets Error::Io.
    void setPatience(std::chrono::milliseconds patience);

    /// An id for a new run, which is not stored yet: short, unique across stores, sorted by time.
    std::string newRunId() const;
    void save(const RunResult& result); ///< inserts or replaces, layers included
    /// Closes a run that says "running" or "queued"; one that says anything else stays as it is.
    void setStatus(const std::string& id, const std::string& status, const std::string& problem);
    std::optional<RunResult> find(const std::string& idOrPrefix) const; ///< @throws if ambiguous
    RunResult get(const std::string& idOrPrefix) const;                 ///< @throws Error::NotFound
    std::vector<RunSummary> list(const RunFilter& filter = {}) const;   ///< newest first
    /// Finished runs of the model that have the layer, newest first, each with that layer alone,
    /// its singular values left out.
    std::vector<RunResult> runsOfLayer(const std::string& model, const std::string& layer) const;

    void tag(const std::string& id, const std::string& tag);
    void untag(const std::string& id, const std::string& tag);
    void setNotes(const std::string& id, const std::string& notes);
    void setStarred(const std::string& id, bool starred);
    /// Hides the run; purge() removes hidden ones for good.
    void remove(const std::string& id);
    void restore(const std::string& id);
    std::vector<RunResult> removed() const;
    /// Drops hidden runs but those @p kept (ids) and compacts the file.
    void purge(const std::vector<std::string>& kept = {});

    /// Makes @p changes (of tags, notes, stars, status, hiding) as one: all or nothing.
    /// @throws what they throw
    void together(const std::function<void()>& changes);

    /// Full singular-value spectra, cached by layer and kind ("W", "E", "SE", "RE").
    void saveSpectrum(const std::string& cacheKey, const std::vector<double>& values);
    std::optional<std::vector<double>> findSpectrum(const std::string& cacheKey) const;

    /// Copies what is missing here from another store. @throws Error::Store, NotFound
    MergeReport mergeFrom(const std::filesystem::path& other);

private:
    struct Private;
    std::unique_ptr<Private> d;
};

} // namespace qw
