#pragma once

#include <array>
#include <cstdint>

#include <QWidget>

class QLabel;
class QPlainTextEdit;
class QPushButton;
class QTabWidget;

namespace qw {

class BlockTable;
class SeriesPlot;
struct QueueEntry;

/// One queued run: where it is, its loss while it learns, its errors layer by layer and block by
/// block as they come, its log, and what came out.
class QueueDetail : public QWidget
{
    Q_OBJECT
public:
    explicit QueueDetail(QWidget* parent = nullptr);
    void show(const QueueEntry* entry);
    SeriesPlot& lossPlot() { return *m_loss; }
    SeriesPlot& errorPlot() { return *m_errors; }

Q_SIGNALS:
    void showRunWanted(const QString& id);

private:
    /// What has come so far; it is drawn again only if that is more.
    void showResults(const QueueEntry* entry);
    void showTabs(bool losses, bool blocks);
    void showLog(const QueueEntry* entry);

    QLabel* m_state = nullptr;
    QPushButton* m_inspect = nullptr;
    QTabWidget* m_tabs = nullptr; ///< those of what there is
    SeriesPlot* m_loss = nullptr;
    SeriesPlot* m_errors = nullptr;
    BlockTable* m_blocks = nullptr;
    QPlainTextEdit* m_log = nullptr;
    bool m_followsLog = true;  ///< its end is what is looked at
    std::int64_t m_number = 0; ///< of the entry shown; 0: none
    /// What of it is drawn: runs begun, layers, steps or iterations, blocks done.
    std::array<std::size_t, 4> m_drawn{};
    QString m_shownLog;
    QString m_runId;
};

} // namespace qw
