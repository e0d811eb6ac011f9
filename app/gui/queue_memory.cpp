#include "app/gui/queue_memory.h"

#include "app/gui/run_queue.h"

namespace qw {

Json rememberedQueue(const RunQueue& queue)
{
    Json list = Json::array();
    for (const QueueEntry& entry : queue.entries()) {
        if (!entry.busy() && entry.state != RunState::Queued && entry.state != RunState::Paused) {
            continue;
        }
        Json specs = Json::array();
        for (const RunSpec& spec : entry.request.specs) {
            specs.push_back(toJson(spec));
        }
        list.push_back(Json{{"title", entry.title.toStdString()},
                            {"specs", specs},
                            {"store", entry.request.storeFile.string()},
                            {"work_folder", entry.request.workFolder.string()},
                            {"sweep", entry.request.sweep},
                            {"resume", entry.request.resumeId},
                            {"run", entry.runId.toStdString()}});
    }
    return list;
}

void restoreQueue(const Json& remembered, const std::string& storeFile, RunQueue& queue)
{
    for (const Json& entry : remembered) {
        if (entry.at("store").get<std::string>() != storeFile) {
            continue;
        }
        RunRequest request;
        for (const Json& spec : entry.at("specs")) {
            request.specs.push_back(runSpecFromJson(spec));
        }
        request.storeFile = storeFile;
        request.workFolder = entry.at("work_folder").get<std::string>();
        request.sweep = entry.at("sweep").get<std::string>();
        request.resumeId = entry.at("resume").get<std::string>();
        queue.restore(std::move(request),
                      QString::fromStdString(entry.at("title").get<std::string>()),
                      QString::fromStdString(entry.at("run").get<std::string>()));
    }
}

} // namespace qw
