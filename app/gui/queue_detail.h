#pragma once

#include <cstdint>

#include <QWidget>

class QLabel;
class QPlainTextEdit;
class QPushButton;

namespace qw {

class SeriesPlot;
struct QueueEntry;

/// One queued run: where it is, its loss while the model is trained, then its errors layer by
/// layer, its log, and what came out.
class QueueDetail : public QWidget
{
    Q_OBJECT
public:
    explicit QueueDetail(QWidget* parent = nullptr);
    void show(const QueueEntry* entry);
    SeriesPlot& errorPlot() { return *m_plot; }

Q_SIGNALS:
    void showRunWanted(const QString& id);

private:
    void showPlot(const QueueEntry* entry);
    void showLog(const QueueEntry* entry);

    QLabel* m_state = nullptr;
    QPushButton* m_inspect = nullptr;
    SeriesPlot* m_plot = nullptr;
    QPlainTextEdit* m_log = nullptr;
    std::int64_t m_number = 0; ///< of the entry shown; 0: none
    std::size_t m_started = 0; ///< of its runs when it was drawn
    std::size_t m_layers = 0;  ///< of it drawn
    std::size_t m_steps = 0;   ///< the same
    QString m_shownLog;
    QString m_runId;
};

} // namespace qw
