#pragma once

#include <string>
#include <vector>

#include "model/text_pattern.h"

namespace qw::tok {

/// The "decoder" of tokenizer.json: null, ByteLevel, Metaspace, Replace, ByteFallback, Fuse, Strip
/// and Sequence of these.
class TokenDecoder
{
public:
    /// @throws Error::Unsupported, BadFile naming the part
    explicit TokenDecoder(const Part& part);
    /// Tokens, in their stored form, to text.
    std::string decode(std::vector<std::string> tokens) const;

private:
    enum class Kind { ByteLevel, Metaspace, Replace, ByteFallback, Fuse, Strip };
    struct Step {
        Kind kind = Kind::Fuse;
        std::vector<TextPattern> pattern;
        std::string content;
        char32_t character = 0;
        std::int64_t start = 0;
        std::int64_t stop = 0;
        bool dropsFirst = false; ///< Metaspace: the first token loses its replacement characters
    };
    void add(const Part& part);
    static std::vector<std::string> apply(const Step& step, std::vector<std::string> tokens);

    std::vector<Step> m_steps;
};

} // namespace qw::tok
