#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include <dlfcn.h>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>

#include "base/error.h"
#include "engine.h"
#include "torch_compat.h"

namespace qw {

namespace {
/// (package, core) pairs of the system's processors: hyper-threads counted once.
std::int64_t countPhysicalCores()
{
    std::set<std::string> cores;
    std::error_code ignored;
    for (const auto& entry :
         std::filesystem::directory_iterator("/sys/devices/system/cpu", ignored)) {
        const auto topology = entry.path() / "topology";
        std::ifstream package(topology / "physical_package_id");
        std::ifstream core(topology / "core_id");
        std::string packageId;
        std::string coreId;
        if (package >> packageId && core >> coreId) {
            cores.insert(packageId + ":" + coreId);
        }
    }
    const auto logical = std::max(1U, std::thread::hardware_concurrency());
    return cores.empty() ? logical : std::min<std::int64_t>(logical, std::int64_t(cores.size()));
}

std::string cpuInfoLine(const std::string& key)
{
    std::ifstream info("/proc/cpuinfo");
    std::string line;
    while (std::getline(info, line)) {
        if (line.rfind(key, 0) == 0) {
            const auto colon = line.find(": ");
            return colon == std::string::npos ? std::string() : line.substr(colon + 2);
        }
    }
    return {};
}

/// Whether a 512^3 float32 product is slow: 2 ms with an optimized library, 100 with the reference
/// one. Several tries: the machine may be busy.
bool productIsSlow()
{
    constexpr int kTries = 5;
    constexpr double kSlowSeconds = 0.03;
    const at::Tensor a = at::ones({512, 512});
    for (int i = 0; i < kTries; ++i) {
        const auto start = std::chrono::steady_clock::now();
        at::matmul(a, a);
        const auto passed = std::chrono::steady_clock::now() - start;
        if (std::chrono::duration<double>(passed).count() < kSlowSeconds) {
            return false;
        }
    }
    return true;
}

std::string blasName(bool slow)
{
    if (at::hasMKL()) {
        return "MKL";
    }
    const bool openBlas = ::dlsym(RTLD_DEFAULT, "openblas_get_config") != nullptr;
    return slow ? "reference BLAS" : openBlas ? "OpenBLAS" : "unknown BLAS";
}
} // namespace

void startEngine(std::int64_t threads)
{
    const std::int64_t wanted = threads > 0 ? threads : countPhysicalCores();
    at::set_num_threads(static_cast<int>(wanted));
}

EngineInfo engineInfo()
{
    static const EngineInfo kInfo = [] {
        EngineInfo info;
        info.version = QW_VERSION;
        info.torch = TORCH_VERSION;
        info.cpu = cpuInfoLine("model name");
        info.physicalCores = countPhysicalCores();
        info.nativeBf16 =
            (" " + cpuInfoLine("flags") + " ").find(" avx512_bf16 ") != std::string::npos;
        info.cuda = at::hasCUDA();
        info.cudaDevices =
            info.cuda ? static_cast<std::int64_t>(at::detail::getCUDAHooks().getNumGPUs()) : 0;
        info.slowBlas = productIsSlow();
        info.blas = blasName(info.slowBlas);
        return info;
    }();
    return kInfo;
}

void requireDevice(const std::string& device)
{
    if (device == "cpu") {
        return;
    }
    QW_REQUIRE(device.rfind("cuda", 0) == 0, ErrorCode::BadInput, "unknown device \"", device,
               "\": use cpu, cuda or cuda:N");
    const EngineInfo info = engineInfo();
    QW_REQUIRE(info.cuda, ErrorCode::BadInput, "device \"", device,
               "\" is not there: this program was built with a libtorch without CUDA (", info.torch,
               "); see the README, section GPU");
    QW_REQUIRE(info.cudaDevices > 0, ErrorCode::BadInput, "device \"", device,
               "\" is not there: no CUDA driver or no GPU was found");
    if (device.size() > 4) {
        const std::string digits = device.substr(5);
        const bool number = device[4] == ':' && !digits.empty() && digits.size() < 4 &&
                            digits.find_first_not_of("0123456789") == std::string::npos;
        QW_REQUIRE(number, ErrorCode::BadInput, "unknown device \"", device,
                   "\": use cpu, cuda or cuda:N");
        QW_REQUIRE(std::stoll(digits) < info.cudaDevices, ErrorCode::BadInput, "device \"", device,
                   "\" is not there: ", info.cudaDevices, " CUDA devices were found");
    }
}

} // namespace qw
