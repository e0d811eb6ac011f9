#include <cmath>
#include <iostream>
#include <iterator>
#include <optional>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "engine.h"
#include "session.h"

namespace qw::cli {

namespace {
struct Options {
    std::string model;
    std::string runId;
    GenerateOptions generate;
    bool noSpecial = false;
    bool ignoreEos = false;
};

void checkSampling(const GenerateOptions& options)
{
    QW_REQUIRE(options.maxTokens >= 1, ErrorCode::BadInput, "--tokens ", options.maxTokens,
               " is too small; it must be at least 1");
    QW_REQUIRE(std::isfinite(options.temperature) && options.temperature >= 0, ErrorCode::BadInput,
               "--temperature ", options.temperature, " is not a number from 0 on");
    QW_REQUIRE(options.topK >= 0, ErrorCode::BadInput, "--top-k ", options.topK,
               " is too small; it must be at least 0");
    QW_REQUIRE(options.topP > 0 && options.topP <= 1, ErrorCode::BadInput, "--top-p ", options.topP,
               " is not above 0 and at most 1");
    QW_REQUIRE(options.seed >= 0, ErrorCode::BadInput, "--seed ", options.seed,
               " is too small; it must be at least 0");
    QW_REQUIRE(options.compute == "f32" || options.compute == "bf16", ErrorCode::BadInput,
               "--compute \"", options.compute, "\" is not f32 or bf16");
    QW_REQUIRE(options.samples >= 1, ErrorCode::BadInput, "--samples ", options.samples,
               " is too small; it must be at least 1");
    QW_REQUIRE(options.batchSize >= 1, ErrorCode::BadInput, "--batch-size ", options.batchSize,
               " is too small; it must be at least 1");
}

Json samplesJson(const std::vector<GeneratedText>& texts)
{
    Json samples = Json::array();
    for (const GeneratedText& text : texts) {
        samples.push_back({{"seed", text.seed},
                           {"text", text.text},
                           {"tokens", text.tokens},
                           {"ended", text.ended}});
    }
    return samples;
}

/// One sample is shown as it comes, several each under its seed.
int generate(const Session& session, Options& options)
{
    checkSampling(options.generate);
    session.startEngine();
    std::optional<RunResult> run;
    if (!options.runId.empty()) {
        run = session.existingStore().get(options.runId);
        if (options.model.empty()) {
            options.model = run->spec.model;
        }
    }
    options.generate.stopAtEos = !options.ignoreEos;
    const bool several = options.generate.samples > 1;
    const std::vector<GeneratedText> texts = generateTexts(
        options.model, run ? &*run : nullptr, options.generate, session.device,
        [&](const std::string& piece) {
            if (!session.json && !several) {
                std::cout << piece << std::flush;
            }
        },
        session.context());
    if (session.json) {
        printJson(Json{{"prompt", options.generate.prompt},
                       {"text", texts.front().text},
                       {"samples", samplesJson(texts)}});
        return 0;
    }
    for (std::size_t i = 0; several && i < texts.size(); ++i) {
        std::cout << (i > 0 ? "\n" : "") << "--- seed " << texts[i].seed << '\n'
                  << texts[i].text << '\n';
    }
    if (!several) {
        std::cout << '\n';
    }
    return 0;
}

int tokenize(const Session& session, const Options& options)
{
    const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
    const std::vector<std::int32_t> ids = tokenizeText(options.model, text, !options.noSpecial);
    if (session.json) {
        printJson(Json{{"ids", ids}});
        return 0;
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
        std::cout << (i > 0 ? " " : "") << ids[i];
    }
    std::cout << '\n';
    return 0;
}
} // namespace

void addGenerate(CLI::App& app, Session& session)
{
    CLI::App& command = *app.add_subcommand("generate", "Continue a text");
    session.addTo(command);
    static Options options;
    command.add_option("model", options.model, "Model folder, or demo (default: that of --run)");
    command.add_option("--run", options.runId, "Generate with this stored run");
    command.add_option("--prompt", options.generate.prompt, "Text to continue");
    command.add_option("--tokens", options.generate.maxTokens,
                       "At most so many new tokens (default 64)");
    command.add_option("--temperature", options.generate.temperature, "0: greedy (default)");
    command.add_option("--top-k", options.generate.topK,
                       "Only the K most likely tokens; 0: all (default)");
    command.add_option(
        "--top-p", options.generate.topP,
        "Only the most likely tokens that make up this probability; 1: all (default)");
    command.add_option("--seed", options.generate.seed, "Seed of the sampling (default 0)");
    command.add_option("--samples", options.generate.samples,
                       "Continue the prompt so many times, with seeds that count up (default 1)");
    command.add_option("--batch-size", options.generate.batchSize,
                       "Samples that grow together (default 32)");
    command.add_option("--compute", options.generate.compute, "f32 | bf16: products (default f32)");
    command.add_flag("--ignore-eos", options.ignoreEos, "Go on after the end of the text");
    command.footer("Examples:\n  qw generate demo --prompt 'Once upon a time' --temperature 0.8\n"
                   "  qw generate --run ID --prompt 'The sea' --tokens 200 --top-p 0.9 --seed 7\n"
                   "  qw generate demo --temperature 1 --samples 64 --tokens 511 --json");
    onRun(command, [&session] { return generate(session, options); });
}

void addTokenize(CLI::App& app, Session& session)
{
    CLI::App& command =
        *app.add_subcommand("tokenize", "Token ids of standard input, as one document");
    session.addTo(command);
    static Options options;
    command.add_option("model", options.model, "Model folder, or demo")->required();
    command.add_flag("--no-special", options.noSpecial, "Add no special tokens");
    command.footer("Examples:\n  printf 'Hello' | qw tokenize demo\n"
                   "  qw tokenize demo --no-special < book.txt");
    onRun(command, [&session] { return tokenize(session, options); });
}

} // namespace qw::cli
