#include "widgets/number_sort_proxy.h"

#include <cmath>

namespace qw {

NumberSortProxy::NumberSortProxy(int role, QObject* parent) : QSortFilterProxyModel(parent)
{
    setSortRole(role);
}

bool NumberSortProxy::lessThan(const QModelIndex& left, const QModelIndex& right) const
{
    const double a = left.data(sortRole()).toDouble();
    const double b = right.data(sortRole()).toDouble();
    if (std::isnan(a) || std::isnan(b)) {
        return std::isnan(a) != std::isnan(b) &&
               std::isnan(a) == (sortOrder() == Qt::DescendingOrder);
    }
    return a < b;
}

} // namespace qw
