#include "widgets/theme.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <QApplication>
#include <QToolTip>

#include "widgets/outlined_style.h"

namespace qw::theme {

namespace {
struct Shades {
    QRgb window, base, alternate, text, button, highlight, highlightedText, quiet, link, mid, dark,
        tipBase, disabled;
};

QPalette paletteFrom(const Shades& s)
{
    QPalette p;
    p.setColor(QPalette::Window, s.window);
    p.setColor(QPalette::WindowText, s.text);
    p.setColor(QPalette::Base, s.base);
    p.setColor(QPalette::AlternateBase, s.alternate);
    p.setColor(QPalette::Text, s.text);
    p.setColor(QPalette::PlaceholderText, s.quiet);
    p.setColor(QPalette::Button, s.button);
    p.setColor(QPalette::ButtonText, s.text);
    p.setColor(QPalette::BrightText, QRgb(0xffffffff));
    p.setColor(QPalette::Highlight, s.highlight);
    p.setColor(QPalette::HighlightedText, s.highlightedText);
    p.setColor(QPalette::Link, s.link);
    p.setColor(QPalette::LinkVisited, s.link);
    p.setColor(QPalette::Light, QColor(s.button).lighter(115));
    p.setColor(QPalette::Midlight, QColor(s.button).lighter(107));
    p.setColor(QPalette::Mid, s.mid);
    p.setColor(QPalette::Dark, s.dark);
    p.setColor(QPalette::Shadow, QRgb(0xff000000));
    p.setColor(QPalette::ToolTipBase, s.tipBase);
    p.setColor(QPalette::ToolTipText, s.text);
    for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText}) {
        p.setColor(QPalette::Disabled, role, s.disabled);
    }
    p.setColor(QPalette::Disabled, QPalette::Highlight, s.mid);
    p.setColor(QPalette::Disabled, QPalette::HighlightedText, s.text);
    return p;
}

double luminance(const QColor& color)
{
    const auto linear = [](double c) {
        return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
    };
    return 0.2126 * linear(color.redF()) + 0.7152 * linear(color.greenF()) +
           0.0722 * linear(color.blueF());
}

QColor mixed(const QColor& a, const QColor& b, double share)
{
    const auto mix = [share](int x, int y) {
        return static_cast<int>(std::lround(x + share * (y - x)));
    };
    return {mix(a.red(), b.red()), mix(a.green(), b.green()), mix(a.blue(), b.blue())};
}

template <std::size_t N>
QColor along(const std::array<QRgb, N>& stops, double t)
{
    const double place = std::clamp(t, 0.0, 1.0) * static_cast<double>(N - 1);
    const auto left = std::min(static_cast<std::size_t>(place), N - 2);
    return mixed(stops.at(left), stops.at(left + 1), place - static_cast<double>(left));
}
} // namespace

QPalette lightPalette()
{
    return paletteFrom({.window = 0xfff3f4f6,
                        .base = 0xffffffff,
                        .alternate = 0xfff7f8fa,
                        .text = 0xff1b1f24,
                        .button = 0xffe9ebee,
                        .highlight = 0xff0a64ad,
                        .highlightedText = 0xffffffff,
                        .quiet = 0xff5c646d,
                        .link = 0xff0a5ca0,
                        .mid = 0xffc3c8ce,
                        .dark = 0xff9aa1a9,
                        .tipBase = 0xfffdfdf3,
                        .disabled = 0xff8b939c});
}

QPalette darkPalette()
{
    return paletteFrom({.window = 0xff212429,
                        .base = 0xff181a1e,
                        .alternate = 0xff1d2024,
                        .text = 0xffe4e7ea,
                        .button = 0xff2d3137,
                        .highlight = 0xff1f6aa8,
                        .highlightedText = 0xffffffff,
                        .quiet = 0xff9da6b0,
                        .link = 0xff74b9f5,
                        .mid = 0xff454b53,
                        .dark = 0xff14161a,
                        .tipBase = 0xff2f343b,
                        .disabled = 0xff6d757e});
}

void apply(QApplication& app, bool dark)
{
    if (qobject_cast<OutlinedStyle*>(app.style()) == nullptr) {
        QApplication::setStyle(new OutlinedStyle);
    }
    const QPalette palette = dark ? darkPalette() : lightPalette();
    QApplication::setPalette(palette);
    QToolTip::setPalette(palette);
}

bool isDark(const QPalette& palette)
{
    return palette.color(QPalette::Window).lightness() < 128;
}

QColor quietText(const QPalette& palette)
{
    return palette.color(QPalette::PlaceholderText);
}

QColor hairline(const QPalette& palette)
{
    return mixed(palette.color(QPalette::Window), palette.color(QPalette::WindowText), 0.16);
}

QColor problemText(const QPalette& palette)
{
    return isDark(palette) ? QColor(0xff, 0x8f, 0x7d) : QColor(0xb3, 0x26, 0x1e);
}

QColor goodText(const QPalette& palette)
{
    return isDark(palette) ? QColor(0x5c, 0xc9, 0xa0) : QColor(0x00, 0x6b, 0x4d);
}

double contrast(const QColor& a, const QColor& b)
{
    const double la = luminance(a);
    const double lb = luminance(b);
    return (std::max(la, lb) + 0.05) / (std::min(la, lb) + 0.05);
}

QColor sequential(double t)
{
    static constexpr std::array<QRgb, 9> kViridis = {0xff440154, 0xff472d7b, 0xff3b528b,
                                                     0xff2c728e, 0xff21918c, 0xff28ae80,
                                                     0xff5ec962, 0xffaddc30, 0xfffde725};
    return along(kViridis, t);
}

QColor diverging(double t)
{
    static constexpr std::array<QRgb, 7> kBlueOrange = {
        0xff08519c, 0xff4a90c8, 0xffa9cfe6, 0xfff7f7f7, 0xfff9c592, 0xffe8853a, 0xffa63603};
    return along(kBlueOrange, (t + 1) / 2);
}

} // namespace qw::theme
