#pragma once

#include <cstdint>

namespace qw {

/// Tokens of a window where a spec names none and the model goes that far.
constexpr std::int64_t kUsualLength = 2048;    ///< calibration and evaluation, as GPTQ's code
constexpr std::int64_t kLlamaCppLength = 512;  ///< evaluation by protocol llama.cpp
constexpr std::int64_t kTrainingLength = 1024; ///< LR-QAT, README

} // namespace qw
