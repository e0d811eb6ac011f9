#include "app/gui/about_dialog.h"

#include <QDialogButtonBox>
#include <QLabel>
#include <QVBoxLayout>

#include "widgets/icons.h"
#include "widgets/theme.h"

namespace qw {

AboutDialog::AboutDialog(const std::optional<engine_calls::Facts>& facts, QWidget* parent)
    : QDialog(parent)
{
    setObjectName(QStringLiteral("aboutDialog"));
    setWindowTitle(tr("About Quant Workbench"));
    auto* picture = new QLabel;
    picture->setPixmap(icons::icon(icons::Shape::App).pixmap(64, 64));
    QString versions = tr("Qt %1").arg(QString::fromLatin1(qVersion()));
    if (facts) {
        versions += tr("<br>libtorch %1, %2<br>%3")
                        .arg(QString::fromStdString(facts->info.torch).toHtmlEscaped(),
                             QString::fromStdString(facts->info.blas).toHtmlEscaped(),
                             QString::fromStdString(facts->info.cpu).toHtmlEscaped());
    }
    auto* text = new QLabel(
        tr("<h2>Quant Workbench %1</h2>"
           "<p>Quantizes language models with low-rank methods and shows what it did.</p>"
           "<p>%2</p>"
           "<p>Licensed under the GNU General Public License, version 3 or later.</p>"
           "<p>Built on Qt (LGPL-3.0), QCustomPlot (GPL-3.0), PyTorch (BSD-3-Clause), OpenBLAS "
           "(BSD-3-Clause), Eigen "
           "(MPL-2.0), SQLite (public domain), nlohmann/json (MIT), Oniguruma (BSD-2-Clause), "
           "utf8proc (MIT) and xxHash (BSD-2-Clause).</p>"
           "<p>The bundled model was trained on public-domain texts.</p>")
            .arg(QStringLiteral(QW_VERSION), versions));
    text->setObjectName(QStringLiteral("aboutLabel"));
    text->setWordWrap(true);
    text->setMinimumWidth(460);
    text->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    auto* row = new QHBoxLayout;
    row->setSpacing(theme::kSection);
    row->addWidget(picture, 0, Qt::AlignTop);
    row->addWidget(text, 1);
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(theme::kSection, theme::kSection, theme::kSection, theme::kMargin);
    layout->addLayout(row);
    layout->addWidget(buttons);
}

} // namespace qw
