#pragma once

// QCustomPlot's header uses Qt's keywords as macros, which this project switches off: this file
// lends them to it. Include it in .cpp files only, never where moc looks.
// clang-format off
#include <QObject>
#define signals Q_SIGNALS
#define slots Q_SLOTS
#define emit Q_EMIT
#define foreach Q_FOREACH
#include <qcustomplot.h>
#undef foreach
#undef emit
#undef slots
#undef signals
// clang-format on
