#include "base/run_context.h"

#include <chrono>

#include "base/error.h"

namespace qw {

struct RunContext::Phase {
    using Clock = std::chrono::steady_clock;
    std::string name;
    std::int64_t total = 0;
    Clock::time_point began = Clock::now();
    Clock::time_point lastReport;
};

RunContext::RunContext(std::stop_token stop, Report report, Log log)
    : m_stop(std::move(stop)), m_report(std::move(report)), m_log(std::move(log)),
      m_phase(std::make_shared<Phase>())
{
}

void RunContext::beginPhase(const std::string& phase, std::int64_t total) const
{
    if (m_phase) {
        m_phase->name = phase;
        m_phase->total = total;
        m_phase->began = Phase::Clock::now();
        m_phase->lastReport = {};
    }
    checkpoint(0);
}

void RunContext::checkpoint(std::int64_t done, const std::string& detail) const
{
    checkpoint();
    if (!m_report || !m_phase) {
        return;
    }
    const auto now = Phase::Clock::now();
    const bool finished = m_phase->total > 0 && done >= m_phase->total;
    if (!finished && now - m_phase->lastReport < std::chrono::milliseconds(100)) {
        return;
    }
    m_phase->lastReport = now;
    Progress progress;
    progress.phase = m_phase->name;
    progress.detail = detail;
    progress.done = done;
    progress.total = m_phase->total;
    progress.seconds = std::chrono::duration<double>(now - m_phase->began).count();
    if (done > 0 && progress.total > 0) {
        progress.secondsLeft = progress.seconds * static_cast<double>(progress.total - done) /
                               static_cast<double>(done);
    }
    m_report(progress);
}

void RunContext::checkpoint() const
{
    if (m_stop.stop_requested()) {
        throw Cancelled();
    }
}

void RunContext::announceUninterruptible(const std::string& detail) const
{
    checkpoint();
    if (m_report && m_phase) {
        Progress progress;
        progress.phase = m_phase->name;
        progress.detail = detail;
        progress.total = m_phase->total;
        progress.uninterruptible = true;
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
