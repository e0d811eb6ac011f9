#pragma once

#include <string>
#include <vector>

#include "model/text_pattern.h"

namespace qw::tok {

/// A piece of text on its way to becoming a word.
struct Piece {
    std::string text;
    bool atStart = false; ///< begins where the whole text begins
};

/// The "pre_tokenizer" of tokenizer.json: null, ByteLevel, Split, Metaspace and Sequence of these.
class PreTokenizer
{
public:
    /// @throws Error::Unsupported, BadFile naming the part
    explicit PreTokenizer(const Part& part);
    /// One fragment of normalized text to words; none is empty.
    std::vector<Piece> split(Piece fragment, const RunContext& run = {}) const;

private:
    enum class Kind { ByteLevel, Split, Metaspace };
    enum class Behavior { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous };
    enum class Prepend { First, Always, Never };
    struct Step {
        Kind kind = Kind::Split;
        std::vector<TextPattern> pattern; ///< none: the piece stays whole
        Behavior behavior = Behavior::Isolated;
        bool invert = false;
        bool prefixSpace = false;
        Prepend prepend = Prepend::Never;
        std::string replacement;
    };
    void add(const Part& part);
    void addByteLevel(const Part& part);
    void addSplit(const Part& part);
    void addMetaspace(const Part& part);
    static std::vector<Stretch> arrange(std::vector<Stretch> stretches, Behavior behavior);
    static void apply(const Step& step, Piece piece, std::vector<Piece>& out,
                      const RunContext& run);

    std::vector<Step> m_steps;
};

} // namespace qw::tok
