#pragma once

#include <optional>
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
    std::string rank;                   ///< of the correction, or of a learned divisor
    std::optional<std::int64_t> kvBits; ///< of an integer KV cache
    bool sym = false;
    bool asym = false;
    std::vector<std::string> overrides;
    std::vector<std::string> skips;

    /// @param withGrid  leave out what a sweep varies (method, bits, rank, group size, seed)
    void addTo(CLI::App& command, bool withGrid);
    /// The finished spec, checked as far as that goes without the model.
    /// @throws Error::BadInput
    RunSpec result(const std::string& model, const std::string& device, std::int64_t threads) const;

private:
    void takeRank(RunSpec& made) const;
};

/// --text, --seqlen, --windows, --protocol, --compute.
void addEvaluationFlags(CLI::App& command, EvaluationSpec& evaluation);

/// What the user typed is relative to this folder; a stored run is repeated from anywhere.
void makePathsAbsolute(RunSpec& spec);

/// 'REGEX:bits=8,rank=0'. @throws Error::BadInput naming the unknown key
LayerOverride parseOverride(const std::string& text);

} // namespace qw::cli
