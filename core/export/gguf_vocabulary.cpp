#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "export/gguf_original.h"
#include "export/hf_folder.h"
#include "model/tokenizer.h"

namespace qw {

namespace {
/// Sorted: a vocabulary of 100,000 keys would take quadratic time in qw::Json.
using Tree = nlohmann::json;
using Texts = std::vector<std::string>;
using Types = std::vector<std::int64_t>;

constexpr std::int64_t kUnknown = 2, kControl = 3, kUser = 4, kUnused = 5, kByte = 6;
constexpr std::size_t kLongestPiece = 256; ///< in bytes: all its cuts are looked at
constexpr const char* kKey = "tokenizer.ggml.";
constexpr const char* kSpace = "\xE2\x96\x81";

/// llama.cpp's splitters, by name, as regular expressions.
struct Splitter {
    const char* regex; ///< null: the one that is built into ByteLevel
    bool nfc = false;
    bool wholeWords = false; ///< a word that is a token is not merged from its bytes
    bool bos = false;        ///< added if the file does not say
};

const std::map<std::string, Splitter>& splitters()
{
    static constexpr const char* kLlama3 =
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
    static constexpr const char* kQwen2 =
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
    static const std::map<std::string, Splitter> kSplitters{
        {"gpt-2", {nullptr}},
        {"olmo", {nullptr, true}}, // GPT-NeoX
        {"llama-bpe", {kLlama3, false, true, true}},
        {"llama3", {kLlama3, false, true, true}},
        {"llama-v3", {kLlama3, false, true, true}},
        {"qwen2", {kQwen2, true}}};
    return kSplitters;
}

/// The vocabulary of a file, and what its tokens are for.
class Vocabulary
{
public:
    explicit Vocabulary(const GgufSource& file) : m_file(file)
    {
        const auto* texts = file.find<Texts>(kKey + std::string("tokens"));
        const auto* types = file.find<Types>(kKey + std::string("token_type"));
        m_texts = texts == nullptr ? Texts{} : *texts;
        m_types = types == nullptr ? Types(m_texts.size(), 1) : *types;
        QW_REQUIRE(m_types.size() == m_texts.size(), ErrorCode::BadFile, file.where(), ": has ",
                   m_texts.size(), " tokens and the types of ", m_types.size());
    }
    const Texts& texts() const { return m_texts; }
    std::int64_t type(std::size_t id) const { return m_types[id]; }
    std::string text(const std::string& key) const
    {
        const auto* found = m_file.find<std::string>(kKey + key);
        return found == nullptr ? "" : *found;
    }
    bool flagOr(const std::string& key, bool otherwise) const
    {
        const auto* found = m_file.find<bool>(kKey + key);
        return found == nullptr ? otherwise : *found;
    }
    const Texts& merges() const
    {
        const auto* found = m_file.find<Texts>(kKey + std::string("merges"));
        QW_REQUIRE(found != nullptr, ErrorCode::BadFile, m_file.where(), ": has no merges");
        return *found;
    }
    /// What a token is worth to be merged, as long as there are tokens.
    std::vector<double> scores() const
    {
        const auto* found = m_file.find<std::vector<double>>(kKey + std::string("scores"));
        QW_REQUIRE(found != nullptr && found->size() == m_texts.size(), ErrorCode::BadFile,
                   m_file.where(), ": has no score for each token");
        return *found;
    }
    /// "bos_token_id": the token, if it is named and there.
    std::optional<std::size_t> special(const std::string& key) const
    {
        const auto* id = m_file.find<std::int64_t>(kKey + key);
        const bool there =
            id != nullptr && *id >= 0 && *id < static_cast<std::int64_t>(m_texts.size());
        return there ? std::optional(static_cast<std::size_t>(*id)) : std::nullopt;
    }

