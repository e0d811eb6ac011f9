#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/json_io.h"
#include "export/gguf_model.h"
#include "model/tokenizer_json.h"

namespace qw {

namespace {
using tok::JsonTree;

enum TokenType : std::int32_t {
    kNormal = 1,
    kUnknown = 2,
    kControl = 3,
    kUser = 4,
    kUnused = 5,
    kByte = 6
};

constexpr const char* kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
/// What Llama 3's and Qwen2's patterns share around their way with digits.
constexpr const char* kBeforeDigits = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)";
constexpr const char* kAfterDigits = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct Tokens {
    std::vector<std::string> text;
    std::vector<std::int32_t> type;
};

/// The member, or null.
const JsonTree& member(const JsonTree& object, const char* key)
{
    static const JsonTree kNull;
    return object.is_object() && object.contains(key) ? object[key] : kNull;
}

/// All objects of a kind in a part that may be a sequence of them.
std::vector<JsonTree> stepsOf(const JsonTree& part, const char* listKey)
{
    if (part.is_null()) {
        return {};
    }
    const JsonTree& list = member(part, listKey);
    return list.is_array() ? list.get<std::vector<JsonTree>>() : std::vector<JsonTree>{part};
}

bool hasStep(const std::vector<JsonTree>& steps, const char* type)
{
    return std::any_of(steps.begin(), steps.end(),
                       [&](const JsonTree& step) { return member(step, "type") == type; });
}

/// The splitting regex, whether it is spelled out or built into ByteLevel.
std::string patternOf(const std::vector<JsonTree>& steps)
{
    for (const JsonTree& step : steps) {
        if (member(step, "type") == "Split") {
            const JsonTree& regex = member(member(step, "pattern"), "Regex");
            return regex.is_string() ? regex.get<std::string>() : "";
        }
    }
    for (const JsonTree& step : steps) {
        const JsonTree& uses = member(step, "use_regex");
        if (member(step, "type") == "ByteLevel" && (uses.is_null() || uses == true)) {
            return kGpt2Pattern;
        }
    }
    return {};
}

/// llama.cpp knows splitters by name. @throws Error::Unsupported for one it does not know
std::string splitterOf(const JsonTree& tokenizer, const std::string& where)
{
    const auto steps = stepsOf(member(tokenizer, "pre_tokenizer"), "pretokenizers");
    const bool nfc = hasStep(stepsOf(member(tokenizer, "normalizer"), "normalizers"), "NFC");
    const std::string pattern = patternOf(steps);
    if (pattern == kGpt2Pattern) {
        return nfc ? "olmo" : "gpt-2";
    }
    if (pattern == std::string(kBeforeDigits) + R"(\p{N}{1,3})" + kAfterDigits) {
        return "llama-bpe";
    }
    if (pattern == std::string(kBeforeDigits) + R"(\p{N})" + kAfterDigits) {
        return "qwen2";
    }
    throw Error(
        ErrorCode::Unsupported,
        message(where, ": llama.cpp has no splitter for its regular expression \"", pattern, "\""));
}

Tokens tokensOf(const JsonTree& tokenizer, std::int64_t rows, bool pieces, const std::string& where)
{
    Tokens tokens;
    tokens.text.resize(static_cast<std::size_t>(rows));
    tokens.type.assign(static_cast<std::size_t>(rows), kUnused);
    const auto put = [&](const std::string& text, std::int64_t id, TokenType type) {
        QW_REQUIRE(id >= 0 && id < rows, ErrorCode::Unsupported, where, ": token ", id,
                   " has no row in the embedding of ", rows, "; GGUF needs as many tokens as rows");
        tokens.text[static_cast<std::size_t>(id)] = text;
        tokens.type[static_cast<std::size_t>(id)] = type;
    };
    const JsonTree& model = member(tokenizer, "model");
    for (const auto& [text, id] : member(model, "vocab").items()) {
        const bool byte = pieces && text.size() == 6 && text.rfind("<0x", 0) == 0;
        const bool unknown = member(model, "unk_token") == text;
        put(text, id.get<std::int64_t>(), byte ? kByte : unknown ? kUnknown : kNormal);
    }
    for (const JsonTree& added : member(tokenizer, "added_tokens")) {
        const auto text = added.at("content").get<std::string>();
        const bool unknown = pieces && member(model, "unk_token") == text;
        put(text, added.at("id").get<std::int64_t>(),
            unknown                           ? kUnknown
            : added.at("special").get<bool>() ? kControl
                                              : kUser);
    }
    std::set<std::string> seen;
    for (std::size_t id = 0; id < tokens.text.size(); ++id) {
        if (tokens.type[id] == kUnused) {
            tokens.text[id] = "[PAD" + std::to_string(id) + "]";
        }
        QW_REQUIRE(seen.insert(tokens.text[id]).second, ErrorCode::Unsupported, where, ": token \"",
                   tokens.text[id], "\" is there twice, which llama.cpp does not survive");
    }
    return tokens;
}

/// "a b", a space inside a piece written as the byte-level alphabet has it.
std::vector<std::pair<std::string, std::string>> mergesOf(const JsonTree& model)
{
    std::vector<std::pair<std::string, std::string>> merges;
    for (const JsonTree& merge : member(model, "merges")) {
        if (merge.is_array()) {
            merges.emplace_back(merge.at(0).get<std::string>(), merge.at(1).get<std::string>());
        } else {
            const auto text = merge.get<std::string>();
            const std::size_t space = text.find(' ');
            merges.emplace_back(text.substr(0, space), text.substr(space + 1));
        }
    }
    return merges;
}

std::string withoutSpaces(const std::string& piece)
{
    std::string out;
    for (const char c : piece) {
        out += c == ' ' ? std::string("\xC4\xA0") : std::string{c};
    }
    return out;
}

/// A token is worth the more, the earlier it is merged: that order is all that decides.
std::vector<float> scoresOf(const Tokens& tokens,
                            const std::vector<std::pair<std::string, std::string>>& merges)
{
    std::map<std::string, std::int64_t> first;
    for (std::size_t i = 0; i < merges.size(); ++i) {
        first.emplace(merges[i].first + merges[i].second, static_cast<std::int64_t>(i));
    }
    std::vector<float> scores;
    for (const std::string& text : tokens.text) {
        const auto merged = first.find(text);
        scores.push_back(merged == first.end() ? 0.0F : -static_cast<float>(merged->second));
    }
    return scores;
}

/// Whether the post-processor puts a special token before the text.
bool addsBos(const JsonTree& tokenizer)
{
    for (const JsonTree& step : stepsOf(member(tokenizer, "post_processor"), "processors")) {
        const JsonTree& single = member(step, "single");
        if (single.is_array() && !single.empty() && single.front().contains("SpecialToken")) {
            return true;
        }
    }
    return false;
}

/// The id of a special token named in tokenizer_config.json.
std::optional<std::int64_t> namedToken(const Json& config, const char* key, const Tokens& tokens)
{
    if (!config.contains(key)) {
        return {};
    }
    const Json& value = config[key];
    const std::string text = value.is_string()   ? value.get<std::string>()
                             : value.is_object() ? value.value("content", "")
                                                 : "";
    const auto found = std::find(tokens.text.begin(), tokens.text.end(), text);
    return found == tokens.text.end() ? std::optional<std::int64_t>()
                                      : std::distance(tokens.text.begin(), found);
}

void addSpecialTokens(GgufMetadata& keys, const std::filesystem::path& folder,
                      const ModelConfig& config, const Tokens& tokens)
{
    const auto file = folder / "tokenizer_config.json";
    const Json named = std::filesystem::exists(file) ? readJsonFile(file) : Json::object();
    const auto inRows = [&](std::int64_t id) {
        return id >= 0 && id < static_cast<std::int64_t>(tokens.text.size());
    };
    std::int64_t eos = namedToken(named, "eos_token", tokens).value_or(-1);
    for (const std::int64_t id : config.eosTokens) {
        eos = inRows(eos) ? eos : id;
    }
    if (!inRows(eos)) { // llama.cpp would take token 11
        const auto control = std::find(tokens.type.begin(), tokens.type.end(), kControl);
        eos = control == tokens.type.end() ? 0 : std::distance(tokens.type.begin(), control);
    }
    const std::int64_t bos = inRows(config.bosToken)
                                 ? config.bosToken
                                 : namedToken(named, "bos_token", tokens).value_or(eos);
    keys.emplace_back("tokenizer.ggml.bos_token_id", static_cast<std::uint32_t>(bos));
    keys.emplace_back("tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(eos));
    for (const auto& [key, name] : {std::pair{"tokenizer.ggml.unknown_token_id", "unk_token"},
                                    std::pair{"tokenizer.ggml.padding_token_id", "pad_token"}}) {
        if (const auto id = namedToken(named, name, tokens)) {
            keys.emplace_back(key, static_cast<std::uint32_t>(*id));
        }
    }
    const auto jinja = folder / "chat_template.jinja";
    if (std::filesystem::exists(jinja)) {
        keys.emplace_back("tokenizer.chat_template", readTextFile(jinja, 1 << 20));
    } else if (named.contains("chat_template") && named["chat_template"].is_string()) {
        keys.emplace_back("tokenizer.chat_template", named["chat_template"].get<std::string>());
    }
}
} // namespace

GgufMetadata ggufTokenizer(const std::filesystem::path& folder, const ModelConfig& config)
{
    const auto file = folder / "tokenizer.json";
    if (!std::filesystem::exists(file)) {
        return {{"tokenizer.ggml.model", std::string("no_vocab")}};
    }
    const std::string where = file.string();
    const JsonTree tokenizer = tok::parseTokenizerJson(readTextFile(file), where);
    const JsonTree& model = member(tokenizer, "model");
    const auto preSteps = stepsOf(member(tokenizer, "pre_tokenizer"), "pretokenizers");
    const auto normSteps = stepsOf(member(tokenizer, "normalizer"), "normalizers");
    const bool pieces = hasStep(normSteps, "Prepend") || hasStep(preSteps, "Metaspace");
    const Tokens tokens = tokensOf(tokenizer, config.vocabSize, pieces, where);
    const auto merges = mergesOf(model);
    GgufMetadata keys{
        {"tokenizer.ggml.model", std::string(pieces ? "llama" : "gpt2")},
        {"tokenizer.ggml.pre", pieces ? std::string("default") : splitterOf(tokenizer, where)},
        {"tokenizer.ggml.tokens", tokens.text},
        {"tokenizer.ggml.token_type", tokens.type}};
    if (pieces) {
        keys.emplace_back("tokenizer.ggml.scores", scoresOf(tokens, merges));
        const bool never = std::any_of(preSteps.begin(), preSteps.end(), [](const JsonTree& step) {
            return member(step, "prepend_scheme") == "never";
        });
        keys.emplace_back("tokenizer.ggml.add_space_prefix", !never);
    } else {
        std::vector<std::string> joined;
        for (const auto& [left, right] : merges) {
            joined.push_back(withoutSpaces(left) + " " + withoutSpaces(right));
        }
        keys.emplace_back("tokenizer.ggml.merges", std::move(joined));
    }
    keys.emplace_back("tokenizer.ggml.add_bos_token", addsBos(tokenizer));
    addSpecialTokens(keys, folder, config, tokens);
    return keys;
}

} // namespace qw
