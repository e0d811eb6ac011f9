#pragma once

#include <QString>

#include "engine.h"

namespace qw {

/// A spec turned to another method, and what of it had to change so that the method takes it.
struct MethodChange {
    RunSpec spec;
    QString said; ///< a sentence for beside the number format; empty where nothing changed
};

/// As withMethod(); a format, group, range or width that the method does not have becomes one that
/// it has.
MethodChange turnedTo(const RunSpec& spec, const MethodDescription& method);

} // namespace qw
