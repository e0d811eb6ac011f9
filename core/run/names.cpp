#include <cstdlib>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "engine.h"

namespace qw {

namespace {
/// Where bundled files may lie: a build folder, an installation, beside the program.
std::filesystem::path bundledModel()
{
    std::vector<std::filesystem::path> roots;
    if (const char* chosen = std::getenv("QW_RESOURCES")) {
        roots.emplace_back(chosen);
    }
    roots.emplace_back(QW_SOURCE_RESOURCES);
    roots.emplace_back(QW_INSTALLED_RESOURCES);
    std::error_code ignored;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
    roots.push_back(program.parent_path().parent_path() / "share/quant-workbench");
    for (const auto& root : roots) {
        if (std::filesystem::exists(root / "demo_model/config.json", ignored)) {
            return root / "demo_model";
        }
    }
    throw Error(ErrorCode::NotFound, "the bundled model is missing: looked for demo_model in " +
                                         roots.front().string() + " and where it is installed");
}
} // namespace

std::filesystem::path resolveModel(const std::string& model)
{
    QW_REQUIRE(!model.empty(), ErrorCode::BadInput, "no model was given");
    if (model == "demo") {
        return bundledModel();
    }
    QW_REQUIRE(std::filesystem::exists(model), ErrorCode::NotFound, model,
               ": there is no such model folder");
    QW_REQUIRE(std::filesystem::is_directory(model), ErrorCode::BadInput, model,
               ": is a file; give the folder that holds config.json");
    return model;
}

std::filesystem::path resolveText(const std::string& text)
{
    if (text == "demo:calibration" || text == "demo:evaluation") {
        return bundledModel() / (text.substr(5) + ".txt");
    }
    QW_REQUIRE(text.rfind("demo:", 0) != 0, ErrorCode::BadInput, "unknown bundled text \"", text,
               "\": use demo:calibration or demo:evaluation");
    QW_REQUIRE(std::filesystem::is_regular_file(text), ErrorCode::NotFound, text,
               ": there is no such text file");
    return text;
}

} // namespace qw
