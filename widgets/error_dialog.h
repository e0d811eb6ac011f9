#pragma once

#include <QDialog>

namespace qw {

/// One sentence saying what went wrong and what is kept; details and the log file on demand.
class ErrorDialog : public QDialog
{
    Q_OBJECT
public:
    /// @param details  shown folded, may be empty; @param logFile  opened by a button, may be empty
    ErrorDialog(const QString& title, const QString& sentence, const QString& details,
                const QString& logFile, QWidget* parent = nullptr);
};

} // namespace qw
