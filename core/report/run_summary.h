#pragma once

#include <string>
#include <vector>

#include "report/run_result.h"

namespace qw {

/// A stored run and what its user wrote to it, for lists.
struct RunSummary {
    RunResult result; ///< without layers and blocks
    std::vector<std::string> tags;
    std::string notes;
    bool starred = false;
    std::string name; ///< tells it from the others of a list; empty: nobody made one
    bool operator==(const RunSummary&) const = default;
};

} // namespace qw
