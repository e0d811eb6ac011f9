#pragma once

#include <cstdint>

#include <QDockWidget>

class QListView;
class QProgressBar;
class QSplitter;
class QTimer;
class QToolButton;

namespace qw {

class ElidedLabel;
class QueueDetail;
class RunQueue;
struct QueueEntry;

/// The queue in one line: what is worked on, how far it is, pause and cancel. Unfolded: the list of
/// runs, and of the selected one its errors layer by layer and its log, as they come.
class QueueDock : public QDockWidget
{
    Q_OBJECT
public:
    explicit QueueDock(RunQueue& queue, QWidget* parent = nullptr);

    bool detailsShown() const;
    void setDetailsShown(bool shown);
    void toggleDetails() { setDetailsShown(!detailsShown()); }
    /// Whether the details are shown, and the places of their splitters.
    QVariantList session() const;
    void restoreSession(const QVariantList& kept);
    void pauseOrResume();
    void cancel();
    void clearDone();
    void moveUp() { move(-1); }
    void moveDown() { move(1); }
    QueueDetail& detail() { return *m_detail; }

Q_SIGNALS:
    void showRunWanted(const QString& id); ///< look at this finished run

private:
    QWidget* makeLine();
    QWidget* makeDetails();
    void schedule();
    void refresh();
    void showLine();
    void move(int step);
    const QueueEntry* selected() const;
    const QueueEntry* target() const; ///< what pause and cancel act on

    RunQueue& m_queue;
    ElidedLabel* m_summary = nullptr;
    QProgressBar* m_bar = nullptr;
    QToolButton* m_pause = nullptr;
    QToolButton* m_cancel = nullptr;
    QToolButton* m_more = nullptr;
    QToolButton* m_up = nullptr;
    QToolButton* m_down = nullptr;
    QWidget* m_details = nullptr;
    QListView* m_list = nullptr;
    QueueDetail* m_detail = nullptr;
    QTimer* m_timer = nullptr; ///< at most ten updates a second
};

} // namespace qw
