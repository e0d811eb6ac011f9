#include "run/stopwatch.h"

#include <algorithm>

namespace qw {

void Stopwatch::begin(const std::string& phase)
{
    end();
    m_phase = phase;
    m_began = Clock::now();
}

void Stopwatch::end()
{
    if (m_phase.empty()) {
        return;
    }
    const auto found = std::find_if(m_phases.begin(), m_phases.end(),
                                    [&](const PhaseTime& p) { return p.phase == m_phase; });
    if (found == m_phases.end()) {
        m_phases.push_back({m_phase, since(m_began)});
    } else {
        found->seconds += since(m_began);
    }
    m_phase.clear();
}

} // namespace qw
