#pragma once

#include <QToolBar>

class QComboBox;
class QLabel;

namespace qw {

class AppState;
class ElidedLabel;

/// The line at the top: which model is open and which run is in view, for all modes.
class HeaderBar : public QToolBar
{
    Q_OBJECT
public:
    explicit HeaderBar(AppState& state, QWidget* parent = nullptr);

private:
    void showModel();
    void showRuns();

    AppState& m_state;
    QLabel* m_title = nullptr;
    ElidedLabel* m_facts = nullptr;
    QComboBox* m_runs = nullptr;
};

} // namespace qw
