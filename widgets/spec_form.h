#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include <QStringList>
#include <QWidget>

#include "base/param_spec.h"
#include "report/run_spec.h"

class QGridLayout;
class QLabel;
class QToolButton;
class QVBoxLayout;

namespace qw {

/// One setting of a run spec: where it stands in the JSON and how it is described.
struct SpecField {
    std::string path; ///< "weight.bits"; for a setting at the top: "seed"
    QString section;  ///< fields of one section stand together, in order
    bool advanced = false;
    bool isFile = false; ///< a text to choose from disk
    ParamSpec param;
    std::function<bool(const RunSpec&)> relevant; ///< hidden where false; empty: always shown
    QStringList names = {}; ///< of the choices, for people; empty: as they are
};

/// Edits a run spec through controls made from descriptions, so that a new method needs no new
/// form. Every field has a quiet line of help, whose place the sentence that refuses it takes, and
/// a mark and a button where it differs from the preset.
class SpecForm : public QWidget
{
    Q_OBJECT
public:
    static constexpr int kLabelWidth = 140; ///< of the left column, for what stands above the form
    explicit SpecForm(QWidget* parent = nullptr);
    ~SpecForm() override;

    void setFields(const std::vector<SpecField>& fields);
    /// @param preset  what the reset buttons go back to
    void setSpec(const RunSpec& spec, const RunSpec& preset);
    /// A sentence of somebody who knows more than validate(), such as the estimate; shown at the
    /// field it begins with, else on top. Empty: none.
    void setOutsideProblem(const QString& sentence);
    /// What happened to a setting without the user, in place of its help and from the next
    /// setSpec() on. Empty: nothing.
    void setNote(const std::string& path, const QString& sentence);
    /// The numbers that a run takes where the spec leaves them open, by path, as far as known.
    void setSettled(const std::map<std::string, double>& settled);
    /// What is wrong with the spec shown, by validate(), or with what was typed; empty if nothing.
    QString problem() const { return m_problem; }

Q_SIGNALS:
    /// @param field  the label of what was changed, for the undo text
    void edited(const qw::RunSpec& spec, const QString& field);
    void problemChanged(); ///< without a change of the spec: something typed is no value
    void browseWanted(const QString& path); ///< the user wants to choose a file for this field

protected:
    void changeEvent(QEvent* event) override;

private:
    struct Row;
    QGridLayout* addSection(const QString& title, QVBoxLayout* into);
    void addAdvanced();
    void addRow(const SpecField& field, QGridLayout& grid);
    QWidget* makeCell(Row& row);
    void change(const std::string& path, const Json& value);
    void refresh();
    /// A value as its field shows it.
    QString shownValue(const Row& row, const Json& value) const;
    void nameLeast(const Row& row) const;
    void refuse(const std::string& path, const QString& sentence);
    void showProblems();
    void showProblem(const QString& sentence);
    void showNotes();

    RunSpec m_spec;
    RunSpec m_preset;
    std::vector<std::unique_ptr<Row>> m_rows;
    std::vector<QWidget*> m_sections;
    QVBoxLayout* m_layout = nullptr;
    QToolButton* m_more = nullptr;
    QWidget* m_advanced = nullptr;
    QVBoxLayout* m_advancedLayout = nullptr;
    QLabel* m_general = nullptr; ///< for a sentence that names no field
    QString m_problem;
    QString m_outside;
    std::map<std::string, QString> m_notes;  ///< by path
    std::map<std::string, double> m_settled; ///< by path
};

/// The value at a path of a spec's JSON, and the spec with another one there.
Json specValue(const RunSpec& spec, const std::string& path);
/// @throws Error::BadInput for a value of the wrong type
RunSpec withSpecValue(const RunSpec& spec, const std::string& path, const Json& value);

} // namespace qw
