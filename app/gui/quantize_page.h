#pragma once

#include <string>
#include <vector>

#include <QWidget>

#include "app/gui/background.h"
#include "app/gui/presets.h"
#include "report/run_spec.h"

class QComboBox;
class QLabel;
class QPushButton;

namespace qw {

struct MethodDescription;
class AppState;
class Dialogs;
class EstimatePanel;
class SpecForm;

/// The draft of the next run as one form, with what it will cost beside it.
class QuantizePage : public QWidget
{
    Q_OBJECT
public:
    QuantizePage(AppState& state, Dialogs& dialogs, QWidget* parent = nullptr);

    bool canRun() const { return whyNot().isEmpty(); }
    void chooseRecipe();
    void importRecipe(const QString& file);
    void exportRecipe();
    void copyCommand();
    void clearOverrides();

Q_SIGNALS:
    void runWanted(bool showIt); ///< start now and show, or only queue
    void sweepWanted();
    void canRunChanged();
    void message(const QString& text); ///< for the status bar

private:
    QWidget* makeForm();
    QWidget* makeSide();
    QWidget* makeButtons();
    void rebuildFields();
    void showDraft();
    void takeEdit(const RunSpec& spec, const QString& field);
    /// Changes the method; number formats go by what the user had, not by what the method before
    /// made of them.
    void turnTo(const MethodDescription& method, const QString& field);
    bool asTurned() const; ///< the draft's formats are as the last change of method left them
    void showPreset(int index);
    void choosePreset(int index);
    void browse(const QString& path);
    QString whyNot() const; ///< the draft cannot run, in a few words; empty: it can
    void showButtons();
    void askSettled(); ///< what the program takes for the numbers that the draft leaves open
    RunSpec preset() const;
    std::int64_t context() const; ///< tokens that the open model sees at most; 0: none is open
    /// Why calibration windows are shorter than the preset's, or empty.
    QString calibrationNote() const;

    AppState& m_state;
    Dialogs& m_dialogs;
    std::vector<Preset> m_recipes;
    QComboBox* m_presets = nullptr;
    QLabel* m_presetSource = nullptr;
    SpecForm* m_form = nullptr;
    EstimatePanel* m_estimate = nullptr;
    QLabel* m_overridesLabel = nullptr;
    QPushButton* m_clearOverrides = nullptr;
    QPushButton* m_start = nullptr;
    QPushButton* m_enqueue = nullptr;
    QPushButton* m_sweep = nullptr;
    QLabel* m_why = nullptr;
    Background m_settling;
    std::string m_method; ///< the fields shown are this one's
};

} // namespace qw
