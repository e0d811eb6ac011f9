#include "app/gui/run_edits.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include <QCoreApplication>
#include <QUndoCommand>

#include "app/gui/app_state.h"
#include "store/run_activity.h"

namespace qw::run_edits {

namespace {
struct Text {
    Q_DECLARE_TR_FUNCTIONS(RunEdits)
};

using Change = std::function<void(RunStore&)>;

/// Changes the store in the background. A change that fails is taken back on the undo stack, so
/// that it says what the store holds.
class RunEdit final : public QUndoCommand
{
public:
    RunEdit(AppState& state, const QString& text, Change apply, Change revert)
        : QUndoCommand(text), m_state(state), m_apply(std::move(apply)), m_revert(std::move(revert))
    {
    }
    void redo() override { change(m_apply, true); }
    void undo() override { change(m_revert, false); }

private:
    void change(const Change& change, bool forward)
    {
        if (std::exchange(m_takingBack, false)) {
            return;
        }
        m_state.changeStore(change, [&state = m_state, self = std::weak_ptr(m_self),
                                     forward](const std::optional<Failure>& failure) {
            const auto edit = self.lock(); // nothing once the stack has dropped it
            if (edit && failure) {
                (*edit)->takeBack(forward);
            } else if (edit) {
                (*edit)->m_stored |= forward;
            }
            if (failure) {
                Q_EMIT state.problem(Text::tr("The Store Cannot Be Changed"), failure->sentence,
                                     failure->details);
            }
        });
    }

    /// @param forward  whether it was applied, or else reverted
    void takeBack(bool forward)
    {
        QUndoStack& stack = m_state.undoStack();
        const int at = forward ? stack.index() - 1 : stack.index();
        setObsolete(!m_stored); // the stack drops it when it gets there
        if (stack.command(at) == this) {
            m_takingBack = true;
            if (forward) {
                stack.undo();
            } else {
                stack.redo();
            }
        }
    }

    AppState& m_state;
    Change m_apply;
    Change m_revert;
    bool m_stored = false; ///< it was applied once
    bool m_takingBack = false;
    std::shared_ptr<RunEdit*> m_self = std::make_shared<RunEdit*>(this);
};

std::vector<RunSummary> chosen(const AppState& state, const QStringList& ids)
{
    std::vector<RunSummary> found;
    std::copy_if(
        state.runs().begin(), state.runs().end(), std::back_inserter(found),
        [&](const RunSummary& run) { return ids.contains(QString::fromStdString(run.result.id)); });
    return found;
}

void replaceTags(RunStore& store, const std::string& id, const std::vector<std::string>& before,
                 const std::vector<std::string>& after)
{
    for (const std::string& tag : before) {
        store.untag(id, tag);
    }
    for (const std::string& tag : after) {
        store.tag(id, tag);
    }
}

QString counted(std::size_t runs, const QString& one, const QString& several)
{
    return runs == 1 ? one : several.arg(runs);
}
} // namespace

void setStarred(AppState& state, const QStringList& ids, bool starred)
{
    std::vector<RunSummary> runs = chosen(state, ids);
    runs.erase(std::remove_if(runs.begin(), runs.end(),
                              [&](const RunSummary& run) { return run.starred == starred; }),
               runs.end());
    if (runs.empty()) {
        return;
    }
    const auto set = [runs](bool value) {
        return [runs, value](RunStore& store) {
            for (const RunSummary& run : runs) {
                store.setStarred(run.result.id, value);
            }
        };
    };
    state.undoStack().push(new RunEdit(
        state,
        starred ? counted(runs.size(), Text::tr("Star a Run"), Text::tr("Star %1 Runs"))
                : counted(runs.size(), Text::tr("Unstar a Run"), Text::tr("Unstar %1 Runs")),
        set(starred), set(!starred)));
}

void setTags(AppState& state, const QString& id, const QStringList& tags)
{
    const std::vector<RunSummary> runs = chosen(state, {id});
    std::vector<std::string> after;
    for (const QString& tag : tags) {
        after.push_back(tag.toStdString());
    }
    if (runs.empty() || runs.front().tags == after) {
        return;
    }
    const std::string run = runs.front().result.id;
    const std::vector<std::string> before = runs.front().tags;
    state.undoStack().push(new RunEdit(
        state, Text::tr("Tag a Run"),
        [=](RunStore& store) { replaceTags(store, run, before, after); },
        [=](RunStore& store) { replaceTags(store, run, after, before); }));
}

void addTag(AppState& state, const QStringList& ids, const QString& tag)
{
    const std::string text = tag.trimmed().toStdString();
    std::vector<RunSummary> runs = chosen(state, ids);
    runs.erase(std::remove_if(runs.begin(), runs.end(),
                              [&](const RunSummary& run) {
                                  return std::find(run.tags.begin(), run.tags.end(), text) !=
                                         run.tags.end();
                              }),
               runs.end());
    if (runs.empty() || text.empty()) {
        return;
    }
    state.undoStack().push(new RunEdit(
        state, counted(runs.size(), Text::tr("Tag a Run"), Text::tr("Tag %1 Runs")),
        [runs, text](RunStore& store) {
            for (const RunSummary& run : runs) {
                store.tag(run.result.id, text);
            }
        },
        [runs, text](RunStore& store) {
            for (const RunSummary& run : runs) {
                store.untag(run.result.id, text);
            }
        }));
}

void setNotes(AppState& state, const QString& id, const QString& notes)
{
    const std::vector<RunSummary> runs = chosen(state, {id});
    const std::string after = notes.toStdString();
    if (runs.empty() || runs.front().notes == after) {
        return;
    }
    const std::string run = runs.front().result.id;
    state.undoStack().push(new RunEdit(
        state, Text::tr("Edit Notes"), [=](RunStore& store) { store.setNotes(run, after); },
        [run, before = runs.front().notes](RunStore& store) { store.setNotes(run, before); }));
}

int remove(AppState& state, const QStringList& ids)
{
    std::set<std::string> sweepsAtWork; // their queued runs are waited for
    for (const RunSummary& run : state.runs()) {
        if (!run.result.sweep.empty() && isAtWork(run.result)) {
            sweepsAtWork.insert(run.result.sweep);
        }
    }
    std::vector<std::string> gone;
    for (const RunSummary& run : chosen(state, ids)) {
        const bool waits =
            run.result.status == "queued" && sweepsAtWork.count(run.result.sweep) > 0;
        if (!waits && !isAtWork(run.result)) {
            gone.push_back(run.result.id);
        }
    }
    if (gone.empty()) {
        return 0;
    }
    if (state.runInView() &&
        std::find(gone.begin(), gone.end(), state.runInView()->id) != gone.end()) {
        state.setRunInView({});
    }
    state.undoStack().push(new RunEdit(
        state, counted(gone.size(), Text::tr("Delete a Run"), Text::tr("Delete %1 Runs")),
        [gone](RunStore& store) {
            for (const std::string& id : gone) {
                store.remove(id);
            }
        },
        [gone](RunStore& store) {
            for (const std::string& id : gone) {
                store.restore(id);
            }
        }));
    return static_cast<int>(gone.size());
}

} // namespace qw::run_edits
