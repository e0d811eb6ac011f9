#include "app/gui/plot_exports.h"

#include "app/gui/dialogs.h"
#include "base/error.h"
#include "widgets/plot_view.h"

namespace qw {

void connectExports(PlotView& plot, Dialogs& dialogs)
{
    QObject::connect(&plot, &PlotView::saveWanted, &plot,
                     [&plot, &dialogs](const QString& name, const QString& filter) {
                         const QString file =
                             dialogs.askSaveFile(&plot, PlotView::tr("Save Plot"), name, filter);
                         if (file.isEmpty()) {
                             return;
                         }
                         try {
                             plot.saveAs(file);
                         } catch (const Error& error) {
                             dialogs.showProblem(&plot, PlotView::tr("Cannot Save the Plot"),
                                                 QString::fromStdString(error.what()));
                         }
                     });
}

} // namespace qw
