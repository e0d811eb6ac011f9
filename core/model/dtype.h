#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <c10/core/ScalarType.h>

namespace qw {

/// Bits of one element of a safetensors dtype, 0 if the name is unknown.
std::int64_t bitsOfDtype(std::string_view dtype);
/// The tensor type of a safetensors dtype we can hold, if any.
std::optional<at::ScalarType> scalarTypeOf(std::string_view dtype);
/// @throws Error::Internal for a type we never write
std::string_view dtypeName(at::ScalarType type);

} // namespace qw
