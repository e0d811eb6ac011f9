#include "app/gui/app_state.h"

#include <algorithm>

#include <QDir>
#include <QFileInfo>

#include "app/gui/settings.h"
#include "base/error.h"
#include "base/files.h"
#include "report/run_groups.h"

namespace qw {

namespace {
constexpr int kUndoSteps = 200;

class EditDraft final : public QUndoCommand
{
public:
    EditDraft(AppState& state, RunSpec after, std::optional<MethodTurn> turn, const QString& what,
              QString mergeKey)
        : QUndoCommand(what),
          m_state(state), m_before{state.draft(), state.turn()}, m_after{std::move(after),
                                                                         std::move(turn)},
          m_mergeKey(std::move(mergeKey))
    {
    }
    int id() const override { return m_mergeKey.isEmpty() ? -1 : 1; }
    bool mergeWith(const QUndoCommand* next) override
    {
        const auto* edit = static_cast<const EditDraft*>(next); // only these have an id here
        if (edit->m_mergeKey != m_mergeKey) {
            return false;
        }
        m_after = edit->m_after;
        return true;
    }
    void undo() override { apply(m_before); }
    void redo() override { apply(m_after); }

private:
    struct Draft {
        RunSpec spec;
        std::optional<MethodTurn> turn;
    };
    /// The model is chosen by opening it and is no part of an edit: another one may be open by now.
    void apply(const Draft& draft)
    {
        RunSpec spec = draft.spec;
        spec.model = m_state.draft().model;
        m_state.setDraft(spec, draft.turn);
    }

