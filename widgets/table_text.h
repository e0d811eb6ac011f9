#pragma once

#include <QString>

class QAbstractItemView;

namespace qw {

/// What a table or tree shows as tab-separated lines: the selected rows (all of them without a
/// selection), the columns shown in their order, a line of titles first.
QString tableText(const QAbstractItemView& table);

/// Ctrl+C in the table or tree copies tableText().
void enableCopy(QAbstractItemView& table);

} // namespace qw
