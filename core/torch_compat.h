#pragma once

/// What differs between the versions of libtorch this program builds with (1.13 to current).

#if __has_include(<torch/version.h>)
#include <torch/version.h>
#else
#include <torch/headeronly/version.h>
#endif
