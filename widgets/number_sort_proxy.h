#pragma once

#include <QSortFilterProxyModel>

namespace qw {

/// Sorts by the numbers that the model has in a role of its own; missing ones (NaN) come last,
/// whichever way.
class NumberSortProxy : public QSortFilterProxyModel
{
    Q_OBJECT
public:
    explicit NumberSortProxy(int role, QObject* parent = nullptr);

protected:
    bool lessThan(const QModelIndex& left, const QModelIndex& right) const override;
};

} // namespace qw
