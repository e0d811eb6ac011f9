#pragma once

#include <QDBusVariant>
#include <QObject>

namespace qw {

/// Whether the desktop prefers dark, as the XDG settings portal says (Qt 6.4 does not know);
/// without a portal: light. Follows changes.
class DesktopTheme : public QObject
{
    Q_OBJECT
public:
    explicit DesktopTheme(QObject* parent = nullptr);
    bool dark() const { return m_dark; }

Q_SIGNALS:
    void changed(bool dark);

private Q_SLOTS:
    void settingChanged(const QString& nameSpace, const QString& key, const QDBusVariant& value);

private:
    void take(const QVariant& value);
    bool m_dark = false;
};

} // namespace qw
