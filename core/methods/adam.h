#pragma once

#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace qw {

struct AdamOptions {
    double beta1 = 0.9;
    double beta2 = 0.999;
    double eps = 1e-8;
};

/// Adam, in place, one pass over each tensor on the CPU; with weight decay it is AdamW.
/// Sources: arXiv:1412.6980, Algorithm 1; arXiv:1711.05101, Algorithm 2, the decay times the rate
/// as in PyTorch.
class Adam
{
public:
    struct Entry {
        std::string name;
        at::Tensor value; ///< float32, dense, requires a gradient
        at::Tensor first, second;
        double rate = 1;  ///< times that of the step
        double decay = 0; ///< of the value, a step's share of it being rate * decay
    };
    explicit Adam(std::vector<std::pair<std::string, at::Tensor>> parameters,
                  AdamOptions options = {});
    /// With the gradients that the values hold, which are dropped.
    void step(double rate);

    std::vector<Entry>& entries() { return m_entries; }
    std::int64_t steps() const { return m_steps; }
    void continueFrom(std::int64_t steps) { m_steps = steps; }

private:
    AdamOptions m_options;
    std::vector<Entry> m_entries;
    std::int64_t m_steps = 0;
};

/// Cosine annealing from @p start to 0 over @p total steps, of which @p done are done.
double cosineRate(double start, std::int64_t done, std::int64_t total);

} // namespace qw
