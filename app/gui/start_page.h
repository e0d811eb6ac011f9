#pragma once

#include <map>
#include <set>

#include <QScrollArea>

#include "app/gui/mode.h"

class QFormLayout;
class QLabel;
class QPushButton;
class QVBoxLayout;

namespace qw {

class AppState;
class CardButton;
struct RunResult;

/// Where everybody starts: unfinished runs, the bundled model, recent models, what can be done,
/// and what the open model is.
class StartPage : public QScrollArea
{
    Q_OBJECT
public:
    explicit StartPage(AppState& state, QWidget* parent = nullptr);
    /// Runs being worked on here are not offered for resumption, paused ones are.
    /// @param paused  ids; empty ones have not begun
    void setQueuedRuns(const QStringList& working, const QStringList& paused);
    /// The page of this mode exists: sentences and buttons that lead there are shown.
    void offerMode(Mode mode);

Q_SIGNALS:
    void openFolderWanted();
    void openWanted(const QString& model);
    void resumeWanted(const QString& runId);
    void continueQueueWanted();               ///< resume all that is paused
    void discardWanted(const QString& runId); ///< do not offer this unfinished run again
    void modeWanted(qw::Mode mode);

protected:
    void changeEvent(QEvent* event) override;

private:
    void showModel();
    void showRecents();
    void showUnfinished();
    QWidget* makeUnfinished(const RunResult& result, bool interrupted);
    QWidget* makeOffers();
    QWidget* makeModelPanel();

    AppState& m_state;
    CardButton* m_bundled = nullptr;
    QStringList m_workingRuns;
    QStringList m_pausedRuns;
    std::map<Mode, QPushButton*> m_modeButtons; ///< of the open model
    std::set<Mode> m_modes;
    QVBoxLayout* m_unfinished = nullptr;
    QVBoxLayout* m_recents = nullptr;
    QLabel* m_recentsTitle = nullptr;
    QWidget* m_modelPanel = nullptr;
    QLabel* m_modelTitle = nullptr;
    QLabel* m_remarks = nullptr;
    QLabel* m_links = nullptr;
    QFormLayout* m_modelFacts = nullptr;
};

} // namespace qw
