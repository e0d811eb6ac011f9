#pragma once

#include <optional>

#include <QDialog>

#include "app/gui/engine_calls.h"

namespace qw {

/// Versions of everything in use, and licences.
class AboutDialog : public QDialog
{
    Q_OBJECT
public:
    explicit AboutDialog(const std::optional<engine_calls::Facts>& facts,
                         QWidget* parent = nullptr);
};

} // namespace qw
