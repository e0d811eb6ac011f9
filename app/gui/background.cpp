#include "app/gui/background.h"

#include <typeinfo>

#include "base/error.h"

namespace qw {

std::optional<Failure> catchFailure(const std::function<void()>& work)
{
    try {
        work();
        return std::nullopt;
    } catch (const Error& error) {
        return Failure{QString::fromStdString(error.what()), {}};
    } catch (const std::bad_alloc&) {
        return Failure{QObject::tr("There is not enough memory for this."), {}};
    } catch (const Cancelled&) {
        throw;
    } catch (const std::exception& error) {
        // Exceptions of the tensor library carry a long trace: the first line is for people.
        const QString all = QString::fromStdString(error.what());
        return Failure{all.section(u'\n', 0, 0), all};
    }
}

Background::Background(QObject* parent)
    : QObject(parent), m_worker([this](const std::stop_token& stop) { loop(stop); })
{
}

Background::~Background()
{
    const std::lock_guard guard(m_lock);
    m_current.request_stop();
    m_waiting.reset();
}

void Background::enqueue(Work work, Done done)
{
    ++m_generation;
    {
        const std::lock_guard guard(m_lock);
        m_current.request_stop();
        m_waiting = Question{m_generation, std::stop_source(), std::move(work), std::move(done)};
    }
    m_wake.notify_one();
    if (!m_busy) {
        m_busy = true;
        Q_EMIT started();
    }
}

void Background::cancel()
{
    ++m_generation;
    const std::lock_guard guard(m_lock);
    m_current.request_stop();
    m_waiting.reset();
    if (m_busy) {
        m_busy = false;
        QMetaObject::invokeMethod(
            this, [this] { Q_EMIT finished(); }, Qt::QueuedConnection);
    }
}

void Background::post(std::uint64_t generation, std::function<void()> news)
{
    QMetaObject::invokeMethod(
        this,
        [this, generation, news = std::move(news)] {
            if (generation == m_generation) {
                news();
            }
        },
        Qt::QueuedConnection);
}

void Background::loop(const std::stop_token& stop)
{
    while (!stop.stop_requested()) {
        Question question;
        {
            std::unique_lock guard(m_lock);
            if (!m_wake.wait(guard, stop, [this] { return m_waiting.has_value(); })) {
                return;
            }
            question = std::move(*m_waiting);
            m_waiting.reset();
            m_current = question.stop;
        }
        answer(question);
    }
}

void Background::answer(Question& question)
{
    const std::uint64_t generation = question.generation;
    const RunContext run(question.stop.get_token(), [this, generation](const Progress& progress) {
        post(generation, [this, progress] { Q_EMIT progressed(progress); });
    });
    std::any result;
    std::optional<Failure> failure;
    try {
        failure = catchFailure([&] { result = question.work(run); });
    } catch (const Cancelled&) {
        return; // superseded or forgotten: the owner knows
    }
    post(generation,
         [this, failure, result = std::move(result), done = std::move(question.done)]() mutable {
             m_busy = false;
             if (failure) {
                 Q_EMIT failed(failure->sentence, failure->details);
             } else {
                 done(result);
             }
             if (!m_busy) { // done() may have asked again
                 Q_EMIT finished();
             }
         });
}

} // namespace qw
