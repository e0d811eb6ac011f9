#pragma once

#include <functional>
#include <vector>

#include <QDialog>

class QLineEdit;
class QListWidget;

namespace qw {

/// One thing that can be found by typing.
struct PaletteEntry {
    QString text;
    QString hint; ///< the menu, shortcut or kind, shown on the right
    std::function<void()> run;
};

/// How well @p pattern's characters are found in order in @p text: higher is better, -1 not at all.
/// Word beginnings and runs of characters count more.
int matchScore(const QString& pattern, const QString& text);

/// Type to find an action, a layer or a run; Return does it.
class CommandPalette : public QDialog
{
    Q_OBJECT
public:
    explicit CommandPalette(std::vector<PaletteEntry> entries, QWidget* parent = nullptr);

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void refill(const QString& pattern);
    void runCurrent();

    std::vector<PaletteEntry> m_entries;
    QLineEdit* m_input = nullptr;
    QListWidget* m_list = nullptr;
};

} // namespace qw