    AppState& m_state;
    Draft m_before;
    Draft m_after;
    QString m_mergeKey;
};

/// The runs of a store with names that tell one from another.
std::vector<RunSummary> namedRuns(const RunStore& store)
{
    std::vector<RunSummary> runs = store.list();
    std::vector<RunResult> results;
    for (const RunSummary& run : runs) {
        results.push_back(run.result);
    }
    const std::vector<std::string> names = distinctNames(results);
    for (std::size_t i = 0; i < runs.size(); ++i) {
        runs[i].name = names[i];
    }
    return runs;
}

/// How an open model is called, and how specs of the window name it.
QString nameOf(const QString& model)
{
    return model == QStringLiteral("demo") ? model : QDir(model).absolutePath();
}

std::filesystem::file_time_type configTime(const std::string& folder)
{
    std::error_code ignored;
    return std::filesystem::last_write_time(std::filesystem::path(folder) / "config.json", ignored);
}
} // namespace

RunSpec defaultDraft()
{
    RunSpec draft;
    draft.model = "demo";
    draft.method = "l2qer";
    draft.weight.format = "mxint";
    draft.weight.groupSize = 16;
    draft.lowRank.rank = 32;
    draft.calibration.text = "demo:calibration";
    draft.training.text = "demo:calibration";
    draft.evaluation.text = "demo:evaluation";
    return draft;
}

AppState::AppState(Settings& settings, const QString& storeFile, QObject* parent)
    : QObject(parent), m_settings(settings),
      m_storeFile(storeFile.isEmpty() ? RunStore::defaultFile()
                                      : std::filesystem::absolute(storeFile.toStdString())),
      m_storeEdits(m_storeFile)
{
    m_undo.setUndoLimit(kUndoSteps);
    connect(&m_undo, &QUndoStack::indexChanged, this, [this](int index) {
        if (index > 0 && m_undo.command(index - 1)->isObsolete()) {
            m_undo.undo(); // which only drops it
        }
    });
    m_store = std::make_unique<RunStore>(m_storeFile);
    restoreDraft();
    for (Background* worker : {&m_factsWorker, &m_runsWorker, &m_viewWorker, &m_weightsWorker}) {
        connect(worker, &Background::failed, this,
                [this](const QString& sentence, const QString& details) {
                    Q_EMIT problem(tr("Something Went Wrong"), sentence, details);
                });
    }
    connect(&m_modelWorker, &Background::failed, this,
            [this](const QString& sentence, const QString& details) {
                m_modelProblem = sentence;
                m_runToView.clear();
                m_settings.forgetModel(m_modelName);
                setModelState(ModelState::Failed);
                Q_EMIT problem(tr("The Model Cannot Be Opened"), sentence, details);
            });
    const std::int64_t threads = m_settings.number(Settings::Key::Threads);
    m_factsWorker.ask([threads](const RunContext&) { return engine_calls::facts(threads); },
                      [this](engine_calls::Facts facts) {
                          m_facts = std::move(facts);
                          Q_EMIT factsKnown();
                      });
    reloadRuns();
}

AppState::~AppState() = default;

std::filesystem::path AppState::workFolder() const
{
    return m_storeFile == RunStore::defaultFile()
               ? userDataFolder() / "runs"
               : std::filesystem::path(m_storeFile.string() + ".runs");
}

const MethodDescription* AppState::method(const std::string& id) const
{
    if (!m_facts) {
        return nullptr;
    }
    const auto& methods = m_facts->methods;
    const auto found = std::find_if(methods.begin(), methods.end(),
                                    [&](const MethodDescription& m) { return m.id == id; });
    return found == methods.end() ? nullptr : &*found;
}

void AppState::openModel(const QString& model, const QString& runToView)
{
    m_modelName = nameOf(model);
    m_runToView = runToView;
    m_modelProblem.clear();
    m_model.reset();
    m_weightsWorker.cancel();
    m_weights.clear();
    m_viewWorker.cancel();
    m_runInView.reset();
    m_runChosen = false;
    setModelState(ModelState::Opening);
    Q_EMIT runInViewChanged();
    m_modelWorker.ask(
        [name = m_modelName.toStdString()](const RunContext& run) {
            return engine_calls::inspect(name, run);
        },
        [this](ModelOverview overview) {
            m_modelTime = configTime(overview.folder);
            m_model = std::move(overview);
            RunSpec draft = m_draft;
            draft.model = m_modelName.toStdString();
            setDraft(draft);
            if (m_modelName != QStringLiteral("demo")) {
                m_settings.rememberModel(m_modelName);
            }
            const auto& layers = m_model->layers;
            const bool known = std::any_of(layers.begin(), layers.end(), [this](const auto& l) {
                return QString::fromStdString(l.name) == m_layer;
            });
            if (!known) {
                m_layer = layers.empty() ? QString() : QString::fromStdString(layers.front().name);
            }
            setModelState(ModelState::Ready);
            Q_EMIT layerChanged();
            if (!m_runToView.isEmpty()) {
                setRunInView(QString(m_runToView)); // a copy: it is cleared in there
            }
            measureWeights();
        });
}

void AppState::measureWeights()
{
    const std::uint64_t generation = m_weightsWorker.generation() + 1;
    m_weightsWorker.ask(
        [this, generation, name = m_modelName.toStdString()](const RunContext& run) {
            engine_calls::weights(
                name,
                [this, generation](const WeightStatistics& layer) {
                    m_weightsWorker.post(generation, [this, layer] {
                        m_weights[layer.overview.name] = layer;
                        Q_EMIT weightsMeasured(layer);
                    });
                },
                run);
            return true;
        },
        [](bool) {});
}

void AppState::closeModel()
{
    m_modelWorker.cancel();
    m_weightsWorker.cancel();
    m_weights.clear();
    m_model.reset();
    m_modelName.clear();
    m_runToView.clear();
    m_layer.clear();
    setModelState(ModelState::None);
    Q_EMIT layerChanged();
    setRunInView({});
}

QString AppState::modelTitle() const
{
    return m_modelName == QStringLiteral("demo") ? tr("bundled demo model")
                                                 : QFileInfo(m_modelName).fileName();
}

bool AppState::modelStale() const
{
    return m_model && configTime(m_model->folder) != m_modelTime;
}

void AppState::setModelState(ModelState state)
{
    m_modelState = state;
    Q_EMIT modelChanged();
}

void AppState::selectLayer(const QString& name)
{
    if (name != m_layer) {
        m_layer = name;
        Q_EMIT layerChanged();
    }
}

void AppState::reloadRuns()
{
    m_runsWorker.ask([file = m_storeFile](const RunContext&) { return namedRuns(RunStore(file)); },
                     [this](std::vector<RunSummary> runs) {
                         if (!m_runsLoaded || runs != m_runs) { // a sweep asks every few seconds
                             m_runs = std::move(runs);
                             m_runsLoaded = true;
                             Q_EMIT runsChanged();
                         }
                     });
}

QString AppState::storeProblem() const
{
    try {
        m_store->requireWritable();
        return {};
    } catch (const Error& error) {
        return QString::fromStdString(error.what());
    }
}

const RunSummary* AppState::findRun(const QString& id) const
{
    const auto found = std::find_if(m_runs.begin(), m_runs.end(), [&](const RunSummary& run) {
        return QString::fromStdString(run.result.id) == id;
    });
    return found == m_runs.end() ? nullptr : &*found;
}

void AppState::changeStore(StoreEdits::Change change, StoreEdits::Done done)
{
    m_storeEdits.add(std::move(change),
                     [this, done = std::move(done)](const std::optional<Failure>& failure) {
                         done(failure);
                         storeChanged();
                     });
}

void AppState::storeChanged()
{
    reloadRuns();
}

std::vector<RunSummary> AppState::runsOfModel() const
{
    std::vector<RunSummary> found;
    std::copy_if(m_runs.begin(), m_runs.end(), std::back_inserter(found), [this](const auto& run) {
        return run.result.status == "finished" &&
               QString::fromStdString(run.result.spec.model) == m_modelName;
    });
    return found;
}

void AppState::setRunInView(const QString& id)
{
    m_viewWorker.cancel(); // of two wishes the later one counts
    m_runToView.clear();
    m_runChosen = !id.isEmpty();
    if (id.isEmpty()) {
        if (m_runInView) {
            m_runInView.reset();
            Q_EMIT runInViewChanged();
        }
        return;
    }
    if (m_runInView && QString::fromStdString(m_runInView->id) == id) {
        return;
    }
    m_viewWorker.ask(
        [file = m_storeFile, wanted = id.toStdString()](const RunContext&) {
            return RunStore(file).get(wanted);
        },
        [this](RunResult run) {
            const bool open = m_modelState != ModelState::None;
            if (!open || nameOf(QString::fromStdString(run.spec.model)) == m_modelName) {
                m_runInView = std::move(run);
                Q_EMIT runInViewChanged();
            }
        });
}

void AppState::offerRunInView(const QString& id)
{
    if (!m_runChosen) {
        setRunInView(id);
        m_runChosen = false;
    }
}

void AppState::setDraft(const RunSpec& draft)
{
    if (draft == m_draft) {
        return;
    }
    m_draft = draft;
    m_settings.set(Settings::Key::LastDraft, QString::fromStdString(toJson(draft).dump()));
    Q_EMIT draftChanged();
}

void AppState::setDraft(const RunSpec& draft, const std::optional<MethodTurn>& turn)
{
    m_turn = turn; // first: whoever follows the draft looks at it
    setDraft(draft);
}

void AppState::editDraft(const RunSpec& draft, const QString& what, const QString& mergeKey)
{
    if (draft != m_draft) {
        m_undo.push(new EditDraft(*this, draft, m_turn, what, mergeKey));
    }
}

void AppState::turnDraft(const RunSpec& draft, const std::optional<MethodTurn>& turn,
                         const QString& what)
{
    if (draft != m_draft) {
        m_undo.push(new EditDraft(*this, draft, turn, what, {}));
    }
}

void AppState::restoreDraft()
{
    m_draft = defaultDraft();
    const QString stored = m_settings.text(Settings::Key::LastDraft);
    if (stored.isEmpty()) {
        return;
    }
    try {
        m_draft = runSpecFromJson(parseJson(stored.toStdString(), "the stored form"));
    } catch (const Error& error) {
        qWarning("the form starts afresh: %s", error.what());
    }
}

} // namespace qw
