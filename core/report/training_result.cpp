#include "report/training_result.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "report/typed_reader.h"

namespace qw {

namespace {
struct Column {
    const char* key;
    double TrainingStep::*value;
};
constexpr std::array kColumns = {
    Column{"losses", &TrainingStep::loss},
    Column{"rates", &TrainingStep::rate},
    Column{"gradient_norms", &TrainingStep::gradientNorm},
    Column{"tokens_per_second", &TrainingStep::tokensPerSecond},
    Column{"validation_perplexities", &TrainingStep::validationPerplexity},
};

bool same(double a, double b)
{
    return a == b || (std::isnan(a) && std::isnan(b));
}
} // namespace

bool TrainingStep::operator==(const TrainingStep& o) const
{
    return std::all_of(kColumns.begin(), kColumns.end(), [&](const Column& column) {
        return same(this->*column.value, o.*column.value);
    });
}

bool TrainingResult::operator==(const TrainingResult& o) const
{
    return same(lr, o.lr) && same(lrScale, o.lrScale) && same(weightDecay, o.weightDecay) &&
           warmup == o.warmup && rank == o.rank && trainedParameters == o.trainedParameters &&
           frozenBytes == o.frozenBytes && peakBytesAboveModel == o.peakBytesAboveModel &&
           same(seconds, o.seconds) && steps == o.steps;
}

Json toJson(const TrainingResult& training)
{
    Json json = {{"lr", finiteOrNull(training.lr)},
                 {"lr_scale", finiteOrNull(training.lrScale)},
                 {"weight_decay", finiteOrNull(training.weightDecay)},
                 {"warmup", training.warmup},
                 {"rank", training.rank},
                 {"trained_parameters", training.trainedParameters},
                 {"frozen_bytes", training.frozenBytes},
                 {"peak_bytes_above_model", training.peakBytesAboveModel},
                 {"seconds", finiteOrNull(training.seconds)}};
    for (const Column& column : kColumns) {
        Json values = Json::array();
        for (const TrainingStep& step : training.steps) {
            values.push_back(finiteOrNull(step.*column.value));
        }
        json[column.key] = std::move(values);
    }
    return json;
}

TrainingResult trainingResultFromJson(const Json& json)
{
    TrainingResult training;
    TypedReader in(json, "training");
    in.read("lr", training.lr)
        .read("lr_scale", training.lrScale)
        .read("weight_decay", training.weightDecay)
        .read("warmup", training.warmup)
        .read("rank", training.rank)
        .read("trained_parameters", training.trainedParameters)
        .read("frozen_bytes", training.frozenBytes)
        .read("peak_bytes_above_model", training.peakBytesAboveModel)
        .read("seconds", training.seconds);
    for (const Column& column : kColumns) {
        const Json* values = in.find(column.key);
        if (values == nullptr) {
            continue;
        }
        training.steps.resize(std::max(training.steps.size(), values->size()));
        for (std::size_t i = 0; i < values->size(); ++i) {
            if (!readExactly((*values)[i], training.steps[i].*column.value)) {
                in.wrongType(column.key, *values);
            }
        }
    }
    in.finish();
    return training;
}

} // namespace qw
