#include "app/gui/store_edits.h"

#include <utility>

#include "store/run_store.h"

namespace qw {

StoreEdits::StoreEdits(std::filesystem::path storeFile, QObject* parent)
    : QObject(parent), m_file(std::move(storeFile)),
      m_worker([this](const std::stop_token& stop) { loop(stop); })
{
}

StoreEdits::~StoreEdits() = default;

void StoreEdits::add(Change change, Done done)
{
    {
        const std::lock_guard guard(m_lock);
        m_waiting.push_back({std::move(change), std::move(done), m_patience});
    }
    m_wake.notify_one();
}

void StoreEdits::loop(const std::stop_token& stop)
{
    for (;;) {
        Edit edit;
        {
            std::unique_lock guard(m_lock);
            if (!m_wake.wait(guard, stop, [this] { return !m_waiting.empty(); })) {
                return; // to be stopped, and nothing is left
            }
            edit = std::move(m_waiting.front());
            m_waiting.pop_front();
        }
        const std::optional<Failure> failure = catchFailure([&] {
            RunStore store(m_file);
            store.requireWritable();
            if (edit.patience) {
                store.setPatience(*edit.patience);
            }
            store.together([&] { edit.change(store); });
        });
        if (failure && stop.stop_requested()) { // nobody is left to be told
            qWarning("a change of the store is lost: %s", qPrintable(failure->sentence));
            return;
        }
        QMetaObject::invokeMethod(
            this, [done = std::move(edit.done), failure] { done(failure); }, Qt::QueuedConnection);
    }
}

} // namespace qw
