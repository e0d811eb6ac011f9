#pragma once

#include <any>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include <QObject>

#include "base/run_context.h"

namespace qw {

/// Answers one question at a time on a thread of its own; a newer question cancels the one being
/// answered and drops the one waiting. Results, progress and failures of superseded questions are
/// never delivered. All callbacks run on the owner's thread.
class Background : public QObject
{
    Q_OBJECT
public:
    explicit Background(QObject* parent = nullptr);
    ~Background() override;

    /// @param work  runs on the worker; may throw (Cancelled is silent)
    /// @param done  gets its result on the owner's thread
    template <class Work, class Done>
    void ask(Work work, Done done)
    {
        using Result = decltype(work(std::declval<const RunContext&>()));
        enqueue([work = std::move(work)](const RunContext& run) { return std::any(work(run)); },
                [done = std::move(done)](std::any& result) {
                    done(std::any_cast<Result&&>(std::move(result)));
                });
    }
    /// Sends something from inside @p work to the owner's thread, in order; dropped if superseded.
    void post(std::uint64_t generation, std::function<void()> news);
    /// The number of the latest question: capture it before ask() + 1, or use it inside callbacks.
    std::uint64_t generation() const { return m_generation; }
    /// Forgets the current question.
    void cancel();
    bool busy() const { return m_busy; }

Q_SIGNALS:
    void started();
    void progressed(const qw::Progress& progress);
    void failed(const QString& sentence, const QString& details);
    void finished(); ///< whatever the outcome: nothing is being worked on now

private:
    using Work = std::function<std::any(const RunContext&)>;
    using Done = std::function<void(std::any&)>;
    struct Question {
        std::uint64_t generation = 0;
        std::stop_source stop;
        Work work;
        Done done;
    };
    void enqueue(Work work, Done done);
    void loop(const std::stop_token& stop);
    void answer(Question& question);

    std::uint64_t m_generation = 0; // owner's thread only
    bool m_busy = false;            // owner's thread only
    std::mutex m_lock;
    std::condition_variable_any m_wake;
    std::optional<Question> m_waiting;
    std::stop_source m_current;
    std::jthread m_worker; // last member: stopped and joined before the rest goes
};

/// Runs @p work and turns what it throws into a sentence and details; for the edge of a thread.
struct Failure {
    QString sentence;
    QString details;
};
std::optional<Failure> catchFailure(const std::function<void()>& work);

} // namespace qw
