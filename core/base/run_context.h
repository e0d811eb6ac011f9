#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

namespace qw {

/// Where a run is: shown as a progress bar, posted to the window, never stored.
struct Progress {
    std::string phase;      ///< "calibrate", "quantize", "evaluate", ...
    std::string detail;     ///< for instance the layer or block worked on
    std::int64_t done = 0;  ///< within the phase
    std::int64_t total = 0; ///< 0: unknown
    double seconds = 0;     ///< since the phase began or went on: what secondsLeft is reckoned from
    double secondsLeft = -1;      ///< estimate for the phase, -1: unknown
    bool uninterruptible = false; ///< a step that finishes before a cancel is obeyed
    bool operator==(const Progress&) const = default;
};

/// The channel between a long computation and whoever started it: cancel, progress, log lines.
/// Copied freely; safe to use from the worker thread only, except for the stop token.
class RunContext
{
public:
    using Report = std::function<void(const Progress&)>;
    using Log = std::function<void(const std::string& line)>;

    RunContext() = default; ///< never cancelled, reports to nobody
    /// @param interval  least time between two reports; at done == total one comes in any case
    RunContext(std::stop_token stop, Report report, Log log = {},
               std::chrono::milliseconds interval = std::chrono::milliseconds(100));

    /// Starts a phase: resets the clock of the estimate and reports once.
    void beginPhase(const std::string& phase, std::int64_t total = 0) const;
    /// Within a phase, past work that an earlier start did: what the next checkpoint says is done
    /// took none of the time from here, by which the rest is estimated.
    void goOn() const;
    /// Call at least every 200 ms of work. Throws Cancelled if asked to stop; reports if the
    /// interval is over.
    void checkpoint(std::int64_t done, const std::string& detail = {}) const;
    /// As above without news: only obeys a cancel. From any thread.
    void checkpoint() const;
    /// Announces a step that cannot stop before it ends, such as one large factorization. The next
    /// checkpoint takes that back.
    void announceUninterruptible(const std::string& detail) const;
    void log(const std::string& line) const;
    bool cancelRequested() const { return m_stop.stop_requested(); }

private:
    struct Phase;
    std::stop_token m_stop;
    Report m_report;
    Log m_log;
    std::chrono::milliseconds m_interval{};
    std::shared_ptr<Phase> m_phase; // shared by copies: one clock per run, whoever reports
};

} // namespace qw
