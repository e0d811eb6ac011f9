#pragma once

#include <QString>

#include "engine.h"

namespace qw {

/// A spec turned to another method, and what of it had to change so that the method takes it.
struct MethodChange {
    RunSpec spec;
    QString said; ///< a sentence for beside the number format; empty where nothing changed
};

/// Where the number formats of a draft are from, so that going back to a method restores them.
struct MethodTurn {
    RunSpec own;    ///< with the formats from before methods changed them
    RunSpec turned; ///< what it became by the last change of method
    QString said;   ///< what that changed of the formats, for people
};

/// As withMethod(); a format, group, range or width that the method does not have becomes one that
/// it has.
MethodChange turnedTo(const RunSpec& spec, const MethodDescription& method);

} // namespace qw
