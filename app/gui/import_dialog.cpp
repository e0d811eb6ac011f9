#include "app/gui/import_dialog.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <QCheckBox>
#include <QDialogButtonBox>
#include <QDragEnterEvent>
#include <QFileInfo>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QMimeData>
#include <QProgressBar>
#include <QPushButton>
#include <QVBoxLayout>

#include "app/gui/app_state.h"
#include "app/gui/dialogs.h"
#include "app/gui/export_text.h"
#include "widgets/theme.h"

namespace qw {

using namespace Qt::Literals::StringLiterals;

namespace {
constexpr int kWidth = 680;

QString modelFilter()
{
    return ImportDialog::tr("Models (*.gguf *.safetensors)");
}
} // namespace

ImportDialog::ImportDialog(AppState& state, Dialogs& dialogs, const QString& source,
                           QWidget* parent)
    : QDialog(parent), m_state(state), m_dialogs(dialogs)
{
    setObjectName(u"importDialog"_s);
    setWindowTitle(tr("Import Quantized Model"));
    auto* intro = new QLabel(tr("Makes a stored run of the codes in another program's files: GPTQ, "
                                "AWQ and compressed-tensors folders, and GGUF files of the types "
                                "F32, F16, BF16, Q4_0, Q5_0, Q8_0 and Q6_K."));
    intro->setWordWrap(true);
    m_fields = new QWidget;
    auto* form = new QFormLayout(m_fields);
    form->setContentsMargins(0, 0, 0, 0);
    form->setHorizontalSpacing(theme::kSection);
    form->setVerticalSpacing(theme::kGap);
    m_source = addPath(*form, u"importSourceLineEdit"_s, tr("&Quantized model"),
                       tr("A folder, or a .gguf or .safetensors file"));
    addBrowse(*form, m_source, u"importFolderButton"_s, tr("&Folder\u2026"),
              tr("Folder of the Quantized Model"), {});
    connect(m_source, &QLineEdit::textChanged, this, &ImportDialog::forgetFoundAdapter);
    addBrowse(*form, m_source, u"importFileButton"_s, tr("Fil&e\u2026"),
              tr("File of the Quantized Model"), modelFilter());
    m_model = addPath(*form, u"importModelLineEdit"_s, tr("&Made of"),
                      tr("Not known: the values of the codes stand in for it"));
    addBrowse(*form, m_model, u"importModelButton"_s, tr("F&older\u2026"),
              tr("Folder of the Model It Was Made Of"), {});
    m_adapter = addPath(*form, u"importAdapterLineEdit"_s, tr("&Adapter"),
                        tr("None: no low-rank correction"));
    addBrowse(*form, m_adapter, u"importAdapterButton"_s, tr("Fol&der\u2026"),
              tr("PEFT Folder of the Adapter"), {});
    addBrowse(*form, m_adapter, u"importAdapterFileButton"_s, tr("Fi&le\u2026"),
              tr("File of the Adapter"), modelFilter());
    const std::string text = state.draft().evaluation.text;
    m_measure =
        new QCheckBox(text.empty() ? tr("Measure it (the Quantize form names no text)")
                                   : tr("Measure it on %1").arg(QString::fromStdString(text)));
    m_measure->setObjectName(u"importMeasureCheckBox"_s);
    m_measure->setEnabled(!text.empty());
    m_measure->setChecked(!text.empty());
    form->addRow({}, m_measure);
    if (!source.isEmpty()) {
        take({source});
    }
    setAcceptDrops(true);
    m_model->setText(state.modelState() == AppState::ModelState::Ready ? state.modelName()
                                                                       : QString());

    m_phase = new QLabel;
    m_phase->setObjectName(u"importPhaseLabel"_s);
    m_phase->setForegroundRole(QPalette::PlaceholderText);
    m_bar = new QProgressBar;
    m_bar->setObjectName(u"importProgressBar"_s);
    m_bar->setAccessibleName(tr("Progress of the phase"));
    m_bar->setTextVisible(false);
    m_problem = new QLabel;
    m_problem->setObjectName(u"importProblemLabel"_s);
    m_problem->setTextFormat(Qt::PlainText);
    m_problem->setWordWrap(true);
    QPalette colors = palette();
    colors.setColor(QPalette::WindowText, theme::problemText(colors));
    m_problem->setPalette(colors);
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Cancel);
    m_close = buttons->button(QDialogButtonBox::Cancel);
    m_close->setAutoDefault(false);
    m_import = buttons->addButton(tr("&Import"), QDialogButtonBox::ActionRole);
    m_import->setObjectName(u"importStartButton"_s);
    m_import->setDefault(true);
    connect(m_import, &QPushButton::clicked, this, &ImportDialog::start);
    connect(buttons, &QDialogButtonBox::rejected, this, &ImportDialog::reject);
    connect(&m_reader, &Background::failed, this, [this](const QString& sentence) {
        setReading(false);
        m_problem->setText(sentence);
    });
    connect(&m_finder, &Background::failed, m_problem, &QLabel::setText);
    connect(&m_finder, &Background::failed, this, [this] { m_toTake.clear(); });
    connect(&m_reader, &Background::progressed, this, [this](const Progress& progress) {
        m_bar->setRange(0, static_cast<int>(progress.total));
        m_bar->setValue(static_cast<int>(progress.done));
        m_phase->setText(export_text::progress(progress));
    });
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(theme::kSection, theme::kSection, theme::kSection, theme::kSection);
    layout->setSpacing(theme::kMargin);
    for (QWidget* widget : {static_cast<QWidget*>(intro), m_fields, static_cast<QWidget*>(m_phase),
                            static_cast<QWidget*>(m_bar), static_cast<QWidget*>(m_problem)}) {
        layout->addWidget(widget);
    }
    layout->addStretch(1);
    layout->addWidget(buttons);
    setMinimumWidth(kWidth);
    setReading(false);
}

