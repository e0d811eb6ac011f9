#include "base/run_context.h"

#include <atomic>

#include "base/error.h"

namespace qw {

namespace {
constexpr std::int64_t kNextDone = -1; // the estimate begins with what is done at the next one
} // namespace

struct RunContext::Phase {
    using Clock = std::chrono::steady_clock;
    std::string name;
    std::int64_t done = 0;
    std::int64_t total = 0;
    std::int64_t from = 0; // done when the clock of the estimate began
    Clock::time_point began = Clock::now();
    Clock::time_point lastReport;
    std::atomic<bool> uninterruptible = false; // a step was announced and no checkpoint came since

    Progress progress(const std::string& detail) const
    {
        Progress now;
        now.phase = name;
        now.detail = detail;
        now.done = done;
        now.total = total;
        now.seconds = std::chrono::duration<double>(Clock::now() - began).count();
        if (done > from && from != kNextDone && total > 0) {
            now.secondsLeft =
                now.seconds * static_cast<double>(total - done) / static_cast<double>(done - from);
        }
        return now;
    }
};

RunContext::RunContext(std::stop_token stop, Report report, Log log,
                       std::chrono::milliseconds interval)
    : m_stop(std::move(stop)), m_report(std::move(report)), m_log(std::move(log)),
      m_interval(interval), m_phase(std::make_shared<Phase>())
{
}

void RunContext::beginPhase(const std::string& phase, std::int64_t total) const
{
    if (m_phase) {
        m_phase->from = 0;
        m_phase->name = phase;
        m_phase->done = 0;
        m_phase->total = total;
        m_phase->began = Phase::Clock::now();
        m_phase->lastReport = {};
    }
    checkpoint(0);
}

void RunContext::goOn() const
{
    if (m_phase) {
        m_phase->from = kNextDone;
    }
}

void RunContext::checkpoint(std::int64_t done, const std::string& detail) const
{
    checkpoint();
    if (!m_report || !m_phase) {
        return;
    }
    m_phase->done = done;
    const auto now = Phase::Clock::now();
    if (m_phase->from == kNextDone) {
        m_phase->from = done;
        m_phase->began = now;
    }
    const bool finished = m_phase->total > 0 && done >= m_phase->total;
    if (!finished && now - m_phase->lastReport < m_interval) {
        return;
    }
    m_phase->lastReport = now;
    m_report(m_phase->progress(detail));
}

void RunContext::checkpoint() const
{
    if (m_stop.stop_requested()) {
        throw Cancelled();
    }
    // Read first: many threads may ask here.
    if (m_report && m_phase && m_phase->uninterruptible.load() &&
        m_phase->uninterruptible.exchange(false)) {
        m_report(m_phase->progress({}));
    }
}

void RunContext::announceUninterruptible(const std::string& detail) const
{
    checkpoint();
    if (m_report && m_phase) {
        Progress progress = m_phase->progress(detail);
        progress.uninterruptible = true;
        m_phase->uninterruptible = true;
        m_report(progress);
    }
}

void RunContext::log(const std::string& line) const
{
    if (m_log) {
        m_log(line);
    }
}

} // namespace qw
