#include "model/dtype.h"

#include <array>

#include "base/error.h"

namespace qw {

namespace {
struct Row {
    std::string_view name;
    std::int64_t bits;
    std::optional<at::ScalarType> type;
};

constexpr std::array kRows = {
    Row{"BOOL", 8, at::kBool},
    Row{"U8", 8, at::kByte},
    Row{"I8", 8, at::kChar},
    Row{"I16", 16, at::kShort},
    Row{"F16", 16, at::kHalf},
    Row{"BF16", 16, at::kBFloat16},
    Row{"I32", 32, at::kInt},
    Row{"F32", 32, at::kFloat},
    Row{"I64", 64, at::kLong},
    Row{"F64", 64, at::kDouble},
    Row{"F8_E5M2", 8, std::nullopt},
    Row{"F8_E4M3", 8, std::nullopt},
    Row{"F8_E8M0", 8, std::nullopt},
    Row{"F8_E4M3FNUZ", 8, std::nullopt},
    Row{"F8_E5M2FNUZ", 8, std::nullopt},
    Row{"U16", 16, std::nullopt},
    Row{"U32", 32, std::nullopt},
    Row{"U64", 64, std::nullopt},
    Row{"C64", 64, std::nullopt},
    Row{"F4", 4, std::nullopt},
    Row{"F6_E2M3", 6, std::nullopt},
    Row{"F6_E3M2", 6, std::nullopt},
};
} // namespace

std::int64_t bitsOfDtype(std::string_view dtype)
{
    for (const Row& row : kRows) {
        if (row.name == dtype) {
            return row.bits;
        }
    }
    return 0;
}

std::optional<at::ScalarType> scalarTypeOf(std::string_view dtype)
{
    for (const Row& row : kRows) {
        if (row.name == dtype) {
            return row.type;
        }
    }
    return std::nullopt;
}

std::string_view dtypeName(at::ScalarType type)
{
    for (const Row& row : kRows) {
        if (row.type == type) {
            return row.name;
        }
    }
    throw Error(ErrorCode::Internal, "a tensor type without a safetensors name");
}

} // namespace qw
