#include "support/tensor_golden.h"

#include <algorithm>

#include <ATen/ops/tensor.h>

#include "base/error.h"
#include "base/files.h"
#include "base/json_io.h"

namespace qw::test {

namespace {
std::filesystem::path modelsFolder()
{
    // This file lies in tests/support, whatever the build folder is.
    return std::filesystem::path(__FILE__).parent_path().parent_path() / "golden" / "models";
}
} // namespace

std::vector<std::string> goldenModelNames()
{
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(modelsFolder())) {
        if (std::filesystem::exists(entry.path() / "golden.json")) {
            names.push_back(entry.path().filename().string());
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::filesystem::path goldenFolder(const std::string& model)
{
    return modelsFolder() / model;
}

GoldenModel goldenModel(const std::string& name)
{
    GoldenModel model;
    model.folder = goldenFolder(name);
    const Json golden = readJsonFile(model.folder / "golden.json", 1 << 24);
    const auto shape = golden.at("shape").get<std::vector<std::int64_t>>();
    std::vector<std::int64_t> ids;
    for (const Json& row : golden.at("ids")) {
        const auto values = row.get<std::vector<std::int64_t>>();
        ids.insert(ids.end(), values.begin(), values.end());
    }
    model.ids = at::tensor(ids, at::kLong).view({shape.at(0), shape.at(1)});
    model.logits =
        at::tensor(golden.at("logits").get<std::vector<float>>(), at::kFloat).view(shape);
    model.greedy = golden.at("greedy").get<std::vector<std::int32_t>>();
    return model;
}

double relativeGap(const at::Tensor& a, const at::Tensor& b)
{
    return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>() /
           b.to(at::kDouble).abs().max().item<double>();
}

} // namespace qw::test
