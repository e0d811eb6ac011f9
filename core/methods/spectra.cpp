#include "methods/spectra.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace qw {

namespace {
double sumOfSquares(const std::vector<double>& values, std::size_t count)
{
    return std::accumulate(values.begin(),
                           values.begin() +
                               static_cast<std::ptrdiff_t>(std::min(count, values.size())),
                           0.0, [](double sum, double value) { return sum + value * value; });
}
} // namespace

std::vector<double> Spectrum::normalized() const
{
    const double norm = std::sqrt(sumOfSquares(values, values.size()));
    std::vector<double> result = values;
    if (norm > 0) {
        std::for_each(result.begin(), result.end(), [&](double& value) { value /= norm; });
    }
    return result;
}

double Spectrum::energyAt(std::int64_t k) const
{
    const double all = sumOfSquares(values, values.size());
    return all > 0
               ? sumOfSquares(values, static_cast<std::size_t>(std::max<std::int64_t>(0, k))) / all
               : 1;
}

double stableRank(const Spectrum& weight)
{
    if (weight.values.empty() || weight.values.front() == 0) {
        return 0;
    }
    return sumOfSquares(weight.values, weight.values.size()) /
           (weight.values.front() * weight.values.front());
}

MarchenkoPastur marchenkoPastur(const Spectrum& weight, std::int64_t rows, std::int64_t cols)
{
    const double entries = static_cast<double>(rows) * static_cast<double>(cols);
    const double sigma = std::sqrt(sumOfSquares(weight.values, weight.values.size()) / entries);
    MarchenkoPastur result;
    result.edge =
        sigma * (std::sqrt(static_cast<double>(rows)) + std::sqrt(static_cast<double>(cols)));
    result.above = std::count_if(weight.values.begin(), weight.values.end(),
                                 [&](double value) { return value > result.edge; });
    return result;
}

} // namespace qw
