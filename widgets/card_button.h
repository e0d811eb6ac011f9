#pragma once

#include <QAbstractButton>

namespace qw {

/// A wide button with a title, a second line and a note on the right: an offer on the start page.
class CardButton : public QAbstractButton
{
    Q_OBJECT
public:
    CardButton(const QString& title, const QString& subtitle, const QString& note = {},
               QWidget* parent = nullptr);
    void setSubtitle(const QString& subtitle);
    void setNote(const QString& note);
    /// The main offer of the page: drawn in the highlight colour.
    void setPrimary(bool primary);
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;
    bool event(QEvent* event) override;

private:
    QString m_subtitle;
    QString m_note;
    bool m_primary = false;
};

} // namespace qw
