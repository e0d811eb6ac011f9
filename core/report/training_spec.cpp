#include "report/training_spec.h"

#include "report/typed_reader.h"

namespace qw {

bool trainsModel(const std::string& method)
{
    return method == "lr-qat" || method == "lsq" || method == "peqa";
}

void readTraining(const Json& json, TrainingSpec& training)
{
    TypedReader(json, "training")
        .read("text", training.text)
        .read("steps", training.steps)
        .read("batch_size", training.batchSize)
        .read("grad_accum", training.gradAccum)
        .read("seqlen", training.seqlen)
        .read("lr", training.lr)
        .read("lr_scale", training.lrScale)
        .read("warmup", training.warmup)
        .read("weight_decay", training.weightDecay)
        .read("clip", training.clip)
        .read("rank", training.rank)
        .read("alpha", training.alpha)
        .read("phi", training.phi)
        .read("init", training.init)
        .read("compute", training.compute)
        .read("recompute", training.recompute)
        .read("save_every", training.saveEvery)
        .finish();
}

Json toJson(const TrainingSpec& training)
{
    return {{"text", training.text},
            {"steps", training.steps},
            {"batch_size", training.batchSize},
            {"grad_accum", training.gradAccum},
            {"seqlen", training.seqlen},
            {"lr", finiteOrNull(training.lr)},
            {"lr_scale", finiteOrNull(training.lrScale)},
            {"warmup", training.warmup},
            {"weight_decay", finiteOrNull(training.weightDecay)},
            {"clip", finiteOrNull(training.clip)},
            {"rank", training.rank},
            {"alpha", finiteOrNull(training.alpha)},
            {"phi", training.phi},
            {"init", training.init},
            {"compute", training.compute},
            {"recompute", training.recompute},
            {"save_every", training.saveEvery}};
}

} // namespace qw
