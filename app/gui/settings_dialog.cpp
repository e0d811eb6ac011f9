#include "app/gui/settings_dialog.h"

#include <QCheckBox>
#include <QComboBox>
#include <QDialogButtonBox>
#include <QDir>
#include <QFileInfo>
#include <QFormLayout>
#include <QLabel>
#include <QLineEdit>
#include <QSpinBox>
#include <QVBoxLayout>

#include "app/gui/run_text.h"
#include "app/gui/settings.h"
#include "base/error.h"
#include "store/run_store.h"
#include "widgets/theme.h"

namespace qw {

using Key = Settings::Key;

namespace {
constexpr int kMaxThreads = 4096;

QLabel* hint(const QString& text)
{
    auto* label = new QLabel(text);
    label->setWordWrap(true);
    label->setForegroundRole(QPalette::PlaceholderText);
    return label;
}

/// "~" as the shell reads it.
QString wholePath(const QString& text)
{
    return text == QStringLiteral("~") || text.startsWith(QStringLiteral("~/"))
               ? QDir::homePath() + text.mid(1)
               : text;
}

/// Why no store can be there, or empty: the window opens it before anything can be shown.
QString problemOfStore(const QString& file)
{
    const QFileInfo info(file);
    if (file.isEmpty()) {
        return {};
    }
    if (info.isRelative() || info.isDir()) {
        return SettingsDialog::tr("Not taken: a store is a file, named with its whole path.");
    }
    if (!info.exists()) {
        const QFileInfo folder(info.path());
        return folder.isDir() && folder.isWritable()
                   ? QString()
                   : SettingsDialog::tr("Not taken: nothing can be written in %1.")
                         .arg(info.path());
    }
    try {
        const RunStore checked(file.toStdString());
        return {};
    } catch (const Error& error) {
        return SettingsDialog::tr("Not taken: %1").arg(QString::fromStdString(error.what()));
    }
}
} // namespace

SettingsDialog::SettingsDialog(Settings& settings, const std::optional<engine_calls::Facts>& facts,
                               const QString& storeInUse, bool ofCommandLine, QWidget* parent)
    : QDialog(parent), m_settings(settings)
{
    setObjectName(QStringLiteral("settingsDialog"));
    setWindowTitle(tr("Settings"));
    auto* theme = new QComboBox;
    theme->setObjectName(QStringLiteral("themeComboBox"));
    theme->addItem(tr("Like the desktop"), QStringLiteral("desktop"));
    theme->addItem(tr("Light"), QStringLiteral("light"));
    theme->addItem(tr("Dark"), QStringLiteral("dark"));
    theme->setCurrentIndex(theme->findData(settings.text(Key::Theme)));
    connect(theme, &QComboBox::activated, this, [this, theme] {
        m_settings.set(Key::Theme, theme->currentData());
        Q_EMIT themeChanged();
    });

    auto* reopen = new QCheckBox(tr("Open the &last model at start"));
    reopen->setObjectName(QStringLiteral("reopenCheckBox"));
    reopen->setChecked(settings.flag(Key::ReopenModel));
    connect(reopen, &QCheckBox::toggled, this,
            [this](bool on) { m_settings.set(Key::ReopenModel, on); });

    auto* notify = new QCheckBox(tr("Tell me when a run is &done and the window is not in front"));
    notify->setObjectName(QStringLiteral("notifyCheckBox"));
    notify->setChecked(settings.flag(Key::Notify));
    connect(notify, &QCheckBox::toggled, this,
            [this](bool on) { m_settings.set(Key::Notify, on); });

    auto* threads = new QSpinBox;
    threads->setObjectName(QStringLiteral("threadsSpinBox"));
    threads->setRange(0, kMaxThreads);
    threads->setSpecialValueText(facts ? tr("all %1 cores").arg(facts->info.physicalCores)
                                       : tr("all cores"));
    threads->setValue(settings.number(Key::Threads));
    connect(threads, &QSpinBox::valueChanged, this,
            [this](int value) { m_settings.set(Key::Threads, value); });

    auto* store = new QLineEdit(settings.text(Key::StoreFile));
    store->setObjectName(QStringLiteral("storeLineEdit"));
    store->setPlaceholderText(QString::fromStdString(RunStore::defaultFile().string()));
    store->setClearButtonEnabled(true);
    auto* storeHint = hint(tr("Another store is opened at the next start."));
    storeHint->setObjectName(QStringLiteral("storeHintLabel"));
    QString breakable = run_text::path(storeInUse);
    breakable.replace(u'/', QStringLiteral("/\u200b")); // lines may end there
    auto* inUse = hint(
        ofCommandLine ? tr("In use now, given on the command line (--store): %1").arg(breakable)
                      : tr("In use now: %1").arg(breakable));
    inUse->setObjectName(QStringLiteral("storeInUseLabel"));
    inUse->setTextFormat(Qt::PlainText);
    inUse->setToolTip(storeInUse);
    connect(store, &QLineEdit::editingFinished, this, [this, store, storeHint] {
        const QString file = wholePath(store->text().trimmed());
        const QString problem = problemOfStore(file);
        storeHint->setText(problem.isEmpty() ? tr("Another store is opened at the next start.")
                                             : problem);
        if (problem.isEmpty()) {
            store->setText(file);
            m_settings.set(Key::StoreFile, file);
        }
    });

    auto* form = new QFormLayout;
    form->setHorizontalSpacing(theme::kSection);
    form->setVerticalSpacing(theme::kGap);
    form->addRow(tr("&Theme:"), theme);
    form->addRow(QString(), reopen);
    form->addRow(QString(), notify);
    form->addRow(tr("T&hreads of new runs:"), threads);
    form->addRow(QString(), hint(tr("The number of threads decides the last bits of a result.")));
    form->addRow(tr("&Store of runs:"), store);
    form->addRow(QString(), storeHint);
    form->addRow(QString(), inUse);
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(theme::kSection, theme::kSection, theme::kSection, theme::kMargin);
    layout->setSpacing(theme::kSection);
    layout->addLayout(form);
    layout->addStretch(1);
    layout->addWidget(buttons);
    resize(520, sizeHint().height());
}

} // namespace qw
