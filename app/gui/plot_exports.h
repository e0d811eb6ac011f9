#pragma once

namespace qw {

class Dialogs;
class PlotView;

/// Saving from a plot's menu asks for a file and says what went wrong.
void connectExports(PlotView& plot, Dialogs& dialogs);

} // namespace qw
