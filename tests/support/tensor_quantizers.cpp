#include "support/tensor_quantizers.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include "base/error.h"

namespace qw::test {

const Json& quantizerGolden(const char* part)
{
    static const Json golden = readJsonFile(
        std::filesystem::path(__FILE__).parent_path().parent_path() / "golden/quantizers.json");
    return golden.at(part);
}

const Json& namedCase(const Json& cases, const char* name)
{
    for (const Json& entry : cases) {
        if (entry.at("name") == name) {
            return entry;
        }
    }
    throw Error(ErrorCode::NotFound, message("no golden case ", name));
}

at::Tensor matrixOf(const Json& rows)
{
    std::vector<float> values;
    for (const Json& row : rows) {
        for (const Json& value : row) {
            values.push_back(value.get<float>());
        }
    }
    return at::tensor(values, at::kFloat).view({static_cast<std::int64_t>(rows.size()), -1});
}

at::Tensor normal(at::IntArrayRef shape, double size, std::uint64_t seed)
{
    return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), at::kFloat) * size;
}

const std::vector<std::pair<std::string, at::Tensor>>& awkwardWeights()
{
    static const auto all = [] {
        std::vector<std::pair<std::string, at::Tensor>> made;
        made.emplace_back("square", normal({24, 24}));
        made.emplace_back("odd width", normal({5, 23}));
        made.emplace_back("one row", normal({1, 24}));
        made.emplace_back("one column", normal({24, 1}));
        made.emplace_back("one value", normal({1, 1}));
        made.emplace_back("zeros", at::zeros({4, 24}));
        at::Tensor zeroRow = normal({4, 24});
        zeroRow.select(0, 2).zero_();
        made.emplace_back("a row of zeros", zeroRow);
        made.emplace_back("constant rows", normal({4, 1}).expand({4, 24}).contiguous());
        made.emplace_back("positive", normal({4, 24}).abs());
        made.emplace_back("negative", -normal({4, 24}).abs());
        at::Tensor powers = normal({4, 24}, 0.01).clamp(-0.2, 0.2);
        powers.select(1, 3).fill_(0.25);
        powers.select(1, 20).fill_(-0.5);
        made.emplace_back("powers of two", powers);
        made.emplace_back("tiny", normal({4, 24}, 1e-7));
        made.emplace_back("huge", normal({4, 24}, 1e8));
        made.emplace_back("outliers", normal({4, 24}) * at::pow(10, normal({4, 24}, 1.0, 2)));
        return made;
    }();
    return all;
}

const at::Tensor& awkwardWeight(const std::string& name)
{
    for (const auto& [known, w] : awkwardWeights()) {
        if (known == name) {
            return w;
        }
    }
    throw Error(ErrorCode::NotFound, message("no weight ", name));
}

std::string difference(const at::Tensor& actual, const at::Tensor& expected)
{
    if (actual.scalar_type() != expected.scalar_type() || actual.sizes() != expected.sizes()) {
        return message(actual.scalar_type(), " ", actual.sizes(), ", expected ",
                       expected.scalar_type(), " ", expected.sizes());
    }
    const at::Tensor unequal = actual.ne(expected).flatten();
    if (!unequal.any().item<bool>()) {
        return {};
    }
    const auto at = unequal.to(at::kByte).argmax().item<std::int64_t>();
    const auto value = [at](const at::Tensor& t) { return t.flatten()[at].item<double>(); };
    std::ostringstream out;
    out.precision(10);
    out << unequal.sum().item<std::int64_t>() << " of " << unequal.numel()
        << " values differ, the first at " << at << ": " << value(actual) << ", expected "
        << value(expected);
    return out.str();
}

} // namespace qw::test
