#pragma once

#include <string>

#include "report/run_result.h"

namespace qw::test {

/// A finished run whose every field differs from its default.
inline RunResult sampleResult(const std::string& id)
{
    RunResult run;
    run.id = id;
    run.spec.model = "demo";
    run.spec.method = "l2qer";
    run.spec.weight.bits = 3;
    run.spec.overrides = {{"q_proj", 8, kPerChannel, {}, {}}};
    run.provenance = {"0.1", "1.13", "mh", "th", "ch", "eh", 2, "cpu", "a processor", 16, "rh"};
    run.status = "finished";
    run.problem = "none";
    run.started = "2026-05-06T07:08:09Z";
    run.rank = 8;
    run.bitsPerWeight = 3.1;
    run.bytes = 12345;
    run.bytesOriginal = 54321;
    run.score = {"gptq", "text", "tokenizer", 512,   7,   3577,
                 "f32",  2.5,    0.01,        12.18, 1.5, {2.4, 2.6}};
    run.comparison = {2.4, 11.02, 0.1, 0.002, 0.03, 0.02, 0.08, 0.3, 0.93};
    run.seconds = 4.25;
    run.peakRssBytes = 1 << 20;
    run.phases = {{"calibrate", 1.25}, {"evaluate", 3}};
    run.estimate = {12345, 3.1, 1 << 21, 5};
    run.substitutions = {"group_size 64 instead of 128"};
    run.artifactHash = "hash";
    run.artifactFolder = "folder";
    run.sweep = "sweep1";
    run.exports = {{"gptq", "out", "2026-05-07T08:09:10Z", 999, true, 0.25, "verified"}};
    run.layers = {{"a.q_proj",
                   4,
                   6,
                   2,
                   0.1,
                   1.0 / 3,
                   9.5,
                   3.5,
                   99,
                   0.5,
                   {3.5, 1e-17},
                   4.5,
                   7,
                   910,
                   0.5,
                   0.375,
                   0.125},
                  {"a.k_proj", 2, 6, 2, kMissing, 0.2, 14, 3.5, 98, 0.25, {}, kMissing}};
    run.blocks = {{3, 1e-3, {9.5, 1.0 / 3}, 9.5, 0.25, 910, 12.5, 1 << 22, {{"a.q_proj", 0.35}}}};
    run.training = {1e-3, 1e-5,
                    0.1,  3,
                    8,    910,
                    4321, 1 << 20,
                    12.5, {{2.5, 1e-4, 0.5, 900, kMissing}, {1.0 / 3, 1e-3, 0.25, 950, 12.5}}};
    return run;
}

} // namespace qw::test
