#include "model/pre_tokenizer.h"

#include "model/byte_level.h"
#include "model/utf8.h"

#include <algorithm>

namespace qw::tok {

namespace {

// What ByteLevel uses where use_regex is set: the expression of GPT-2.
constexpr const char* kGpt2Expression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

} // namespace

PreTokenizer::PreTokenizer(const Part& part)
{
    if (!part.isNull()) {
        add(part);
    }
}

void PreTokenizer::add(const Part& part)
{
    const std::string type = part["type"].text();
    if (type == "Sequence") {
        for (const Part& step : part["pretokenizers"].elements()) {
            add(step);
        }
    } else if (type == "ByteLevel") {
        addByteLevel(part);
    } else if (type == "Split") {
        addSplit(part);
    } else if (type == "Metaspace") {
        addMetaspace(part);
    } else {
        part["type"].unsupported("ByteLevel, Split, Metaspace, Sequence");
    }
}

void PreTokenizer::addByteLevel(const Part& part)
{
    Step step;
    step.kind = Kind::ByteLevel;
    step.prefixSpace = part["add_prefix_space"].flag();
    if (part["use_regex"].flagOr(true)) {
        step.pattern.push_back(TextPattern::regex(kGpt2Expression, part.where()));
    }
    m_steps.push_back(std::move(step));
}

void PreTokenizer::addSplit(const Part& part)
{
    Step step;
    step.pattern.push_back(TextPattern::fromPart(part["pattern"]));
    step.invert = part["invert"].flagOr(false);
    const std::string behavior = part["behavior"].text();
    if (behavior == "Removed") {
        step.behavior = Behavior::Removed;
    } else if (behavior == "MergedWithPrevious") {
        step.behavior = Behavior::MergedWithPrevious;
    } else if (behavior == "MergedWithNext") {
        step.behavior = Behavior::MergedWithNext;
    } else if (behavior == "Contiguous") {
        step.behavior = Behavior::Contiguous;
    } else if (behavior != "Isolated") {
        part["behavior"].unsupported(
            "Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
    }
    m_steps.push_back(std::move(step));
}

void PreTokenizer::addMetaspace(const Part& part)
{
    Step step;
    step.kind = Kind::Metaspace;
    part["replacement"].character(); // refuses anything but one character
    step.replacement = part["replacement"].text();
    const Part scheme = part["prepend_scheme"];
    const std::string name = scheme.textOr("always");
    if (name == "first") {
        step.prepend = Prepend::First;
    } else if (name == "always") {
        step.prepend = Prepend::Always;
    } else if (name != "never") {
        scheme.unsupported("first, always, never");
    }
    // Older files say add_prefix_space; false there means never.
    if (!part["add_prefix_space"].flagOr(true)) {
        if (!scheme.isNull() && name != "never") {
            scheme.bad("contradicts add_prefix_space, which is false");
        }
        step.prepend = Prepend::Never;
    }
    step.behavior = Behavior::MergedWithNext;
    if (part["split"].flagOr(true)) {
        step.pattern.push_back(TextPattern::literal(step.replacement));
    }
    m_steps.push_back(std::move(step));
}

std::vector<Stretch> PreTokenizer::arrange(std::vector<Stretch> stretches, Behavior behavior)
{
    if (behavior == Behavior::Isolated) {
        return stretches;
    }
    if (behavior == Behavior::Removed) {
        std::erase_if(stretches, [](const Stretch& s) { return s.isMatch; });
        return stretches;
    }
    const bool toNext = behavior == Behavior::MergedWithNext;
    if (toNext) {
        std::reverse(stretches.begin(), stretches.end());
    }
    std::vector<Stretch> arranged;
    bool previous = false;
    for (const Stretch& stretch : stretches) {
        const bool joins = behavior == Behavior::Contiguous ? stretch.isMatch == previous
                                                            : stretch.isMatch && !previous;
        if (!joins || arranged.empty()) {
            arranged.push_back(stretch);
        } else if (toNext) {
            arranged.back().begin = stretch.begin;
        } else {
            arranged.back().end = stretch.end;
        }
        previous = stretch.isMatch;
    }
    if (toNext) {
        std::reverse(arranged.begin(), arranged.end());
    }
    return arranged;
}

void PreTokenizer::apply(const Step& step, Piece piece, std::vector<Piece>& out,
                         const RunContext& run)
{
    if (step.kind == Kind::ByteLevel && step.prefixSpace && !piece.text.starts_with(' ')) {
        piece.text.insert(0, " ");
    }
    if (step.kind == Kind::Metaspace) {
        static const TextPattern kSpace = TextPattern::literal(" ");
        piece.text = kSpace.replace(piece.text, step.replacement);
        const bool wanted =
            step.prepend == Prepend::Always || (step.prepend == Prepend::First && piece.atStart);
        if (wanted && !piece.text.starts_with(step.replacement)) {
            piece.text.insert(0, step.replacement);
        }
    }
    std::vector<Stretch> stretches = {{0, piece.text.size(), false}};
    if (!step.pattern.empty()) {
        stretches = step.pattern.front().stretches(piece.text, run);
        if (step.invert) {
            for (Stretch& stretch : stretches) {
                stretch.isMatch = !stretch.isMatch;
            }
        }
        stretches = arrange(std::move(stretches), step.behavior);
    }
    for (const Stretch& stretch : stretches) {
        if (stretch.begin == stretch.end) {
            continue;
        }
        const std::string_view text =
            std::string_view(piece.text).substr(stretch.begin, stretch.end - stretch.begin);
        Piece made{{}, piece.atStart && stretch.begin == 0};
        if (step.kind == Kind::ByteLevel) {
            appendByteLevel(made.text, text);
        } else {
            made.text = text;
        }
        out.push_back(std::move(made));
    }
}

std::vector<Piece> PreTokenizer::split(Piece fragment, const RunContext& run) const
{
    std::vector<Piece> pieces;
    pieces.push_back(std::move(fragment));
    for (const Step& step : m_steps) {
        std::vector<Piece> next;
        for (Piece& piece : pieces) {
            apply(step, std::move(piece), next, run);
        }
        pieces = std::move(next);
    }
    return pieces;
}

} // namespace qw::tok
