#pragma once

#include <QLabel>

namespace qw {

/// A one-line label that shortens its text in the middle when there is no room and then shows the
/// whole text as its tooltip.
class ElidedLabel : public QLabel
{
    Q_OBJECT
public:
    explicit ElidedLabel(const QString& text = {}, QWidget* parent = nullptr);
    /// @param yielding  a part of @p text that is shortened before the others are
    void setFullText(const QString& text, const QString& yielding = {});
    QString fullText() const { return m_text; }
    QSize minimumSizeHint() const override;
    QSize sizeHint() const override;

protected:
    void resizeEvent(QResizeEvent* event) override;

private:
    void elide();
    QString m_text;
    QString m_yielding;
};

} // namespace qw
