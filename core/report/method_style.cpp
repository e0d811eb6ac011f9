#include "report/method_style.h"

#include <algorithm>

namespace qw {

namespace {
constexpr std::uint32_t kOrange = 0xE69F00;
constexpr std::uint32_t kSkyBlue = 0x56B4E9;
constexpr std::uint32_t kGreen = 0x009E73;
constexpr std::uint32_t kBlue = 0x0072B2;
constexpr std::uint32_t kVermillion = 0xD55E00;
constexpr std::uint32_t kPurple = 0xCC79A7;
constexpr std::uint32_t kGrey = 0x7F7F7F;

// On a dark ground the deep blue and green would sink: the same hues, lighter.
constexpr std::uint32_t kLightBlue = 0x4C9ED9;
constexpr std::uint32_t kPaleBlue = 0xA5D8F5;
constexpr std::uint32_t kLightGreen = 0x2CC295;
constexpr std::uint32_t kLightVermillion = 0xF07F2E;
constexpr std::uint32_t kLightGrey = 0xA8A8A8;
} // namespace

const std::vector<MethodStyle>& methodStyles()
{
    static const std::vector<MethodStyle> styles = {
        {"rtn", "RTN", kGrey, kLightGrey, Marker::Circle, true},
        {"lqer", "LQER", kSkyBlue, kPaleBlue, Marker::Square, true},
        {"l2qer", "L²QER", kBlue, kLightBlue, Marker::Diamond, true},
        {"qera-approx", "QERA-approx", kSkyBlue, kPaleBlue, Marker::TriangleUp, false},
        {"qera-exact", "QERA-exact", kBlue, kLightBlue, Marker::TriangleDown, false},
        {"lrq", "LRQ", kGreen, kLightGreen, Marker::Square, true},
        {"flexround", "FlexRound", kGreen, kLightGreen, Marker::Circle, false},
        {"lr-qat", "LR-QAT", kVermillion, kLightVermillion, Marker::Diamond, true},
        {"lsq", "LSQ", kOrange, kOrange, Marker::TriangleUp, true},
        {"peqa", "PEQA", kOrange, kOrange, Marker::Square, false},
        {"gptq", "GPTQ", kPurple, kPurple, Marker::TriangleDown, true},
        {"awq", "AWQ", kPurple, kPurple, Marker::Diamond, false},
        {"smoothquant", "SmoothQuant", kPurple, kPurple, Marker::Square, false},
    };
    return styles;
}

MethodStyle methodStyle(const std::string& method)
{
    const auto& styles = methodStyles();
    const auto found = std::find_if(styles.begin(), styles.end(), [&](const MethodStyle& style) {
        return style.method == method;
    });
    return found != styles.end() ? *found : MethodStyle{method,   method,        0x202020,
                                                        0xE8E8E8, Marker::Cross, true};
}

} // namespace qw
