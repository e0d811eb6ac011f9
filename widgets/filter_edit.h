#pragma once

#include <functional>

#include <QWidget>

class QLabel;
class QLineEdit;

namespace qw {

/// A line to filter a list by and, under it, what is wrong with the filter. The line gets its
/// focus; Escape there clears it.
class FilterEdit : public QWidget
{
    Q_OBJECT
public:
    /// @param name  in front of the names of its parts: nameLineEdit, nameProblemLabel
    explicit FilterEdit(const QString& name, QWidget* parent = nullptr);
    /// For its text, its names and its hints.
    QLineEdit* line() const { return m_line; }
    /// Gives the text to @p filter and shows why it is refused, if it throws an Error.
    void applyTo(const std::function<void(const QString& text)>& filter);
    /// For a shortcut: as setFocus(), and what is typed next replaces the filter.
    void focus();

Q_SIGNALS:
    void textChanged(const QString& text);

private:
    QLineEdit* m_line = nullptr;
    QLabel* m_problem = nullptr;
};

} // namespace qw
