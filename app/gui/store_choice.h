#pragma once

#include <optional>

#include <QString>

namespace qw {

class Dialogs;
class Settings;

/// A store that opens: the one wanted, or what the user chooses instead where that one does not.
/// Why not is said in a dialog and on standard error. A choice in place of the settings' store goes
/// into the settings.
/// @param wanted  of the command line; empty: as the settings say
/// @return for MainWindow, empty: as the settings say; nothing if the user gives up
std::optional<QString> usableStore(Settings& settings, Dialogs& dialogs, const QString& wanted);

} // namespace qw
