#pragma once

#include <exception>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/files.h"
#include "engine.h"
#include "model/decoder.h"
#include "model/tokenizer.h"
#include "run/artifact.h"
#include "run/block_calibration.h"
#include "run/block_quantizer.h"
#include "run/run_texts.h"
#include "run/shared_work.h"
#include "run/stopwatch.h"

namespace qw {

/// The tensor library appends a backtrace to its sentence; the first line is for people.
std::string firstLine(const std::exception& problem);

/// The runs of one group, from texts to stored results; the first run's id names the folder.
class GroupRun
{
public:
    /// @param runs  id, spec and sweep filled; @param inStore  the store knows them already;
    /// @param resume  continue from the blocks in the folder; @param shared  with other groups, or
    /// null
    GroupRun(std::vector<RunResult> runs, bool inStore, bool resume, RunStore& store,
             const RunOptions& options, const RunContext& run, SharedWork* shared = nullptr);
    /// @throws Error, Cancelled; the store then says failed or cancelled. A run that cannot be
    /// resumed stays in the store as it was.
    std::vector<RunResult> execute();

private:
    void prepare();
    std::filesystem::path artifactPlace() const;
    void readTexts();
    void warnOfOverlap();
    void noteRoundedStates();
    bool roundsStates() const;
    void describeRuns();
    void openFolder();
    void quantizeBlocks();
    void tell(const BlockArtifact& block, const std::function<void(const LayerResult&)>& to) const;
    std::unique_ptr<LayerMethod> trainLayers(const QuantMethod& method, bool somethingMissing);
    void writeModel();
    double trainedBefore() const;
    void collect();
    void evaluate();
    void finish();
    void beginMemoryPart();
    BlockArtifact readBlock(std::int64_t index) const;
    void storeAll();
    void closeAs(const std::string& status, const std::string& problem);
    const RunSpec& common() const { return m_runs.front().spec; } ///< all but the rank
    std::string fingerprint() const;

    std::vector<RunResult> m_runs;
    bool m_inStore;
    bool m_resume;
    RunStore& m_store;
    const RunOptions& m_options;
    const RunContext& m_run;
    SharedWork* m_shared;
    RunGroup m_group;
    std::optional<Checkpoint> m_checkpoint;
    std::optional<Tokenizer> m_tokenizer;
    std::optional<Decoder> m_decoder;
    RunTexts m_texts;
    std::optional<TrainingResult> m_training; ///< of a method that trains the model
    std::optional<ArtifactFolder> m_artifact;
    std::optional<FileLock> m_lock;
    std::vector<std::string> m_said; ///< substitutions and warnings that concern all runs
    std::vector<double> m_secondsBefore;
    std::set<std::int64_t> m_keptBlocks; ///< finished by an earlier start
    std::int64_t m_peakRss = 0;          ///< of the parts that are over
    Stopwatch m_watch;
};

} // namespace qw