    const std::string* chatTemplate() const
    {
        return m_file.find<std::string>("tokenizer.chat_template");
    }

private:
    const GgufSource& m_file;
    Texts m_texts;
    Types m_types;
};

/// Tokens that are cut out of a text before it is split.
Tree addedTokens(const Vocabulary& vocabulary)
{
    Tree added = Tree::array();
    for (std::size_t id = 0; id < vocabulary.texts().size(); ++id) {
        const std::int64_t type = vocabulary.type(id);
        if (type == kUnknown || type == kControl || type == kUser) {
            added.push_back({{"id", id},
                             {"content", vocabulary.texts()[id]},
                             {"single_word", false},
                             {"lstrip", false},
                             {"rstrip", false},
                             {"normalized", false},
                             {"special", type != kUser}});
        }
    }
    return added;
}

/// Tokens that words are merged to. Two of one text, which llama.cpp refuses, would lose one.
Tree mergedTokens(const Vocabulary& vocabulary)
{
    Tree tokens = Tree::object();
    for (std::size_t id = 0; id < vocabulary.texts().size(); ++id) {
        const std::int64_t type = vocabulary.type(id);
        if (type != kControl && type != kUser && type != kUnused) {
            tokens[vocabulary.texts()[id]] = id;
        }
    }
    return tokens;
}

/// Puts a token before each text.
Tree beginning(const std::string& token, std::size_t id)
{
    const Tree special{{"SpecialToken", {{"id", token}, {"type_id", 0}}}};
    const auto sequence = [](const char* name, int type) {
        return Tree{{"Sequence", {{"id", name}, {"type_id", type}}}};
    };
    return {
        {"type", "TemplateProcessing"},
        {"single", Tree::array({special, sequence("A", 0)})},
        {"pair", Tree::array({special, sequence("A", 0), sequence("B", 1)})},
        {"special_tokens",
         {{token, {{"id", token}, {"ids", Tree::array({id})}, {"tokens", Tree::array({token})}}}}}};
}

Tree withBeginning(Tree tokenizer, const Vocabulary& vocabulary, bool otherwise)
{
    const auto bos = vocabulary.special("bos_token_id");
    tokenizer["post_processor"] = vocabulary.flagOr("add_bos_token", otherwise) && bos
                                      ? beginning(vocabulary.texts()[*bos], *bos)
                                      : Tree();
    return tokenizer;
}

Tree byteLevel(const Vocabulary& vocabulary, const Splitter& splitter)
{
    const bool own = splitter.regex == nullptr;
    const Tree bytes{{"type", "ByteLevel"},
                     {"add_prefix_space", false},
                     {"trim_offsets", true},
                     {"use_regex", own}};
    Tree split = bytes;
    if (!own) {
        split = {{"type", "Sequence"},
                 {"pretokenizers", Tree::array({{{"type", "Split"},
                                                 {"pattern", {{"Regex", splitter.regex}}},
                                                 {"behavior", "Isolated"},
                                                 {"invert", false}},
                                                bytes})}};
    }
    Tree merges = Tree::array();
    for (const std::string& merge : vocabulary.merges()) {
        const std::size_t space = merge.find(' ');
        merges.push_back(
            {merge.substr(0, space), space == std::string::npos ? "" : merge.substr(space + 1)});
    }
    Tree tokenizer{{"version", "1.0"},
                   {"added_tokens", addedTokens(vocabulary)},
                   {"normalizer", splitter.nfc ? Tree{{"type", "NFC"}} : Tree()},
                   {"pre_tokenizer", split},
                   {"decoder", bytes},
                   {"model",
                    {{"type", "BPE"},
                     {"unk_token", nullptr},
                     {"byte_fallback", false},
                     {"fuse_unk", false},
                     {"ignore_merges", splitter.wholeWords},
                     {"vocab", mergedTokens(vocabulary)},
                     {"merges", merges}}}};
    return withBeginning(std::move(tokenizer), vocabulary, splitter.bos);
}

/// All ways to put two pieces together, the most worthy first: SentencePiece merges any two
/// neighbours that give a token, the one of the highest score first.
Tree pieceMerges(const Vocabulary& vocabulary, const Tree& tokens)
{
    struct Merge {
        double score;
        std::string left, right;
    };
    const std::vector<double> scores = vocabulary.scores();
    std::vector<Merge> merges;
    for (const auto& [text, id] : tokens.items()) {
        const auto index = id.get<std::size_t>();
        const bool merged = vocabulary.type(index) == 1 && text.size() <= kLongestPiece;
        for (std::size_t cut = 1; merged && cut < text.size(); ++cut) {
            const auto left = tokens.find(text.substr(0, cut));
            const auto right = tokens.find(text.substr(cut));
            if (left != tokens.end() && right != tokens.end()) {
                merges.push_back({scores[index], left.key(), right.key()});
            }
        }
    }
    std::stable_sort(merges.begin(), merges.end(),
                     [](const Merge& a, const Merge& b) { return a.score > b.score; });
    Tree list = Tree::array();
    for (const Merge& merge : merges) {
        list.push_back({merge.left, merge.right});
    }
    return list;
}

Tree pieces(const Vocabulary& vocabulary)
{
    const Tree tokens = mergedTokens(vocabulary);
    const auto unknown = vocabulary.special("unknown_token_id");
    bool bytes = false;
    for (std::size_t id = 0; id < vocabulary.texts().size(); ++id) {
        bytes = bytes || vocabulary.type(id) == kByte;
    }
    const Tree toMark{{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpace}};
    const Tree toSpace{{"type", "Replace"}, {"pattern", {{"String", kSpace}}}, {"content", " "}};
    Tree normalizers = Tree::array({toMark});
    Tree decoders = Tree::array({toSpace, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}});
    if (vocabulary.flagOr("add_space_prefix", true)) {
        normalizers.insert(normalizers.begin(), Tree{{"type", "Prepend"}, {"prepend", kSpace}});
        decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    }
    Tree tokenizer{{"version", "1.0"},
                   {"added_tokens", addedTokens(vocabulary)},
                   {"normalizer", {{"type", "Sequence"}, {"normalizers", normalizers}}},
                   {"pre_tokenizer", nullptr},
                   {"decoder", {{"type", "Sequence"}, {"decoders", decoders}}},
                   {"model",
                    {{"type", "BPE"},
                     {"unk_token", unknown ? Tree(vocabulary.texts()[*unknown]) : Tree()},
                     {"byte_fallback", bytes},
                     {"fuse_unk", true},
                     {"ignore_merges", false},
                     {"vocab", tokens},
                     {"merges", pieceMerges(vocabulary, tokens)}}}};
    return withBeginning(std::move(tokenizer), vocabulary, true);
}

/// tokenizer_config.json: the tokens with a part to play.
Json namedTokens(const Vocabulary& vocabulary)
{
    Json config{{"tokenizer_class", "PreTrainedTokenizerFast"}};
    for (const auto& [key, name] :
         {std::pair{"bos_token_id", "bos_token"}, std::pair{"eos_token_id", "eos_token"},
          std::pair{"unknown_token_id", "unk_token"}, std::pair{"padding_token_id", "pad_token"}}) {
        if (const auto id = vocabulary.special(key)) {
            config[name] = vocabulary.texts()[*id];
        }
    }
    if (const auto* chat = vocabulary.chatTemplate()) {
        config["chat_template"] = *chat;
    }
    return config;
}
} // namespace

std::string writeGgufTokenizer(const GgufSource& file, const std::filesystem::path& folder)
{
    const Vocabulary vocabulary(file);
    const std::string kind = vocabulary.text("model");
    const std::string pre = vocabulary.text("pre");
    const auto splitter = splitters().find(pre);
    if (vocabulary.texts().empty() || (kind != "gpt2" && kind != "llama")) {
        return kind.empty() || kind == "no_vocab" || vocabulary.texts().empty()
                   ? "the file has no tokenizer: no text can be measured"
                   : "the file's tokenizer is of a kind that is not known here (\"" + kind +
                         "\"): no text can be measured";
    }
    if (kind == "gpt2" && splitter == splitters().end()) {
        return "the file's tokenizer splits texts in a way that is not known here (\"" + pre +
               "\"): no text can be measured";
    }
    const Tree tokenizer =
        kind == "gpt2" ? byteLevel(vocabulary, splitter->second) : pieces(vocabulary);
    const auto out = folder / "tokenizer.json";
    AtomicFile text(out);
    text.write(tokenizer.dump());
    text.commit();
    writeJson(folder / "tokenizer_config.json", namedTokens(vocabulary));
    Tokenizer::fromFile(out); // that it can be read
    return {};
}

} // namespace qw
