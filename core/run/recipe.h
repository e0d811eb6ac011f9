#pragma once

#include <string>
#include <vector>

#include "run/run_texts.h"

namespace qw {

/// What of a run falls short of its method's published recipe: a sentence for the data, one for the
/// iterations or steps; none where it does not.
/// Sources: LRQ's, LR-QAT's, LQER's, QERA's, AWQ's and SmoothQuant's released scripts; GPTQ, 4.
/// @param texts  as the run reads them
std::vector<std::string> recipeDifferences(const RunSpec& spec, const RunTexts& texts);

} // namespace qw
