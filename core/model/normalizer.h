#pragma once

#include <string>
#include <vector>

#include "model/text_pattern.h"

namespace qw::tok {

/// The "normalizer" of tokenizer.json: null, NFC, Prepend, Replace and Sequence of these.
class Normalizer
{
public:
    Normalizer() = default;
    /// @throws Error::Unsupported, BadFile naming the part
    explicit Normalizer(const Part& part);

    bool isEmpty() const { return m_steps.empty(); }
    std::string normalize(std::string text) const;

private:
    enum class Kind { Nfc, Prepend, Replace };
    struct Step {
        Kind kind;
        std::string content;
        std::vector<TextPattern> pattern; ///< one for Replace
    };
    void add(const Part& part);

    std::vector<Step> m_steps;
};

} // namespace qw::tok
