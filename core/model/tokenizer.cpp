#include "model/tokenizer.h"

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "model/added_tokens.h"
#include "model/bpe.h"
#include "model/post_processor.h"
#include "model/pre_tokenizer.h"
#include "model/token_decoder.h"
#include "model/utf8.h"

#include <algorithm>
#include <unordered_set>

namespace qw {

namespace {

constexpr std::int64_t kMaxFile = 128 << 20;
constexpr std::size_t kCachedWords = 1 << 16;
constexpr std::size_t kCachedLength = 64;

} // namespace

struct Tokenizer::Private {
    explicit Private(const tok::Part& file)
        : normalizer(file["normalizer"]), added(file["added_tokens"], normalizer),
          preTokenizer(file["pre_tokenizer"]), bpe(file["model"]),
          postProcessor(file["post_processor"]), decoder(file["decoder"]), tokens(bpe.tokens())
    {
        for (const tok::AddedToken& token : added.tokens()) {
            const auto id = static_cast<std::size_t>(token.id);
            const auto known = bpe.idOf(token.content);
            const bool taken = id < bpe.tokens().size() && !bpe.tokens()[id].empty();
            if ((known && *known != token.id) || (!known && taken)) {
                file["added_tokens"].bad("gives \"" + token.content.substr(0, 80) + "\" the id " +
                                         std::to_string(id) + ", which contradicts model.vocab");
            }
            if (id >= 4 * (tokens.size() + added.tokens().size()) + (1 << 16)) {
                file["added_tokens"].bad("gives \"" + token.content.substr(0, 80) + "\" the id " +
                                         std::to_string(id) + ", far beyond the vocabulary");
            }
            if (id >= tokens.size()) {
                tokens.resize(id + 1);
            }
            tokens[id] = token.content;
            if (token.special) {
                special.push_back(token.id);
                specialContents.insert(token.content);
            }
        }
        std::sort(special.begin(), special.end());
    }

    /// Words recur: their ids are kept for the length of one call, which needs no lock.
    class WordCache
    {
    public:
        explicit WordCache(const tok::Bpe& bpe) : m_bpe(bpe) {}
        void append(std::string&& word, std::vector<std::int32_t>& ids)
        {
            if (word.size() > kCachedLength) {
                m_bpe.encode(word, ids);
                return;
            }
            const auto found = m_words.find(word);
            if (found != m_words.end()) {
                ids.insert(ids.end(), found->second.begin(), found->second.end());
                return;
            }
            std::vector<std::int32_t> own;
            m_bpe.encode(word, own);
            ids.insert(ids.end(), own.begin(), own.end());
            if (m_words.size() < kCachedWords) {
                m_words.emplace(std::move(word), std::move(own));
            }
        }

    private:
        const tok::Bpe& m_bpe;
        std::unordered_map<std::string, std::vector<std::int32_t>> m_words;
    };

    std::vector<std::int32_t> encode(std::string_view text, const RunContext& run) const
    {
        std::vector<std::int32_t> ids;
        WordCache cache(bpe);
        for (const tok::Fragment& raw : added.cutRaw(text)) {
            if (raw.id >= 0) {
                ids.push_back(raw.id);
                continue;
            }
            const bool first = raw.text.data() == text.data();
            const std::string normal = normalizer.normalize(std::string(raw.text));
            for (const tok::Fragment& fragment : added.cutNormalized(normal)) {
                if (fragment.id >= 0) {
                    ids.push_back(fragment.id);
                    continue;
                }
                const bool atStart = first && fragment.text.data() == normal.data();
                for (tok::Piece& word :
                     preTokenizer.split({std::string(fragment.text), atStart}, run)) {
                    run.checkpoint();
                    cache.append(std::move(word.text), ids);
                }
            }
        }
        return ids;
    }

    tok::Normalizer normalizer;
    tok::AddedTokens added;
    tok::PreTokenizer preTokenizer;
    tok::Bpe bpe;
    tok::PostProcessor postProcessor;
    tok::TokenDecoder decoder;
    std::vector<std::string> tokens;
    std::vector<std::int32_t> special;
    std::unordered_set<std::string> specialContents;
    std::string hash;
};

Tokenizer::Tokenizer(std::unique_ptr<Private> p) : d(std::move(p)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Tokenizer Tokenizer::fromFolder(const std::filesystem::path& folder)
{
    return fromFile(folder / "tokenizer.json");
}

Tokenizer Tokenizer::fromFile(const std::filesystem::path& tokenizerJson)
{
    const std::string text = readTextFile(tokenizerJson, kMaxFile);
    const std::string file = tokenizerJson.string();
    const tok::JsonTree tree = tok::parseTokenizerJson(text, file);
    auto made = std::make_unique<Private>(tok::Part(tree, file));
    made->hash = hashOf(text);
    return Tokenizer(std::move(made));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool special,
                                            const RunContext& run) const
{
    std::string repaired;
    if (!tok::isValidUtf8(text)) {
        repaired = tok::toValidUtf8(text);
        text = repaired;
    }
    return d->postProcessor.process(d->encode(text, run), special);
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skipSpecial) const
{
    std::vector<std::string> pieces;
    pieces.reserve(ids.size());
    for (const std::int32_t id : ids) {
        // The reference library skips ids it does not know.
        const std::string piece = token(id);
        if (!piece.empty() && !(skipSpecial && d->specialContents.contains(piece))) {
            pieces.push_back(piece);
        }
    }
    return d->decoder.decode(std::move(pieces));
}

std::int64_t Tokenizer::vocabSize() const
{
    return static_cast<std::int64_t>(d->tokens.size());
}

std::string Tokenizer::token(std::int32_t id) const
{
    const bool known = id >= 0 && static_cast<std::size_t>(id) < d->tokens.size();
    return known ? d->tokens[static_cast<std::size_t>(id)] : std::string();
}

std::vector<std::int32_t> Tokenizer::specialIds() const
{
    return d->special;
}

std::string Tokenizer::hash() const
{
    return d->hash;
}

} // namespace qw
