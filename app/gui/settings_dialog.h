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
    /// @param storeInUse     the file that is open now
    /// @param ofCommandLine  it was given by --store, not by the settings
    SettingsDialog(Settings& settings, const std::optional<engine_calls::Facts>& facts,
                   const QString& storeInUse, bool ofCommandLine, QWidget* parent = nullptr);

Q_SIGNALS:
    void themeChanged();

private:
    Settings& m_settings;
};

} // namespace qw
