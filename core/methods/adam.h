#pragma once

#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace qw {

/// Adam without weight decay, in place, one pass over each tensor on the CPU.
/// Source: arXiv:1412.6980, Algorithm 1.
class Adam
{
public:
    struct Entry {
        std::string name;
        at::Tensor value; ///< float32, dense, requires a gradient
        at::Tensor first, second;
    };
    explicit Adam(std::vector<std::pair<std::string, at::Tensor>> parameters);
    /// With the gradients that the values hold, which are dropped.
    void step(double rate);

    std::vector<Entry>& entries() { return m_entries; }
    std::int64_t steps() const { return m_steps; }
    void continueFrom(std::int64_t steps) { m_steps = steps; }

private:
    std::vector<Entry> m_entries;
    std::int64_t m_steps = 0;
};

/// Cosine annealing from @p start to 0 over @p total steps, of which @p done are done.
double cosineRate(double start, std::int64_t done, std::int64_t total);

} // namespace qw
