#pragma once

#include <optional>
#include <vector>

#include <QWidget>

#include "app/gui/background.h"
#include "engine_export.h"
#include "report/run_result.h"

class QFormLayout;
class QLabel;

namespace qw {

class AppState;

/// What the next run will take (size, bits per weight, memory and time) and which exports will hold
/// it without loss, asked of the engine after each change of the draft. Refuses what the engine
/// refuses for this model.
class EstimatePanel : public QWidget
{
    Q_OBJECT
public:
    explicit EstimatePanel(AppState& state, QWidget* parent = nullptr);

    /// Asks for the draft; without a model, or if @p valid is false, forgets.
    void ask(bool valid);
    /// Of the draft shown; nothing while it is being made.
    const std::optional<Estimate>& estimate() const { return m_estimate; }
    QString problem() const { return m_problem; }

Q_SIGNALS:
    void changed();

private:
    void show(const QString& note);
    void askExports();
    void showExports(const std::vector<ExportPlan>& plans);
    QLabel* addRow(QFormLayout& rows, const QString& label, const char* name);

    AppState& m_state;
    QLabel* m_before = nullptr;
    QLabel* m_after = nullptr;
    QLabel* m_bits = nullptr;
    QLabel* m_memory = nullptr;
    QLabel* m_time = nullptr;
    QLabel* m_exports = nullptr;
    QLabel* m_note = nullptr;
    std::optional<Estimate> m_estimate;
    QString m_problem;
    Background m_worker;
    Background m_exportsWorker;
};

} // namespace qw
