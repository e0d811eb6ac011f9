#pragma once

#include <vector>

#include <QDialog>

#include "app/gui/background.h"
#include "report/run_spec.h"

class QCheckBox;
class QLabel;
class QLineEdit;
class QPushButton;

namespace qw {

class AppState;

/// Builds a grid around the draft of the next run: every combination of what is ticked and listed.
/// Says how many runs that makes and what they will take before they are queued.
class SweepDialog : public QDialog
{
    Q_OBJECT
public:
    explicit SweepDialog(AppState& state, QWidget* parent = nullptr);

Q_SIGNALS:
    void runsWanted(const std::vector<qw::RunSpec>& specs);

private:
    QWidget* makeMethods();
    QWidget* makeBits();
    QLineEdit* makeList(const QString& name, const QString& label, const QString& text,
                        const QString& tip);
    void refresh();
    void estimate();

    AppState& m_state;
    std::vector<QCheckBox*> m_methods;
    std::vector<QCheckBox*> m_bits;
    QLineEdit* m_groups = nullptr;
    QLineEdit* m_ranks = nullptr;
    QLineEdit* m_seeds = nullptr;
    QLabel* m_count = nullptr;
    QLabel* m_cost = nullptr;
    QLabel* m_problem = nullptr;
    QPushButton* m_queue = nullptr;
    std::vector<RunSpec> m_specs;
    Background m_worker;
};

} // namespace qw
