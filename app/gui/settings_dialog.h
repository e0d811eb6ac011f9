#pragma once

#include <optional>

#include <QDialog>

#include "app/gui/engine_calls.h"

namespace qw {

class Settings;

/// The settings a user changes by hand. Takes effect at once; the store and threads at the next
/// start, as the page says.
class SettingsDialog : public QDialog
{
    Q_OBJECT
public:
    SettingsDialog(Settings& settings, const std::optional<engine_calls::Facts>& facts,
                   QWidget* parent = nullptr);

Q_SIGNALS:
    void themeChanged();

private:
    Settings& m_settings;
};

} // namespace qw
