#include "report/open_numbers.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace qw {

namespace {
struct Open {
    const char* setting;
    bool belowZero; ///< stands for all numbers below 0, else for 0
    const char* word;
};
constexpr const char* kAutomatic = "automatic";
constexpr std::array kOpen = {
    Open{"low_rank.factor_bits", false, "float32"},  Open{"reconstruction.lr", false, kAutomatic},
    Open{"training.seqlen", false, kAutomatic},      Open{"training.lr", true, kAutomatic},
    Open{"training.lr_scale", true, kAutomatic},     Open{"training.warmup", true, kAutomatic},
    Open{"training.weight_decay", true, kAutomatic}, Open{"training.clip", false, "none"},
    Open{"training.rank", false, kAutomatic},        Open{"smooth.alpha", false, kAutomatic},
    Open{"calibration.seqlen", false, kAutomatic},   Open{"evaluation.seqlen", false, kAutomatic},
    Open{"evaluation.windows", false, "all"},        Open{"threads", false, kAutomatic},
};
} // namespace

std::string openNumber(const std::string& setting, double value)
{
    const auto found = std::find_if(kOpen.begin(), kOpen.end(),
                                    [&](const Open& open) { return setting == open.setting; });
    const bool open = found != kOpen.end() && (found->belowZero ? value < 0 : value == 0);
    return open ? found->word : "";
}

std::string readableValue(const std::string& setting, const std::string& value)
{
    double number = 0;
    const char* end = value.data() + value.size();
    const auto [stop, problem] = std::from_chars(value.data(), end, number);
    const bool isNumber = problem == std::errc() && stop == end;
    const std::string word = isNumber ? openNumber(setting, number) : "";
    return word.empty() ? value : word;
}

} // namespace qw
