#include "widgets/number_text.h"

#include <array>
#include <cmath>

#include <QCoreApplication>
#include <QLocale>

#include "report/number_format.h"

namespace qw::text {

QString number(double value, int decimals)
{
    return QString::fromStdString(formatNumber(value, decimals));
}

QString perplexity(double perplexity, double nllStderr)
{
    // As many decimals as there is room for: a broken model's perplexity has many digits before.
    const int decimals = perplexity < 1e3 ? 3 : perplexity < 1e5 ? 1 : 0;
    return QString::fromStdString(formatWithError(perplexity, perplexity * nllStderr, decimals));
}

QString percent(double share)
{
    return QString::fromStdString(formatPercent(share));
}

QString bitsPerWeight(double bits)
{
    return number(bits, 2);
}

QString decibel(double value)
{
    return number(value, 1) + (std::isfinite(value) ? QStringLiteral(" dB") : QString());
}

QString megabytes(std::int64_t bytes)
{
    constexpr double kGigabyte = 1e9;
    const auto size = static_cast<double>(bytes);
    return size < kGigabyte ? QString::fromStdString(formatMegabytes(bytes))
                            : number(size / kGigabyte, 1) + QStringLiteral(" GB");
}

QString exactBytes(std::int64_t bytes)
{
    return QCoreApplication::translate("number", "%1 bytes")
        .arg(QLocale(QLocale::English).toString(static_cast<qlonglong>(bytes)));
}

QString count(std::int64_t number)
{
    struct Unit {
        double size;
        QString name;
    };
    static const std::array<Unit, 3> kUnits = {
        {{1e9, QStringLiteral(" B")}, {1e6, QStringLiteral(" M")}, {1e3, QStringLiteral(" k")}}};
    for (const Unit& unit : kUnits) {
        const double value = static_cast<double>(number) / unit.size;
        if (value >= 1) {
            return text::number(value, value < 100 ? 1 : 0) + unit.name;
        }
    }
    return QString::number(number);
}

QString duration(double seconds)
{
    return QString::fromStdString(formatDuration(seconds));
}

QString shortLayerName(const QString& name)
{
    return name.section(QLatin1Char('.'), -1);
}

} // namespace qw::text
