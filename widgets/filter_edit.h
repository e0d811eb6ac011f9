#pragma once

#include <functional>

#include <QWidget>

class QLabel;
class QLineEdit;

namespace qw {

/// A line to filter a list by and, under it, what is wrong with the filter.
class FilterEdit : public QWidget
{
    Q_OBJECT
public:
    /// @param name  in front of the names of its parts: nameLineEdit, nameProblemLabel
    explicit FilterEdit(const QString& name, QWidget* parent = nullptr);
    QLineEdit* line() const { return m_line; }
    /// Gives the text to @p filter and shows why it is refused, if it throws an Error.
    void applyTo(const std::function<void(const QString& text)>& filter);
    /// For a shortcut: what is typed next replaces the filter.
    void focus();

private:
    QLineEdit* m_line = nullptr;
    QLabel* m_problem = nullptr;
};

} // namespace qw
