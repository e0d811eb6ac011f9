#pragma once

#include <optional>

#include <QDialog>

#include "app/gui/background.h"
#include "app/gui/model_path.h"
#include "engine_import.h"

class QCheckBox;
class QFormLayout;
class QLabel;
class QLineEdit;
class QProgressBar;
class QPushButton;

namespace qw {

class AppState;
class Dialogs;

/// Makes a stored run of a quantized model of another program.
class ImportDialog : public QDialog
{
    Q_OBJECT
public:
    /// @param source  a model, its adapter, or a file of either, or empty: the user says
    ImportDialog(AppState& state, Dialogs& dialogs, const QString& source,
                 QWidget* parent = nullptr);

    /// Puts models and adapters in their places, with what lies beside them, once it is found out
    /// what they are.
    void take(const QStringList& given);
    /// While it reads, Esc and Cancel stop that and leave the dialog open.
    void reject() override;

protected:
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;

Q_SIGNALS:
    void imported(const qw::RunResult& run);

private:
    QLineEdit* addPath(QFormLayout& form, const QString& name, const QString& label,
                       const QString& placeholder);
    /// A button beside a path that asks for a folder, or for a file if there is a filter.
    void addBrowse(QFormLayout& form, QLineEdit* edit, const QString& name, const QString& text,
                   const QString& title, const QString& filter);
    void put(const ModelPath& given, const std::optional<QuantizedFiles>& found);
    /// One found beside another model goes with that; one that the user chose stays.
    void forgetFoundAdapter();
    ImportOptions options() const;
    void check();
    void start();
    void setReading(bool reading);

    AppState& m_state;
    Dialogs& m_dialogs;
    QLineEdit* m_source = nullptr;
    QLineEdit* m_model = nullptr;
    QLineEdit* m_adapter = nullptr;
    QStringList m_toTake;   ///< not known yet what they are
    QString m_foundAdapter; ///< beside the model in the dialog, put there by put()
    QCheckBox* m_measure = nullptr;
    QWidget* m_fields = nullptr;
    QLabel* m_phase = nullptr;
    QProgressBar* m_bar = nullptr;
    QLabel* m_problem = nullptr;
    QPushButton* m_import = nullptr;
    QPushButton* m_close = nullptr;
    Background m_reader; // these last: stopped and joined before the rest goes
    Background m_finder;
};

} // namespace qw
