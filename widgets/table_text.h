#pragma once

#include <QString>

class QTableView;

namespace qw {

/// What a table shows as tab-separated lines: the selected rows (all of them without a selection),
/// the columns shown in their order, a line of titles first.
QString tableText(const QTableView& table);

/// Ctrl+C in the table copies tableText().
void enableCopy(QTableView& table);

} // namespace qw
