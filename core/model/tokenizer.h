#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/run_context.h"

namespace qw {

/// Byte-level and SentencePiece-style BPE from tokenizer.json, id for id as the reference library.
/// Immutable after loading; safe to use from several threads.
class Tokenizer
{
public:
    /// @param folder  a model folder holding tokenizer.json
    /// @throws Error::NotFound, BadFile, Unsupported naming the part of the file
    static Tokenizer fromFolder(const std::filesystem::path& folder);
    static Tokenizer fromFile(const std::filesystem::path& tokenizerJson);
    ~Tokenizer();
    Tokenizer(Tokenizer&&) noexcept;
    Tokenizer& operator=(Tokenizer&&) noexcept;

    /// UTF-8 text to ids. Invalid UTF-8 is replaced by U+FFFD first.
    /// @param special  add what the post-processor adds (BOS, EOS); @param run  can cancel it
    std::vector<std::int32_t> encode(std::string_view text, bool special = true,
                                     const RunContext& run = {}) const;
    /// Ids to UTF-8; the bytes of all tokens are joined before decoding.
    std::string decode(std::span<const std::int32_t> ids, bool skipSpecial = true) const;
    std::int64_t vocabSize() const; ///< largest id + 1
    /// The token as stored (byte-level alphabet or pieces). Empty for a hole in the vocabulary.
    std::string token(std::int32_t id) const;
    std::vector<std::int32_t> specialIds() const;
    std::string hash() const; ///< of the tokenizer.json

private:
    struct Private;
    explicit Tokenizer(std::unique_ptr<Private> p);
    std::unique_ptr<Private> d;
};

} // namespace qw
