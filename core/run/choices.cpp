#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <span>
#include <sstream>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "base/error.h"
#include "base/files.h"
#include "base/json_problem.h"
#include "engine.h"
#include "eval/perplexity.h"
#include "model/decoder.h"
#include "model/tokenizer.h"
#include "report/mean_error.h"
#include "report/typed_reader.h"
#include "run/artifact.h"
#include "run/quantized_variant.h"
#include "run/stored_run.h"

namespace qw {

namespace {
/// Hidden states of endings that pass over the blocks together.
constexpr std::int64_t kHiddenBudget = std::int64_t{1} << 30;

/// One ending of a question as tokens: context, then what is scored.
struct Ending {
    std::vector<std::int32_t> ids;
    std::int64_t scoredFrom = 0;
    std::int64_t characters = 0; ///< that the length normalization counts
    double logLikelihood = 0;
};

struct Question {
    std::vector<Ending> endings;
    std::int64_t answer = 0;
};

/// Unicode characters after leading spaces, which only join an ending to its context. As the usual
/// evaluation harness counts them.
std::int64_t charactersOf(const std::string& ending)
{
    const auto first = std::find_if(ending.begin(), ending.end(), [](char c) { return c != ' '; });
    return std::count_if(first, ending.end(),
                         [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

Question parseQuestion(const std::string& line, const std::string& where,
                       const Tokenizer& tokenizer, std::int64_t longest)
{
    const Json json = parseJsonLine(line, where);
    TypedReader reader(json, where);
    std::optional<std::string> context;
    std::optional<std::int64_t> answer;
    reader.read("context", context).read("answer", answer);
    const Json* const list = reader.find("endings");
    reader.finish();
    const char* const missing = !context ? "context" : list == nullptr ? "endings" : "answer";
    QW_REQUIRE(context && list != nullptr && answer, ErrorCode::BadInput, where, ": \"", missing,
               "\" is missing");
    Question question;
    question.answer = *answer;
    std::vector<std::string> endings;
    const bool strings =
        list->is_array() && std::all_of(list->begin(), list->end(), [&](const Json& ending) {
            return readExactly(ending, endings.emplace_back());
        });
    if (!strings) {
        reader.wrongType("endings", *list);
    }
    QW_REQUIRE(endings.size() >= 2, ErrorCode::BadInput, where, ": needs two endings or more");
    QW_REQUIRE(question.answer >= 0 && question.answer < static_cast<std::int64_t>(endings.size()),
               ErrorCode::BadInput, where, ": answer ", question.answer, " is none of the ",
               endings.size(), " endings (they count from 0)");
    for (const std::string& text : endings) {
        Ending ending;
        // The boundary is found on the whole text: a space may belong to the ending's first token.
        const auto contextIds = tokenizer.encode(*context);
        ending.ids = tokenizer.encode(*context + text);
        ending.scoredFrom =
            std::max<std::int64_t>(1, std::min(static_cast<std::int64_t>(contextIds.size()),
                                               static_cast<std::int64_t>(ending.ids.size()) - 1));
        ending.characters = std::max<std::int64_t>(1, charactersOf(text));
        QW_REQUIRE(static_cast<std::int64_t>(ending.ids.size()) <= longest, ErrorCode::BadInput,
                   where, ": has ", ending.ids.size(), " tokens, the model takes ", longest);
        QW_REQUIRE(ending.ids.size() >= 2, ErrorCode::BadInput, where,
                   ": context and ending are too short to score");
        question.endings.push_back(std::move(ending));
    }
    return question;
}

/// A model that is run over endings, one block in memory at a time.
struct EndingScorer {
    const Decoder& decoder; ///< of the blocks
    const Decoder& ends;    ///< embeds and finishes
    const ModelVariant* variant = nullptr;
    const RunContext& run;
    std::int64_t blocksDone = 0;

    std::int64_t bytesOf(const Ending& ending) const
    {
        return static_cast<std::int64_t>(ending.ids.size()) * decoder.config().hidden * 4;
    }
    at::Tensor idsOf(const Ending& ending) const
    {
        const auto count = static_cast<std::int64_t>(ending.ids.size());
        at::Tensor ids = at::empty({1, count}, at::kLong);
        std::copy(ending.ids.begin(), ending.ids.end(), ids.data_ptr<std::int64_t>());
        return ids.to(decoder.options().device);
    }
    void score(std::span<Ending* const> group)
    {
        std::vector<at::Tensor> states;
        for (const Ending* ending : group) {
            states.push_back(ends.embed(idsOf(*ending)));
        }
        for (std::int64_t index = 0; index < decoder.blockCount(); ++index) {
            run.checkpoint(blocksDone++);
            const BlockWeights block = decoder.loadBlock(index);
            BlockHooks hooks = variant != nullptr ? variant->block(block) : BlockHooks{};
            hooks.run = &run;
            for (const at::Tensor& x : states) {
                decoder.advanceBlock(block, x, hooks);
            }
            decoder.checkpoint().releaseBlock(index);
        }
        for (std::size_t i = 0; i < group.size(); ++i) {
            run.checkpoint();
            scoreLast(states[i], *group[i]);
        }
    }
    void scoreLast(const at::Tensor& x, Ending& ending) const
    {
        const std::int64_t scored = x.size(1) - ending.scoredFrom;
        const at::Tensor logits =
            ends.logits(ends.finish(x[0].narrow(0, ending.scoredFrom - 1, scored)));
        PredictionScores scores;
        addPredictions(logits, at::Tensor(), idsOf(ending)[0].narrow(0, ending.scoredFrom, scored),
                       scores);
        for (const double nll : scores.nll) {
            ending.logLikelihood -= nll;
        }
    }
};

/// Runs of endings whose hidden states fit together into the budget; one at least.
std::vector<std::span<Ending* const>> groupsOf(const std::vector<Ending*>& endings,
                                               const EndingScorer& scorer)
{
    std::vector<std::span<Ending* const>> groups;
    std::size_t first = 0;
    std::int64_t bytes = 0;
    for (std::size_t i = 0; i < endings.size(); ++i) {
        bytes += scorer.bytesOf(*endings[i]);
        if (i > first && bytes > kHiddenBudget) {
            groups.emplace_back(endings.data() + first, i - first);
            first = i;
            bytes = scorer.bytesOf(*endings[i]);
        }
    }
    groups.emplace_back(endings.data() + first, endings.size() - first);
    return groups;
}

bool rightAnswer(const Question& question, bool normalized)
{
    const auto value = [&](const Ending& ending) {
        return normalized ? ending.logLikelihood / static_cast<double>(ending.characters)
                          : ending.logLikelihood;
    };
    std::size_t best = 0;
    for (std::size_t i = 1; i < question.endings.size(); ++i) {
        if (value(question.endings[i]) > value(question.endings[best])) {
            best = i;
        }
    }
    return static_cast<std::int64_t>(best) == question.answer;
}
} // namespace

ChoiceScore evaluateChoices(const std::string& model, const RunResult* quantized,
                            const std::filesystem::path& file, const std::string& device,
                            const RunContext& run)
{
    const at::NoGradGuard noGrad;
    const auto start = std::chrono::steady_clock::now();
    requireDevice(device);
    const Checkpoint checkpoint(resolveModel(model));
    const Tokenizer tokenizer = Tokenizer::fromFolder(checkpoint.folder());
    const Decoder decoder(checkpoint, {at::kFloat, device});
    std::vector<Question> questions;
    std::istringstream lines(readTextFile(file));
    std::string line;
    for (std::int64_t number = 1; std::getline(lines, line); ++number) {
        run.checkpoint();
        if (line.find_first_not_of(" \t\r") != std::string::npos) {
            questions.push_back(parseQuestion(line, message(file.string(), ", line ", number),
                                              tokenizer, checkpoint.config().maxPositions));
        }
    }
    QW_REQUIRE(!questions.empty(), ErrorCode::BadInput, file.string(), ": holds no question");
    std::optional<ModelVariant> variant;
    if (quantized != nullptr) {
        requireSameModel(checkpoint, *quantized, run);
        variant = storedVariant(storedArtifact(*quantized), quantized->spec, decoder);
    }
    std::vector<Ending*> endings;
    for (Question& question : questions) {
        for (Ending& ending : question.endings) {
            endings.push_back(&ending);
        }
    }
    EndingScorer scorer{decoder, variant && variant->outside ? *variant->outside : decoder,
                        variant ? &*variant : nullptr, run};
    const auto groups = groupsOf(endings, scorer);
    const std::int64_t steps = static_cast<std::int64_t>(groups.size()) * decoder.blockCount();
    run.beginPhase("choices", steps);
    for (const std::span<Ending* const> group : groups) {
        scorer.score(group);
    }
    run.checkpoint(steps);
    std::vector<double> right;
    std::vector<double> rightNormalized;
    for (const Question& question : questions) {
        right.push_back(rightAnswer(question, false) ? 1 : 0);
        rightNormalized.push_back(rightAnswer(question, true) ? 1 : 0);
    }
    ChoiceScore score;
    score.questions = static_cast<std::int64_t>(questions.size());
    const MeanError plain = meanError(right);
    const MeanError normalized = meanError(rightNormalized);
    score.accuracy = plain.mean;
    score.stderrAccuracy = plain.standardError;
    score.accuracyNormalized = normalized.mean;
    score.stderrNormalized = normalized.standardError;
    score.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return score;
}

} // namespace qw
