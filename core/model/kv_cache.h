#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace qw {

/// Keys and values of the tokens already seen, for generation. One entry a block.
struct KvCache {
    struct Entry {
        at::Tensor key;   ///< [B, kv_heads, capacity, head_dim], after RoPE
        at::Tensor value; ///< the same
    };
    std::vector<Entry> blocks;
    std::int64_t length = 0;   ///< tokens held; advanced by the caller after all blocks ran
    std::int64_t capacity = 0; ///< tokens that fit
};

} // namespace qw
