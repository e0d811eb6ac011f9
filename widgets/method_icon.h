#pragma once

#include <string>

#include <QIcon>

namespace qw {

/// The colour and marker a method has in every plot, as an icon: the legend beside its runs.
/// Follows the theme when it is painted.
QIcon methodIcon(const std::string& method);

} // namespace qw
