#include "widgets/command_palette.h"

#include <algorithm>

#include <QApplication>
#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QPainter>
#include <QStyledItemDelegate>
#include <QVBoxLayout>

#include "widgets/theme.h"

namespace qw {

namespace {
constexpr int kMaxShown = 200;
constexpr int kHintRole = Qt::UserRole + 1;
constexpr int kIndexRole = Qt::UserRole + 2;

/// Text on the left, hint on the right.
class EntryDelegate final : public QStyledItemDelegate
{
public:
    using QStyledItemDelegate::QStyledItemDelegate;
    void paint(QPainter* painter, const QStyleOptionViewItem& option,
               const QModelIndex& index) const override
    {
        QStyledItemDelegate::paint(painter, option, index);
        const bool selected = option.state.testFlag(QStyle::State_Selected);
        painter->save();
        painter->setPen(selected ? option.palette.color(QPalette::HighlightedText)
                                 : theme::quietText(option.palette));
        painter->drawText(option.rect.adjusted(0, 0, -theme::kGap, 0),
                          Qt::AlignRight | Qt::AlignVCenter, index.data(kHintRole).toString());
        painter->restore();
    }
    QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override
    {
        QSize size = QStyledItemDelegate::sizeHint(option, index);
        size.setHeight(option.fontMetrics.height() + theme::kGap);
        return size;
    }
};
} // namespace

int matchScore(const QString& pattern, const QString& text)
{
    int score = 0;
    qsizetype at = 0;
    bool run = false;
    for (const QChar wanted : pattern) {
        if (wanted.isSpace()) {
            run = false;
            continue;
        }
        qsizetype found = -1;
        for (qsizetype i = at; i < text.size(); ++i) {
            if (text.at(i).toCaseFolded() == wanted.toCaseFolded()) {
                found = i;
                break;
            }
        }
        if (found < 0) {
            return -1;
        }
        const bool wordStart = found == 0 || !text.at(found - 1).isLetterOrNumber();
        score += 1 + (run && found == at ? 4 : 0) + (wordStart ? 3 : 0);
        run = true;
        at = found + 1;
    }
    return score * 16 - static_cast<int>(std::min<qsizetype>(text.size(), 15));
}

CommandPalette::CommandPalette(std::vector<PaletteEntry> entries, QWidget* parent)
    : QDialog(parent, Qt::Popup | Qt::FramelessWindowHint), m_entries(std::move(entries)),
      m_input(new QLineEdit), m_list(new QListWidget)
{
    setObjectName(QStringLiteral("commandPalette"));
    setAttribute(Qt::WA_DeleteOnClose);
    setWindowTitle(tr("Find a Command"));
    m_input->setObjectName(QStringLiteral("paletteLineEdit"));
    m_input->setPlaceholderText(tr("Type to find a command, a layer or a run"));
    m_input->setAccessibleName(tr("Search commands, layers and runs"));
    m_input->installEventFilter(this);
    m_list->setObjectName(QStringLiteral("paletteList"));
    m_list->setAccessibleName(tr("Matches"));
    m_list->setItemDelegate(new EntryDelegate(m_list));
    m_list->setFocusPolicy(Qt::NoFocus);
    m_list->setFrameShape(QFrame::NoFrame);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(theme::kGap, theme::kGap, theme::kGap, theme::kGap);
    layout->setSpacing(theme::kGap);
    layout->addWidget(m_input);
    layout->addWidget(m_list);
    connect(m_input, &QLineEdit::textChanged, this, &CommandPalette::refill);
    connect(m_list, &QListWidget::itemClicked, this, &CommandPalette::runCurrent);
    resize(560, 380);
    refill({});
}

bool CommandPalette::eventFilter(QObject* watched, QEvent* event)
{
    if (watched == m_input && event->type() == QEvent::KeyPress) {
        switch (static_cast<QKeyEvent*>(event)->key()) {
        case Qt::Key_Down:
        case Qt::Key_Up:
        case Qt::Key_PageDown:
        case Qt::Key_PageUp:
            QApplication::sendEvent(m_list, event);
            return true;
        case Qt::Key_Return:
        case Qt::Key_Enter:
            runCurrent();
            return true;
        default:
            break;
        }
    }
    return QDialog::eventFilter(watched, event);
}

void CommandPalette::refill(const QString& pattern)
{
    std::vector<std::pair<int, int>> ranked; // score, index
    for (int i = 0; i < static_cast<int>(m_entries.size()); ++i) {
        const int score = matchScore(pattern, m_entries[static_cast<std::size_t>(i)].text);
        if (score >= 0 || pattern.isEmpty()) {
            ranked.emplace_back(score, i);
        }
    }
    if (!pattern.isEmpty()) {
        std::stable_sort(ranked.begin(), ranked.end(),
                         [](const auto& a, const auto& b) { return a.first > b.first; });
    }
    m_list->clear();
    for (const auto& [score, i] : ranked) {
        if (m_list->count() == kMaxShown) {
            break;
        }
        const PaletteEntry& entry = m_entries[static_cast<std::size_t>(i)];
        auto* item = new QListWidgetItem(entry.text, m_list);
        item->setData(kHintRole, entry.hint);
        item->setData(kIndexRole, i);
    }
    m_list->setCurrentRow(0);
}

void CommandPalette::runCurrent()
{
    const QListWidgetItem* item = m_list->currentItem();
    if (item == nullptr) {
        return;
    }
    const auto run = m_entries[static_cast<std::size_t>(item->data(kIndexRole).toInt())].run;
    close();
    run();
}

} // namespace qw
