#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/normalizer.h"

namespace qw::tok {

struct AddedToken {
    std::int32_t id = 0;
    std::string content;
    bool singleWord = false; ///< matches only between non-word characters
    bool lstrip = false;     ///< swallows the white space before it
    bool rstrip = false;
    bool normalized = false; ///< is looked for in the normalized text
    bool special = false;
};

/// A part of a text: either ordinary text or an added token.
struct Fragment {
    std::string_view text;
    std::int32_t id = -1; ///< of the added token, -1 for text
};

/// "added_tokens" of tokenizer.json: what is cut out of a text before anything else.
class AddedTokens
{
public:
    /// @throws Error::BadFile naming the part
    AddedTokens(const Part& part, const Normalizer& normalizer);

    const std::vector<AddedToken>& tokens() const { return m_tokens; }
    /// Cuts out the tokens that are looked for in the raw text, leftmost first, longest first.
    std::vector<Fragment> cutRaw(std::string_view text) const { return cut(text, m_raw); }
    /// The same for the tokens that are looked for in normalized text.
    std::vector<Fragment> cutNormalized(std::string_view text) const
    {
        return cut(text, m_normalized);
    }

private:
    /// A trie of bytes; node 0 is the root.
    struct Trie {
        std::unordered_map<std::uint64_t, std::uint32_t> edges;
        std::vector<std::int32_t> token = {-1}; ///< index into m_tokens at each node
        bool starts[256] = {};
        void add(std::string_view content, std::int32_t index);
    };
    std::vector<Fragment> cut(std::string_view text, const Trie& trie) const;

    std::vector<AddedToken> m_tokens;
    Trie m_raw;
    Trie m_normalized;
};

} // namespace qw::tok
