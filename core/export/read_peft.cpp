#include "base/error.h"
#include "base/json_io.h"
#include "export/export_reader.h"
#include "export/tensor_files.h"

namespace qw {

namespace {
class PeftReader : public AdapterReader
{
public:
    explicit PeftReader(const std::filesystem::path& folder)
        : m_files(folder, "adapter_model.safetensors")
    {
        const auto file = folder / "adapter_config.json";
        const Json config = readJsonFile(file, 16 << 20);
        QW_REQUIRE(config.is_object(), ErrorCode::BadFile, file.string(), ": is not a JSON object");
        const auto number = [&](const char* key) {
            const Json value = config.value(key, Json());
            QW_REQUIRE(value.is_number() && value > 0, ErrorCode::BadFile, file.string(), ": \"",
                       key, "\" is ", value.dump(), ", not a number above 0");
            return value.get<double>();
        };
        m_scale = number("lora_alpha") / number("r");
        for (const char* other : {"use_rslora", "use_dora"}) {
            QW_REQUIRE(config.value(other, Json(false)) == Json(false), ErrorCode::Unsupported,
                       file.string(), ": \"", other, "\" is not supported");
        }
        for (const char* pattern : {"rank_pattern", "alpha_pattern"}) {
            QW_REQUIRE(config.value(pattern, Json::object()).empty(), ErrorCode::Unsupported,
                       file.string(), ": ranks that differ by layer (\"", pattern,
                       "\") are not supported");
        }
    }
    Factors factors(const std::string& module) override
    {
        const std::string name = "base_model.model." + module;
        if (!m_files.has(name + ".lora_A.weight")) {
            return {};
        }
        return {matrix(name + ".lora_A.weight"), matrix(name + ".lora_B.weight") * m_scale};
    }
    std::vector<std::string> unread() const override { return m_files.unread(); }

private:
    /// Turned around, float32.
    at::Tensor matrix(const std::string& name)
    {
        const at::Tensor stored = m_files.take(name);
        QW_REQUIRE(stored.dim() == 2, ErrorCode::BadFile, m_files.folder().string(), ": tensor \"",
                   name, "\" is no matrix");
        return stored.to(at::kFloat).t().contiguous();
    }

    TensorFiles m_files;
    double m_scale = 1;
};
} // namespace

std::unique_ptr<AdapterReader> readPeft(const std::filesystem::path& folder)
{
    return std::make_unique<PeftReader>(folder);
}

} // namespace qw
