#pragma once

#include <QColor>
#include <QPalette>

class QApplication;

/// Colours and distances of the whole window: palette roles plus a few tokens, no style sheets.
namespace qw::theme {

constexpr int kTight = 4;
constexpr int kGap = 8;
constexpr int kMargin = 12;
constexpr int kSection = 16;
constexpr int kRadius = 4;
constexpr int kSmallIcon = 16;
constexpr int kLargeIcon = 24;

QPalette lightPalette();
QPalette darkPalette();
/// Fusion with one of the two palettes; live widgets follow.
void apply(QApplication& app, bool dark);
bool isDark(const QPalette& palette);

/// Secondary text: quieter than WindowText, still 4.5:1 on Window and Base.
QColor quietText(const QPalette& palette);
/// A thin line between areas.
QColor hairline(const QPalette& palette);
/// For problems, with text beside it.
QColor problemText(const QPalette& palette);
/// For things that went well, with text beside it.
QColor goodText(const QPalette& palette);

/// Contrast ratio of two opaque colours, 1..21 (WCAG 2.1, relative luminance).
double contrast(const QColor& a, const QColor& b);

/// Viridis at @p t in 0..1: for magnitudes.
QColor sequential(double t);
/// Blue - white - orange at @p t in -1..1: for signed values around zero.
QColor diverging(double t);

} // namespace qw::theme
