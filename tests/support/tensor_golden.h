#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace qw::test {

/// A tiny model of tests/golden/models with what the reference library computes from it.
struct GoldenModel {
    std::filesystem::path folder;
    at::Tensor ids;                   ///< [B, T] int64
    at::Tensor logits;                ///< [B, T, vocab] float32
    std::vector<std::int32_t> greedy; ///< that continue the first kGreedyPrompt tokens of row 0
};

constexpr std::int64_t kGreedyPrompt = 5; ///< as in make_logits.py

std::vector<std::string> goldenModelNames();
std::filesystem::path goldenFolder(const std::string& model);
GoldenModel goldenModel(const std::string& name);

/// Largest |a - b| as a share of the largest |b|.
double relativeGap(const at::Tensor& a, const at::Tensor& b);

} // namespace qw::test
