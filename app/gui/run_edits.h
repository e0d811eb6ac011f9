#pragma once

#include <functional>

#include <QStringList>

namespace qw {

class AppState;

/// Changes to what users may change of stored runs, each undone by Edit > Undo.
namespace run_edits {

void setStarred(AppState& state, const QStringList& ids, bool starred);
void setTags(AppState& state, const QString& id, const QStringList& tags);
/// Keeps the tags the runs have.
void addTag(AppState& state, const QStringList& ids, const QString& tag);
void setNotes(AppState& state, const QString& id, const QString& notes);
/// Hides runs until the store is compacted. Those that are being worked on stay.
/// @return how many were hidden
int remove(AppState& state, const QStringList& ids);

} // namespace run_edits
} // namespace qw
