#include <array>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include <dlfcn.h>
#include <malloc.h>

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
constexpr const char* kReferenceBlas = "reference BLAS";
constexpr const char* kUnknownBlas = "unknown BLAS";

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

/// Folder and name of the library that has the product libtorch calls, as the loader finds it.
/// Debian's alternatives are all called libblas.so.3 and differ in the folder.
std::string blasFile()
{
    void* product = ::dlsym(RTLD_DEFAULT, "sgemm_");
    Dl_info place{};
    if (product == nullptr || ::dladdr(product, &place) == 0) {
        return {};
    }
    std::error_code missing;
    const auto file = std::filesystem::canonical(place.dli_fname, missing);
    return missing ? "" : (file.parent_path().filename() / file.filename()).string();
}

std::string blasName()
{
    if (at::hasMKL()) {
        return "MKL";
    }
    const std::string file = blasFile();
    constexpr std::array<std::pair<const char*, const char*>, 5> kKnown = {
        {{"openblas", "OpenBLAS"},
         {"mkl", "MKL"},
         {"blis", "BLIS"},
         {"atlas", "ATLAS"},
         {"/libblas.so", kReferenceBlas}}};
    for (const auto& [part, name] : kKnown) {
        if (file.find(part) != std::string::npos) {
            return name;
        }
    }
    return kUnknownBlas;
}

double cpuSeconds()
{
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Whether a 512^3 float32 product takes the time of all threads that the reference library needs,
/// 100 ms and more, or that of an optimized one, below 30. The best of several tries.
bool productIsSlow()
{
    constexpr int kTries = 5;
    constexpr double kSlowSeconds = 0.06;
    const at::Tensor a = at::ones({512, 512});
    for (int i = 0; i < kTries; ++i) {
        const double start = cpuSeconds();
        at::matmul(a, a);
        if (cpuSeconds() - start < kSlowSeconds) {
            return false;
        }
    }
    return true;
}
} // namespace

void startEngine(std::int64_t threads)
{
    const std::int64_t wanted = threads > 0 ? threads : countPhysicalCores();
    at::set_num_threads(static_cast<int>(wanted));
#ifdef __GLIBC__
    // A block's activations are freed and asked for again all the time: keep their pages instead of
    // giving them back to the system and faulting them in anew.
    ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
    ::mallopt(M_TRIM_THRESHOLD, 1 << 30); // of an iteration of learning, too
#endif
}

void returnFreedMemory()
{
#ifdef __GLIBC__
    ::malloc_trim(0);
#endif
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
        info.cuda = at::detail::getCUDAHooks().hasCUDART(); // with or without a GPU to run on
        info.cudaDevices =
            info.cuda ? static_cast<std::int64_t>(at::detail::getCUDAHooks().getNumGPUs()) : 0;
        info.blas = blasName();
        info.slowBlas =
            info.blas == kReferenceBlas || (info.blas == kUnknownBlas && productIsSlow());
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
               "); see \"Another libtorch, GPU\" in the README");
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
