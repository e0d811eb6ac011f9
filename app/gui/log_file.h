#pragma once

#include <QString>

namespace qw {

/// Sends Qt's and our own messages to a file in the user's state folder as well as to standard
/// error. The file is started afresh beyond 1 MB, the last one is kept beside it.
void startLogFile();
/// Its path, empty before startLogFile().
QString logFile();

} // namespace qw
