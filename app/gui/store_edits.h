#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include <QObject>

#include "app/gui/background.h"

namespace qw {

class RunStore;

/// Changes the store in the order given, on a thread with a connection of its own: another program
/// may hold the file for long. When it is destroyed it makes the changes that are left, up to the
/// first that fails.
class StoreEdits : public QObject
{
    Q_OBJECT
public:
    using Change = std::function<void(RunStore&)>;
    /// On the owner's thread, with what went wrong: then nothing of the change is in the store.
    using Done = std::function<void(const std::optional<Failure>&)>;

    explicit StoreEdits(std::filesystem::path storeFile, QObject* parent = nullptr);
    ~StoreEdits() override;

    void add(Change change, Done done);
    /// How long changes added from now on wait for another program; else as RunStore does.
    void setPatience(std::chrono::milliseconds patience) { m_patience = patience; }

private:
    struct Edit {
        Change change;
        Done done;
        std::optional<std::chrono::milliseconds> patience;
    };
    void loop(const std::stop_token& stop);

    std::filesystem::path m_file;
    std::optional<std::chrono::milliseconds> m_patience;
    std::mutex m_lock;
    std::condition_variable_any m_wake;
    std::deque<Edit> m_waiting;
    std::jthread m_worker; // last member: joined before the rest goes
};

} // namespace qw
