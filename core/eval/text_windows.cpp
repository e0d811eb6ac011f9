#include "eval/text_windows.h"

#include <algorithm>
#include <cctype>
#include <deque>
#include <random>
#include <unordered_set>

#include <ATen/ops/empty.h>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "eval/usual_length.h"

namespace qw {

namespace {
void copyWindow(const std::vector<std::int32_t>& ids, std::size_t from, at::Tensor& windows,
                std::int64_t row)
{
    auto* to = windows.data_ptr<std::int64_t>() + row * windows.size(1);
    std::copy_n(ids.begin() + static_cast<std::ptrdiff_t>(from), windows.size(1), to);
}

/// Of which the windows keep the text and its hash.
std::vector<std::int32_t> encodeInto(TextWindows& out, const std::string& file,
                                     const ModelConfig& config, const Tokenizer& tokenizer,
                                     const RunContext& run)
{
    EncodedText encoded = encodeFile(file, config, tokenizer, run);
    out.text = std::move(encoded.text);
    out.textHash = std::move(encoded.hash);
    out.availableTokens = static_cast<std::int64_t>(encoded.ids.size());
    return std::move(encoded.ids);
}
} // namespace

EncodedText encodeFile(const std::string& file, const ModelConfig& config,
                       const Tokenizer& tokenizer, const RunContext& run)
{
    EncodedText encoded;
    encoded.text = readTextFile(file);
    encoded.hash = hashOf(encoded.text);
    encoded.ids = tokenizer.encode(encoded.text, true, run);
    for (const std::int32_t id : encoded.ids) {
        QW_REQUIRE(id < config.vocabSize, ErrorCode::BadFile, "tokenizer.json yields token ", id,
                   ", but the model has ", config.vocabSize, " embeddings");
    }
    return encoded;
}

std::int64_t windowLength(std::int64_t asked, std::int64_t fallback, const ModelConfig& config,
                          const char* what)
{
    const std::int64_t seqlen = asked > 0 ? asked : std::min(fallback, config.maxPositions);
    QW_REQUIRE(seqlen >= 2, ErrorCode::BadInput, what, " ", seqlen, " is too short: at least 2");
    QW_REQUIRE(seqlen <= config.maxPositions, ErrorCode::BadInput, what, " ", seqlen,
               " is longer than the ", config.maxPositions, " positions this model was made for");
    return seqlen;
}

void requireOneWindow(const std::string& file, std::size_t tokens, std::int64_t seqlen)
{
    QW_REQUIRE(static_cast<std::int64_t>(tokens) >= seqlen, ErrorCode::BadInput, file, ": has ",
               counted(tokens, "token"), ", fewer than one window of ", seqlen,
               "; choose a longer text or a smaller window");
}

Protocol protocolFromName(const std::string& name)
{
    if (name == "gptq") {
        return Protocol::Gptq;
    }
    QW_REQUIRE(name == "llama.cpp", ErrorCode::BadInput, "unknown protocol \"", name,
               "\": use gptq or llama.cpp");
    return Protocol::LlamaCpp;
}

TextWindows evaluationWindows(const EvaluationSpec& spec, const std::string& textFile,
                              const ModelConfig& config, const Tokenizer& tokenizer,
                              const RunContext& run)
{
    TextWindows out;
    const Protocol protocol = protocolFromName(spec.protocol);
    const bool llamaCpp = protocol == Protocol::LlamaCpp;
    const std::int64_t seqlen =
        windowLength(spec.seqlen, llamaCpp ? kLlamaCppLength : kUsualLength, config, "seqlen");
    QW_REQUIRE(!llamaCpp || seqlen >= 3, ErrorCode::BadInput, "seqlen ", seqlen,
               " is too short: protocol llama.cpp scores the second half, which needs at least 3");
    const std::vector<std::int32_t> ids = encodeInto(out, textFile, config, tokenizer, run);
    requireOneWindow(textFile, ids.size(), seqlen);

    const std::int64_t available = static_cast<std::int64_t>(ids.size()) / seqlen;
    const std::int64_t count = spec.windows > 0 ? std::min(spec.windows, available) : available;
    if (spec.windows > available) {
        out.substitutions.push_back(message("evaluation: ", spec.windows,
                                            " windows were asked for, the text holds ", available));
    }
    out.ids = at::empty({count, seqlen}, at::kLong);
    for (std::int64_t i = 0; i < count; ++i) {
        copyWindow(ids, static_cast<std::size_t>(i * seqlen), out.ids, i);
    }
    if (llamaCpp) {
        // Its tool puts BOS over the first token of each window where the tokenizer adds one.
        const std::vector<std::int32_t> bos = tokenizer.encode("");
        if (!bos.empty()) {
            out.ids.select(1, 0).fill_(static_cast<std::int64_t>(bos.front()));
        }
        out.firstScored = seqlen / 2;
    }
    return out;
}

TextWindows calibrationWindows(const CalibrationSpec& spec, const std::string& textFile,
                               const ModelConfig& config, const Tokenizer& tokenizer,
                               std::uint64_t seed, const RunContext& run)
{
    TextWindows out;
    const std::int64_t seqlen =
        windowLength(spec.seqlen, kUsualLength, config, "calibration seqlen");
    const std::vector<std::int32_t> ids = encodeInto(out, textFile, config, tokenizer, run);
    requireOneWindow(textFile, ids.size(), seqlen);
    std::int64_t count = spec.nsamples;
    if (spec.windows == "sequential") {
        const std::int64_t available = static_cast<std::int64_t>(ids.size()) / seqlen;
        if (count > available) {
            out.substitutions.push_back(
                message("calibration: ", count,
                        " windows in sequence were asked for, the text holds ", available));
            count = available;
        }
    }
    out.ids = at::empty({count, seqlen}, at::kLong);
    std::mt19937_64 generator(seed);
    const std::uint64_t offsets = ids.size() - static_cast<std::size_t>(seqlen) + 1;
    for (std::int64_t i = 0; i < count; ++i) {
        // The remainder is taken by hand: library distributions differ between implementations.
        const std::uint64_t from =
            spec.windows == "sequential" ? std::uint64_t(i * seqlen) : generator() % offsets;
        copyWindow(ids, from, out.ids, i);
    }
    return out;
}

double textOverlap(const std::string& a, const std::string& b)
{
    constexpr std::size_t kWords = 8;
    const auto shingles = [](const std::string& text) {
        std::vector<std::size_t> hashes;
        std::deque<std::string> words;
        std::string word;
        const auto flush = [&] {
            if (word.empty()) {
                return;
            }
            words.push_back(std::move(word));
            word.clear();
            if (words.size() > kWords) {
                words.pop_front();
            }
            if (words.size() == kWords) {
                std::string joined;
                for (const std::string& part : words) {
                    joined += part;
                    joined += ' ';
                }
                hashes.push_back(std::hash<std::string>{}(joined));
            }
        };
        for (const char c : text) {
            const auto u = static_cast<unsigned char>(c);
            if (std::isalnum(u) != 0 || u >= 0x80) {
                word.push_back(static_cast<char>(std::tolower(u)));
            } else {
                flush();
            }
        }
        flush();
        return hashes;
    };
    const std::vector<std::size_t> ofA = shingles(a);
    const std::vector<std::size_t> ofB = shingles(b);
    if (ofA.empty() || ofB.empty()) {
        return 0;
    }
    const std::unordered_set<std::size_t> known(ofB.begin(), ofB.end());
    const auto shared = std::count_if(ofA.begin(), ofA.end(),
                                      [&](std::size_t hash) { return known.contains(hash); });
    return static_cast<double>(shared) / static_cast<double>(ofA.size());
}

} // namespace qw
