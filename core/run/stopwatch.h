#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "report/run_result.h"

namespace qw {

/// Seconds by phase, for a run's result. A phase that comes again adds to its time.
class Stopwatch
{
public:
    void begin(const std::string& phase);
    void end();
    const std::vector<PhaseTime>& phases() const { return m_phases; }
    double total() const { return since(m_start); }

private:
    using Clock = std::chrono::steady_clock;
    static double since(Clock::time_point then)
    {
        return std::chrono::duration<double>(Clock::now() - then).count();
    }
    Clock::time_point m_start = Clock::now();
    Clock::time_point m_began = m_start;
    std::string m_phase;
    std::vector<PhaseTime> m_phases;
};

} // namespace qw
