#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include <QThread>

#include "app/gui/engine_calls.h"
#include "app/gui/run_job.h"
#include "base/error.h"

namespace qw::test {

/// Work a test steers: runs until told to finish, notes what it was asked.
struct Steered {
    std::atomic<bool> finish = false;
    std::atomic<bool> fail = false;
    std::atomic<int> begun = 0;
    std::mutex lock;
    std::vector<std::string> resumed;

    qw::RunJob::Work work()
    {
        return [this](const qw::RunRequest& request, const qw::RunOptions& options,
                      const qw::RunContext& run) {
            {
                const std::lock_guard guard(lock);
                resumed.push_back(request.resumeId);
            }
            qw::RunResult result;
            result.id =
                request.resumeId.empty() ? "run" + std::to_string(begun + 1) : request.resumeId;
            result.estimate.seconds = 3600;
            options.started(result);
            run.beginPhase("quantize", 2);
            qw::LayerResult layer;
            layer.name = "model.layers.0.self_attn.q_proj";
            layer.outputError = 0.12;
            options.layerDone(layer);
            ++begun;
            while (!finish) {
                run.checkpoint(1, "block 1");
                QThread::msleep(1);
            }
            QW_REQUIRE(!fail, qw::ErrorCode::Io, "the disk is full");
            result.status = "finished";
            return std::vector{result};
        };
    }
};

} // namespace qw::test
