#include <iostream>
#include <optional>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "engine.h"
#include "session.h"
#include "spec_flags.h"
#include "table.h"

namespace qw::cli {

namespace {
struct Options {
    std::string model;
    std::string runId;
    std::string choices;
    EvaluationSpec spec;
};

void printChoices(const Session& session, const ChoiceScore& score)
{
    if (session.json) {
        printJson(Json{{"questions", score.questions},
                       {"accuracy", finiteOrNull(score.accuracy)},
                       {"accuracy_stderr", finiteOrNull(score.stderrAccuracy)},
                       {"accuracy_normalized", finiteOrNull(score.accuracyNormalized)},
                       {"accuracy_normalized_stderr", finiteOrNull(score.stderrNormalized)},
                       {"seconds", finiteOrNull(score.seconds)}});
        return;
    }
    std::cout << "accuracy " << formatWithError(score.accuracy, score.stderrAccuracy, 4)
              << ", by length "
              << formatWithError(score.accuracyNormalized, score.stderrNormalized, 4) << ", "
              << counted(score.questions, "question") << '\n';
}

void printScore(const Session& session, const EvaluationResult& result)
{
    const TextScore& score = result.score;
    if (session.json) {
        Json json = {{"perplexity", finiteOrNull(score.perplexity)},
                     {"nll", finiteOrNull(score.nll)},
                     {"nll_stderr", finiteOrNull(score.nllStderr)},
                     {"tokens", score.tokens},
                     {"windows", score.windows},
                     {"seqlen", score.seqlen},
                     {"protocol", score.protocol},
                     {"compute", score.compute},
                     {"seconds", finiteOrNull(score.seconds)},
                     {"tokens_per_second", finiteOrNull(result.tokensPerSecond)},
                     {"peak_rss_bytes", result.peakRssBytes}};
        if (std::isfinite(result.comparison.fpNll)) {
            json["fp_perplexity"] = finiteOrNull(result.comparison.fpPerplexity);
            json["fp_nll"] = finiteOrNull(result.comparison.fpNll);
            json["delta_nll"] = finiteOrNull(result.comparison.deltaNll);
            json["delta_nll_stderr"] = finiteOrNull(result.comparison.deltaNllStderr);
            json["kl_mean"] = finiteOrNull(result.comparison.klMean);
            json["kl_median"] = finiteOrNull(result.comparison.klMedian);
            json["kl_p90"] = finiteOrNull(result.comparison.klP90);
            json["kl_p99"] = finiteOrNull(result.comparison.klP99);
            json["top1_agreement"] = finiteOrNull(result.comparison.top1Agreement);
        }
        printJson(json);
        return;
    }
    std::cout << "perplexity "
              << formatWithError(score.perplexity, score.perplexity * score.nllStderr, 3) << " ("
              << score.protocol << " protocol, " << counted(score.tokens, "prediction") << ", "
              << counted(score.windows, "window") << " of " << score.seqlen << ", " << score.compute
              << ")\n"
              << formatNumber(result.tokensPerSecond, 0) << " tokens/s, "
              << formatDuration(score.seconds) << ", peak memory "
              << formatMegabytes(result.peakRssBytes) << '\n';
}

int eval(const Session& session, const CLI::App& command, Options& options)
{
    QW_REQUIRE(options.choices.empty() != options.spec.text.empty(), ErrorCode::BadInput,
               "give either --text or --choices");
    std::optional<RunResult> run;
    if (!options.runId.empty()) {
        run = session.existingStore().get(options.runId);
        if (options.model.empty()) {
            options.model = run->spec.model;
        }
    }
    RunSpec checked; // the same rules as for a run
    checked.model = options.model;
    checked.evaluation = options.spec;
    checkFlags(command, checked);
    session.startEngine();
    const RunResult* quantized = run ? &*run : nullptr;
    if (!options.choices.empty()) {
        printChoices(session, evaluateChoices(options.model, quantized, options.choices,
                                              session.device, session.context()));
    } else {
        printScore(session, evaluateModel(options.model, quantized, options.spec, session.device,
                                          session.context()));
    }
    return 0;
}
} // namespace

void addEval(CLI::App& app, Session& session)
{
    CLI::App& command = *app.add_subcommand("eval", "Measure perplexity or multiple choice");
    session.addTo(command);
    static Options options;
    command.add_option("model", options.model, "Model folder, or demo (default: that of --run)");
    command.add_option("--run", options.runId, "Evaluate this stored run of the model");
    addEvaluationFlags(command, options.spec);
    command.add_option("--choices", options.choices,
                       "Multiple choice instead: questions, one JSON object a line");
    command.footer("Examples:\n  qw eval demo --text demo:evaluation\n"
                   "  qw eval --run ID --text book.txt --seqlen 256 --json\n"
                   "  qw eval demo --choices questions.jsonl");
    onRun(command, [&session, &command] { return eval(session, command, options); });
}

} // namespace qw::cli
