#include "app/gui/shortcuts_dialog.h"

#include <QAction>
#include <QDialogButtonBox>
#include <QHeaderView>
#include <QMenu>
#include <QTreeWidget>
#include <QVBoxLayout>

#include "widgets/theme.h"

namespace qw {

QString actionTitle(const QAction& action)
{
    const auto plain = [](const QString& text) {
        return QString(text).remove(u'&').remove(u'\u2026');
    };
    const auto shownIn = action.associatedObjects();
    for (const QObject* place : shownIn) {
        if (const auto* menu = qobject_cast<const QMenu*>(place)) {
            return ShortcutsDialog::tr("%1: %2").arg(plain(menu->title()), plain(action.text()));
        }
    }
    return plain(action.text());
}

ShortcutsDialog::ShortcutsDialog(const QList<QAction*>& actions, QWidget* parent) : QDialog(parent)
{
    setObjectName(QStringLiteral("shortcutsDialog"));
    setWindowTitle(tr("Keyboard Shortcuts"));
    auto* tree = new QTreeWidget;
    tree->setObjectName(QStringLiteral("shortcutsTree"));
    tree->setAccessibleName(tr("Keyboard shortcuts"));
    tree->setColumnCount(2);
    tree->setHeaderLabels({tr("What"), tr("Keys")});
    tree->setRootIsDecorated(false);
    tree->setAlternatingRowColors(true);
    for (const QAction* action : actions) {
        if (!action->shortcut().isEmpty()) {
            new QTreeWidgetItem(tree, {actionTitle(*action),
                                       action->shortcut().toString(QKeySequence::NativeText)});
        }
    }
    const QList<QStringList> gestures = {
        {tr("Plots: zoom, move, show all"),
         tr("wheel or + and -, drag or Ctrl+arrows, double click or 0")},
        {tr("Plots: go to a bar or point, choose it"), tr("arrows, Return")},
        {tr("Plots: move the rank line"), tr("drag, Left and Right, with Shift by 8")},
        {tr("Plots: switch a series off and on"), tr("click on its name")},
        {tr("Plots: copy, save, export"), tr("right click, Menu key, View > Plot")},
        {tr("Tables: copy the selection"), tr("Ctrl+C")},
        {tr("Clear a filter, leave a dialog"), tr("Esc")},
    };
    for (const QStringList& gesture : gestures) {
        new QTreeWidgetItem(tree, gesture);
    }
    tree->header()->setSectionResizeMode(0, QHeaderView::ResizeToContents);
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(theme::kMargin, theme::kMargin, theme::kMargin, theme::kMargin);
    layout->addWidget(tree);
    layout->addWidget(buttons);
    resize(560, 520);
}

} // namespace qw
