#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "store/run_store.h"
#include "support/base_results.h"

namespace qw::test {

/// Finished runs of the bundled model as a sweep leaves them, made up: errors fall with the rank.
/// Ids are rtn0, lqer8, lqer16, lqer32, l2qer8, ... in order of time.
inline std::vector<RunResult> sweepResults(int blocks = 4)
{
    std::vector<RunResult> runs;
    const auto add = [&](const std::string& method, std::int64_t rank, double loss) {
        RunResult run = sampleResult(method + std::to_string(rank));
        run.problem.clear();
        run.spec.method = method;
        run.spec.overrides.clear();
        run.spec.weight.groupSize = 64;
        run.spec.lowRank.rank = rank;
        run.spec.evaluation.text = "demo:evaluation";
        run.rank = rank;
        run.started = "2026-05-06T07:0" + std::to_string(runs.size()) + ":09Z";
        run.bitsPerWeight = 3.25 + 0.02 * static_cast<double>(rank);
        run.bytes = static_cast<std::int64_t>(2e6 * run.bitsPerWeight / 3.25);
        run.comparison.deltaNll = loss;
        run.comparison.klMean = loss * 0.9;
        run.comparison.top1Agreement = 1 - loss;
        run.score.nll = run.comparison.fpNll + loss;
        run.score.perplexity = std::exp(run.score.nll);
        run.artifactFolder.clear();
        run.layers.clear();
        for (int block = 0; block < blocks; ++block) {
            for (const char* kind :
                 {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                  "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}) {
                LayerResult layer;
                const auto place = static_cast<double>(run.layers.size());
                layer.name = "model.layers." + std::to_string(block) + "." + kind;
                layer.rows = layer.cols = 256;
                layer.rank = rank;
                layer.outputError = loss * (1 + 0.5 * std::sin(place));
                layer.weightError = 2 * layer.outputError;
                layer.sqnrDb = -20 * std::log10(layer.outputError);
                layer.bitsPerWeight = run.bitsPerWeight;
                layer.bytes = 26000;
                layer.seconds = 0.1;
                layer.errorNorm = 3;
                for (std::int64_t i = 0; i < rank; ++i) {
                    layer.singularValues.push_back(2 / (1 + 0.2 * static_cast<double>(i)));
                }
                run.layers.push_back(layer);
            }
        }
        runs.push_back(run);
    };
    add("rtn", 0, 0.12);
    for (const std::int64_t rank : {8, 16, 32}) {
        add("lqer", rank, 0.1 - 0.001 * static_cast<double>(rank));
        add("l2qer", rank, 0.08 - 0.0012 * static_cast<double>(rank));
    }
    return runs;
}

/// The above and an older run of another model.
inline void fillStore(const std::string& file)
{
    RunStore store(file);
    for (const RunResult& run : sweepResults()) {
        store.save(run);
    }
    RunResult other = sweepResults().front();
    other.id = "other0";
    other.started = "2026-05-05T07:00:09Z";
    other.spec.model = "/another/model";
    other.provenance.modelHash = "another";
    store.save(other);
}

} // namespace qw::test
