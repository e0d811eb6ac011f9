#pragma once

#include <cstdint>

namespace qw::test {

/// From now on this process has a CUDA device 0 as far as libtorch and the engine can tell. Its
/// work is done on the host, but as on a GPU no pointer into its memory can be followed outside
/// operations of libtorch, and none of those takes tensors of both sides (save scalars and copies).
/// Such mistakes end in an exception or a segmentation fault.
/// @return false if this libtorch brings CUDA itself; nothing has happened then
bool pretendGpu();

/// Waits for the device so far: values read back (item(), comparisons, copies to the host).
std::int64_t pretendGpuWaits();

} // namespace qw::test
