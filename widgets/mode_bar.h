#pragma once

#include <QToolBar>

class QActionGroup;

namespace qw {

/// The narrow bar on the left: icon and word of each mode, the current one marked by a bar and a
/// tint (not by colour alone).
class ModeBar : public QToolBar
{
    Q_OBJECT
public:
    explicit ModeBar(QWidget* parent = nullptr);
    /// Adds a checkable action; its button is named NAMEModeButton.
    void addMode(QAction* action, const QString& name);

protected:
    void paintEvent(QPaintEvent* event) override; ///< flat, with a line to the page

private:
    QActionGroup* m_group = nullptr;
};

} // namespace qw
