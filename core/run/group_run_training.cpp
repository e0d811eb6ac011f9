#include <algorithm>

#include "run/group_run.h"
#include "run/model_training.h"

namespace qw {

/// Trains the model if that is what the method does, and writes at once what the training was: what
/// it learned goes into the blocks' files, from whatever state is kept until all of them are there.
/// @return null for other methods, and if all blocks are there
std::unique_ptr<LayerMethod> GroupRun::trainLayers(const QuantMethod& method, bool somethingMissing)
{
    TrainingTask task;
    task.method = dynamic_cast<const ModelMethod*>(&method);
    if (task.method == nullptr) {
        return nullptr;
    }
    if (!somethingMissing) {
        m_training = m_artifact->readModel().training;
        return nullptr;
    }
    m_watch.begin("train");
    m_run.beginPhase("train", common().training.steps);
    task.group = &m_group;
    task.decoder = &*m_decoder;
    task.tokens = &m_texts.training->tokens;
    task.calibration = m_texts.calibration ? &*m_texts.calibration : nullptr;
    task.place = {m_options.hiddenBudgetBytes, m_artifact->folder()};
    task.stateFile = m_artifact->trainingFile();
    task.stepDone = m_options.stepDone;
    beginMemoryPart();
    TrainedLayers trained = trainModel(task, m_run);
    m_peakRss = std::max(m_peakRss, trained.startPeakRss);
    m_training = std::move(trained.result);
    writeModel();
    return std::move(trained.layers);
}

} // namespace qw
