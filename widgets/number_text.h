#pragma once

#include <cstdint>

#include <QString>

/// How numbers look everywhere in the window. A missing number (NaN) is an en dash, never 0.
namespace qw::text {

QString number(double value, int decimals);
/// Three decimals and one standard error. @param nllStderr  of the mean nats; the error of the
/// perplexity follows as perplexity times it
QString perplexity(double perplexity, double nllStderr);
/// 0.0213 -> "2.13 %": three significant digits.
QString percent(double share);
QString bitsPerWeight(double bits);    ///< two decimals
QString decibel(double value);         ///< one decimal and the unit
QString megabytes(std::int64_t bytes); ///< 10^6 bytes; GB from 10^9
QString exactBytes(std::int64_t bytes);
QString count(std::int64_t number);          ///< "5.2 M"
QString duration(double seconds);            ///< "3.1 s", "1:12", "2 h 05"
QString shortLayerName(const QString& name); ///< "model.layers.3.mlp.up_proj" -> "up_proj"

} // namespace qw::text
