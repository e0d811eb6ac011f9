#pragma once

#include <string>
#include <vector>

#include "report/run_spec.h"

namespace CLI {
class App;
}

namespace qw::cli {

/// The settings of a run as command line flags; the names are fixed, others script against them.
struct SpecFlags {
    RunSpec spec;
    std::string groupSize;
    bool sym = false;
    bool asym = false;
    std::int64_t activationBits = 8;
    std::vector<std::string> overrides;
    std::vector<std::string> skips;

    /// @param withGrid  leave out what a sweep varies (method, bits, rank, group size, seed)
    void addTo(CLI::App& command, bool withGrid);
    /// The finished spec. @throws Error::BadInput
    RunSpec result(const std::string& model, const std::string& device, std::int64_t threads) const;
};

/// 'REGEX:bits=8,rank=0'. @throws Error::BadInput naming the unknown key
LayerOverride parseOverride(const std::string& text);

} // namespace qw::cli
