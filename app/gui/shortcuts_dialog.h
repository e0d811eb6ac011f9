#pragma once

#include <QDialog>

class QAction;

namespace qw {

/// What an action does, for lists: "Run: Start".
QString actionTitle(const QAction& action);

/// All actions that have a key, and the keys and gestures of plots and tables.
class ShortcutsDialog : public QDialog
{
    Q_OBJECT
public:
    explicit ShortcutsDialog(const QList<QAction*>& actions, QWidget* parent = nullptr);
};

} // namespace qw
