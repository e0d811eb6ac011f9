#pragma once

#include <QIcon>

/// Icons drawn as paths in the colour of the palette's text, so that both themes and every
/// screen density get a sharp one.
namespace qw::icons {

enum class Shape {
    Start,
    Inspect,
    Quantize,
    Compare,
    Layers,
    Queue,
    Star,
    StarFilled,
    Folder,
    Close,
    Float,
    App
};

QIcon icon(Shape shape);

} // namespace qw::icons
