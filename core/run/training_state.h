#pragma once

#include <filesystem>
#include <vector>

#include "methods/adam.h"
#include "report/training_result.h"
#include "run/trainable_model.h"

namespace qw {

/// All that training goes on from: what is learned, its moments, the steps so far. The order of the
/// data follows from their number. Written whole or not at all.
/// @throws Error::Io
void saveTraining(const std::filesystem::path& file, const TrainableModel& model, Adam& adam,
                  const std::vector<TrainingStep>& steps);

/// Puts it back into a model that has just begun. @return the steps done
/// @throws Error::BadFile naming the file and the tensor
std::vector<TrainingStep> restoreTraining(const std::filesystem::path& file,
                                          const TrainableModel& model, Adam& adam);

} // namespace qw