QLineEdit* ImportDialog::addPath(QFormLayout& form, const QString& name, const QString& label,
                                 const QString& placeholder)
{
    auto* edit = new QLineEdit;
    edit->setObjectName(name);
    edit->setAccessibleName(QString(label).remove(u'&'));
    edit->setPlaceholderText(placeholder);
    edit->setAcceptDrops(false); // the dialog takes files; a line would take them as text
    connect(edit, &QLineEdit::textChanged, this, &ImportDialog::check);
    auto* line = new QHBoxLayout;
    line->setSpacing(theme::kGap);
    line->addWidget(edit, 1);
    auto* text = new QLabel(label);
    text->setBuddy(edit);
    form.addRow(text, line);
    return edit;
}

void ImportDialog::addBrowse(QFormLayout& form, QLineEdit* edit, const QString& name,
                             const QString& text, const QString& title, const QString& filter)
{
    auto* button = new QPushButton(text);
    button->setObjectName(name);
    button->setAutoDefault(false);
    connect(button, &QPushButton::clicked, this, [this, edit, title, filter] {
        const QString path = filter.isEmpty() ? m_dialogs.askFolder(this, title)
                                              : m_dialogs.askOpenFile(this, title, filter);
        if (!path.isEmpty()) {
            edit->setText(path);
        }
    });
    static_cast<QHBoxLayout*>(form.itemAt(form.rowCount() - 1, QFormLayout::FieldRole)->layout())
        ->addWidget(button);
}

void ImportDialog::take(const QStringList& given)
{
    m_toTake
        << given; // with those still being looked at: a question takes the place of the one before
    m_finder.ask(
        [paths = m_toTake](const RunContext&) {
            std::vector<std::pair<ModelPath, std::optional<QuantizedFiles>>> found;
            for (const QString& path : paths) {
                const ModelPath read = modelPath(path);
                found.emplace_back(read, engine_calls::findQuantized(read.path.toStdString()));
            }
            // An adapter given with its model counts more than one found beside the model.
            std::stable_partition(found.begin(), found.end(),
                                  [](const auto& one) { return !one.first.adapter; });
            return found;
        },
        [this](const auto& found) {
            m_toTake.clear();
            for (const auto& [path, quantized] : found) {
                put(path, quantized);
            }
        });
}

void ImportDialog::put(const ModelPath& given, const std::optional<QuantizedFiles>& found)
{
    if (given.adapter) {
        m_adapter->setText(given.path);
        return;
    }
    m_source->setText(found ? QString::fromStdString(found->model.string()) : given.path);
    if (found && !found->adapter.empty()) {
        m_foundAdapter = QString::fromStdString(found->adapter.string());
        m_adapter->setText(m_foundAdapter);
    }
}

void ImportDialog::forgetFoundAdapter()
{
    if (!m_foundAdapter.isEmpty() && m_adapter->text() == m_foundAdapter) {
        m_adapter->clear();
    }
    m_foundAdapter.clear();
}

void ImportDialog::dragEnterEvent(QDragEnterEvent* event)
{
    if (event->mimeData()->hasUrls() && m_fields->isEnabled()) {
        event->acceptProposedAction();
    }
}

void ImportDialog::dropEvent(QDropEvent* event)
{
    QStringList paths;
    for (const QUrl& url : event->mimeData()->urls()) {
        if (url.isLocalFile()) {
            event->acceptProposedAction();
            paths << url.toLocalFile();
        }
    }
    take(paths);
}

ImportOptions ImportDialog::options() const
{
    const auto path = [](const QLineEdit* edit) {
        return modelPath(edit->text().trimmed()).path.toStdString();
    };
    ImportOptions options;
    options.source = path(m_source);
    options.model = path(m_model);
    options.adapter = path(m_adapter);
    options.workFolder = m_state.workFolder();
    if (m_measure->isChecked()) {
        options.evaluation = m_state.draft().evaluation;
    }
    return options;
}

void ImportDialog::check()
{
    if (m_import == nullptr) {
        return; // still being made
    }
    m_problem->clear();
    const QFileInfo source(m_source->text().trimmed());
    if (!m_source->text().isEmpty() && !source.exists()) {
        m_problem->setText(tr("There is no %1.").arg(source.filePath()));
    }
    m_import->setEnabled(source.exists() && source.isAbsolute());
}

void ImportDialog::start()
{
    setReading(true);
    m_reader.ask(
        [options = options(), file = m_state.storeFile()](const RunContext& run) {
            return engine_calls::importModel(options, file, run);
        },
        [this](const RunResult& run) {
            accept();
            Q_EMIT imported(run);
        });
}

void ImportDialog::setReading(bool reading)
{
    m_fields->setEnabled(!reading);
    m_phase->clear();
    m_bar->setRange(0, 0);
    m_bar->setVisible(reading);
    check();
    m_import->setEnabled(m_import->isEnabled() && !reading);
}

void ImportDialog::reject()
{
    if (m_reader.busy()) {
        m_reader.cancel();
        setReading(false);
        m_problem->setText(tr("Cancelled; nothing is left behind."));
        return;
    }
    QDialog::reject();
}

} // namespace qw
