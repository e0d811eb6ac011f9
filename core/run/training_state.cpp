#include "run/training_state.h"

#include <map>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "base/error.h"
#include "model/safetensors.h"

namespace qw {

namespace {
constexpr const char* kSteps = "steps";
constexpr std::int64_t kColumns = 5;

/// Everything but the steps, under the names it has in the file; tensors are shared.
std::map<std::string, at::Tensor> stateOf(const TrainableModel& model, Adam& adam)
{
    std::map<std::string, at::Tensor> tensors;
    for (const Adam::Entry& entry : adam.entries()) {
        tensors[entry.name] = entry.value.detach();
        tensors[entry.name + ".first"] = entry.first;
        tensors[entry.name + ".second"] = entry.second;
    }
    for (const TrainedWeight* weight : model.weights()) {
        for (const auto& [key, tensor] : weight->state()) {
            tensors[weight->name() + "." + key] = tensor;
        }
    }
    return tensors;
}
} // namespace

void saveTraining(const std::filesystem::path& file, const TrainableModel& model, Adam& adam,
                  const std::vector<TrainingStep>& steps)
{
    std::map<std::string, at::Tensor> tensors = stateOf(model, adam);
    for (auto& [name, tensor] : tensors) {
        tensor = tensor.cpu();
    }
    at::Tensor table = at::empty({static_cast<std::int64_t>(steps.size()), kColumns}, at::kDouble);
    auto* to = table.data_ptr<double>();
    for (const TrainingStep& step : steps) {
        for (const double value : {step.loss, step.rate, step.gradientNorm, step.tokensPerSecond,
                                   step.validationPerplexity}) {
            *to++ = value;
        }
    }
    tensors[kSteps] = table;
    writeSafetensors(file, tensors);
}

std::vector<TrainingStep> restoreTraining(const std::filesystem::path& file,
                                          const TrainableModel& model, Adam& adam)
{
    const at::NoGradGuard noGrad;
    const SafetensorsFile stored(file);
    for (const auto& [name, to] : stateOf(model, adam)) {
        const at::Tensor from = stored.borrow(name);
        QW_REQUIRE(from.sizes() == to.sizes() && from.scalar_type() == to.scalar_type(),
                   ErrorCode::BadFile, file.string(), ": \"", name, "\" has shape ", from.sizes(),
                   ", expected ", to.sizes());
        to.copy_(from);
    }
    const at::Tensor table = stored.borrow(kSteps).contiguous();
    QW_REQUIRE(table.dim() == 2 && table.size(1) == kColumns && table.scalar_type() == at::kDouble,
               ErrorCode::BadFile, file.string(), ": its steps have shape ", table.sizes());
    std::vector<TrainingStep> steps;
    const auto* row = table.data_ptr<double>();
    for (std::int64_t i = 0; i < table.size(0); ++i, row += kColumns) {
        steps.push_back({row[0], row[1], row[2], row[3], row[4]});
    }
    adam.continueFrom(table.size(0));
    return steps;
}

} // namespace qw
