#include "widgets/error_dialog.h"

#include <QClipboard>
#include <QDesktopServices>
#include <QDialogButtonBox>
#include <QGuiApplication>
#include <QLabel>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QStyle>
#include <QUrl>
#include <QVBoxLayout>

#include "widgets/theme.h"

namespace qw {

ErrorDialog::ErrorDialog(const QString& title, const QString& sentence, const QString& details,
                         const QString& logFile, QWidget* parent)
    : QDialog(parent)
{
    setObjectName(QStringLiteral("errorDialog"));
    setWindowTitle(title);
    auto* picture = new QLabel;
    const int size = style()->pixelMetric(QStyle::PM_MessageBoxIconSize);
    picture->setPixmap(style()->standardIcon(QStyle::SP_MessageBoxWarning).pixmap(size, size));
    auto* text = new QLabel(sentence);
    text->setObjectName(QStringLiteral("errorLabel"));
    text->setTextFormat(Qt::PlainText);
    text->setWordWrap(true);
    text->setMinimumWidth(26 * text->fontMetrics().averageCharWidth() * 2);
    text->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    auto* top = new QHBoxLayout;
    top->setSpacing(theme::kSection);
    top->addWidget(picture, 0, Qt::AlignTop);
    top->addWidget(text, 1);

    auto* box = new QPlainTextEdit(details);
    box->setObjectName(QStringLiteral("errorDetailsEdit"));
    box->setAccessibleName(tr("Details"));
    box->setReadOnly(true);
    box->setMinimumHeight(120);
    box->hide();

    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    if (!details.isEmpty()) {
        auto* more = buttons->addButton(tr("&Details"), QDialogButtonBox::ActionRole);
        more->setObjectName(QStringLiteral("errorDetailsButton"));
        more->setCheckable(true);
        connect(more, &QPushButton::toggled, this, [this, box](bool shown) {
            box->setVisible(shown);
            adjustSize();
        });
    }
    auto* copy = buttons->addButton(tr("&Copy"), QDialogButtonBox::ActionRole);
    copy->setObjectName(QStringLiteral("errorCopyButton"));
    connect(copy, &QPushButton::clicked, this, [sentence, details] {
        QGuiApplication::clipboard()->setText(details.isEmpty() ? sentence
                                                                : sentence + u'\n' + details);
    });
    if (!logFile.isEmpty()) {
        auto* log = buttons->addButton(tr("Open &Log File"), QDialogButtonBox::ActionRole);
        log->setObjectName(QStringLiteral("errorLogButton"));
        log->setToolTip(logFile);
        connect(log, &QPushButton::clicked, this,
                [logFile] { QDesktopServices::openUrl(QUrl::fromLocalFile(logFile)); });
    }
    buttons->button(QDialogButtonBox::Close)->setDefault(true);

    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(theme::kSection, theme::kSection, theme::kSection, theme::kMargin);
    layout->setSpacing(theme::kMargin);
    layout->addLayout(top);
    layout->addWidget(box, 1);
    layout->addWidget(buttons);
}

} // namespace qw
