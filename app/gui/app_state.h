#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <QObject>
#include <QUndoStack>

#include "app/gui/background.h"
#include "app/gui/engine_calls.h"
#include "app/gui/method_change.h"
#include "app/gui/store_edits.h"
#include "report/run_result.h"
#include "store/run_store.h"

namespace qw {

class Settings;

/// What every page shows: the open model, the run in view, the layer selected, the draft of the
/// next run and the stored runs. Chosen once here, followed everywhere; no page keeps its own.
class AppState : public QObject
{
    Q_OBJECT
public:
    enum class ModelState { None, Opening, Ready, Failed };

    /// @param storeFile  empty: the default place
    AppState(Settings& settings, const QString& storeFile, QObject* parent = nullptr);
    ~AppState() override;

    Settings& settings() { return m_settings; }
    std::filesystem::path storeFile() const { return m_storeFile; }
    std::filesystem::path workFolder() const; ///< artifacts of runs, as the command line has it

    /// Known shortly after start.
    const std::optional<engine_calls::Facts>& facts() const { return m_facts; }
    const MethodDescription* method(const std::string& id) const;

    // --- model
    /// @param model      folder or "demo"
    /// @param runToView  of it, once it is open
    void openModel(const QString& model, const QString& runToView = {});
    void closeModel();
    ModelState modelState() const { return m_modelState; }
    QString modelName() const { return m_modelName; } ///< as in a spec
    QString modelTitle() const;                       ///< for people
    const std::optional<ModelOverview>& model() const { return m_model; }
    /// By layer, as far as measured (a pass over all weights, in the background).
    const std::map<std::string, WeightStatistics>& weights() const { return m_weights; }
    QString modelProblem() const { return m_modelProblem; }
    /// The folder is gone or its config was changed after it was opened.
    bool modelStale() const;

    // --- layer
    QString layer() const { return m_layer; }
    void selectLayer(const QString& name);

    // --- runs
    const std::vector<RunSummary>& runs() const { return m_runs; } ///< newest first, no layers
    bool runsLoaded() const { return m_runsLoaded; }
    void reloadRuns();
    const RunSummary* findRun(const QString& id) const; ///< of runs()
    RunStore& store() { return *m_store; } ///< to look at: a change may wait for another program
    /// Changes the store in the background, after the changes asked for before, and reads it again.
    /// @param done  on this thread; what went wrong is for the caller to say
    void changeStore(StoreEdits::Change change, StoreEdits::Done done);
    StoreEdits& storeEdits() { return m_storeEdits; }
    QString storeProblem() const; ///< why it cannot be changed; empty: it can
    void storeChanged();
    std::vector<RunSummary> runsOfModel() const; ///< finished ones of the open model
    const std::optional<RunResult>& runInView() const { return m_runInView; }
    /// Empty: none. A run of another model than the open one is not taken.
    void setRunInView(const QString& id);
    /// A run is asked for: it may come into view.
    void expectRun() { m_runChosen = false; }
    /// As setRunInView(), but not over a run that the user chose since the last one was asked for.
    void offerRunInView(const QString& id);

    // --- draft of the next run
    const RunSpec& draft() const { return m_draft; }
    void setDraft(const RunSpec& draft); ///< not undoable: typing, restoring
    void setDraft(const RunSpec& draft, const std::optional<MethodTurn>& turn);
    /// Undoable. @param mergeKey  edits with the same key in a row are undone together
    void editDraft(const RunSpec& draft, const QString& what, const QString& mergeKey = {});
    /// The same where that decides where the number formats are from.
    void turnDraft(const RunSpec& draft, const std::optional<MethodTurn>& turn,
                   const QString& what);
    /// The last change of method that led to the draft, undone and redone with it.
    const std::optional<MethodTurn>& turn() const { return m_turn; }
    QUndoStack& undoStack() { return m_undo; }

Q_SIGNALS:
    void factsKnown();
    void modelChanged(); ///< any change of modelState() or model()
    void weightsMeasured(const qw::WeightStatistics& layer);
    void layerChanged();
    void runsChanged();
    void runInViewChanged();
    void draftChanged();
    void problem(const QString& title, const QString& sentence, const QString& details);

private:
    void setModelState(ModelState state);
    void measureWeights();
    void restoreDraft();

    Settings& m_settings;
    std::filesystem::path m_storeFile;
    std::unique_ptr<RunStore> m_store;
    StoreEdits m_storeEdits;
    std::optional<engine_calls::Facts> m_facts;
    ModelState m_modelState = ModelState::None;
    QString m_modelName;
    QString m_modelProblem;
    std::optional<ModelOverview> m_model;
    std::map<std::string, WeightStatistics> m_weights;
    std::filesystem::file_time_type m_modelTime;
    QString m_layer;
    std::vector<RunSummary> m_runs;
    bool m_runsLoaded = false;
    std::optional<RunResult> m_runInView;
    RunSpec m_draft;
    std::optional<MethodTurn> m_turn;
    QUndoStack m_undo;
    Background m_factsWorker;
    Background m_modelWorker;
    Background m_weightsWorker;
    Background m_runsWorker;
    Background m_viewWorker;
    bool m_runChosen = false; ///< the one in view, by the user, since expectRun()
    QString m_runToView;      ///< once the model is open
};

/// What the form starts with: a good first answer for a new user.
RunSpec defaultDraft();

} // namespace qw
