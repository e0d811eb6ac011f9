#pragma once

#include <functional>

#include <QString>
#include <QStringList>

#include "base/json_io.h"
#include "base/param_spec.h"

class QWidget;

namespace qw {

/// An input made from a description: a check box, a spin box, a list or a line.
struct SpecControl {
    QWidget* widget = nullptr;
    std::function<void(const Json&)> show; ///< puts a value in without telling anybody
    /// Of numbers: what their least value is shown as; empty: as it is.
    std::function<void(const QString&)> nameLeast = {};
};

/// @param changed  gets what the user has set, in the JSON type of the parameter
/// @param refused  gets a sentence where what was typed is no value at all
/// @param names    of the choices, for people; empty: as they are
SpecControl makeSpecControl(const ParamSpec& param, std::function<void(const Json&)> changed,
                            std::function<void(const QString&)> refused,
                            const QStringList& names = {});

/// A JSON value as people write it: strings without quotes.
QString plainText(const Json& value);

} // namespace qw
