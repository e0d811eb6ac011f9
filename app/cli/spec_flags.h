#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "report/run_spec.h"

namespace CLI {
class App;
}

namespace qw::cli {

/// A sentence about a spec, with the flags of this command for its settings, as they were typed.
std::string inFlagsOf(const CLI::App& command, const std::string& sentence);

/// The settings of a run as command line flags; the names are fixed, others script against them.
struct SpecFlags {
    RunSpec spec;
    std::string groupSize;
    std::string rank;                   ///< of the correction, a learned divisor or a trained pair
    std::optional<std::int64_t> kvBits; ///< of an integer KV cache
    // Settings of several sections, or whose default is the method's.
    std::optional<double> lr;
    std::optional<std::int64_t> batchSize;
    std::optional<std::string> trainCompute;
    std::optional<std::string> range;
    std::optional<double> rangeNorm;
    bool sym = false;
    bool asym = false;
    std::vector<std::string> overrides;
    std::vector<std::string> skips;

    /// @param withGrid  leave out what a sweep varies (method, bits, rank, group size, seed)
    void addTo(CLI::App& command, bool withGrid);
    /// The finished spec, checked as far as that goes without the model.
    /// @param methods  that it is for, if not spec.method alone
    /// @throws Error::BadInput, also for a flag that none of the methods looks at
    RunSpec result(const std::string& model, const std::string& device, std::int64_t threads,
                   std::vector<std::string> methods = {}) const;
    /// The range as it was typed, where it was.
    void takeRange(RunSpec& made) const;
    /// As validate(), in a sentence that names flags. @throws Error::BadInput
    void check(const RunSpec& made) const;
    /// Does @p work with specs made of these flags; what it refuses of them names the flags, too.
    template <class Work>
    auto naming(const Work& work) const
    {
        try {
            return work();
        } catch (const Error& problem) {
            if (problem.code() != ErrorCode::BadInput) {
                throw;
            }
            throw Error(problem.code(), inFlagsOf(*m_command, problem.what()));
        }
    }

private:
    void takeRank(RunSpec& made) const;
    void takeShared(RunSpec& made, bool trains, bool othersToo) const;
    void refuseForeign(const std::vector<std::string>& methods) const;
    void refuseIdleActivations(const ActivationSpec& activation) const;

    const CLI::App* m_command = nullptr;
};

/// --text, --seqlen, --windows, --protocol, --compute.
void addEvaluationFlags(CLI::App& command, EvaluationSpec& evaluation);

/// As validate(), in a sentence that names the flags of this command. @throws Error::BadInput
void checkFlags(const CLI::App& command, const RunSpec& spec);

/// What the user typed is relative to this folder; a stored run is repeated from anywhere.
void makePathsAbsolute(RunSpec& spec);

/// A number, "channel" or "tensor" as it was typed after @p flag. @throws Error::BadInput
std::int64_t groupSizeOf(const std::string& flag, const std::string& text);

/// 'REGEX:bits=8,rank=0'. @throws Error::BadInput naming the unknown key
LayerOverride parseOverride(const std::string& text);

} // namespace qw::cli
