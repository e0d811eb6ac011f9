#include "export/model_card.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>

#include "base/error.h"
#include "report/spec_command.h"

namespace qw {

namespace {
std::string number(double value, const char* format)
{
    char text[40];
    std::snprintf(text, sizeof text, format, value);
    return std::isfinite(value) ? text : "not measured";
}

std::string loadingGguf(const TargetPlan& plan, const CardNames& names)
{
    return "In this folder:\n\n```\nllama-cli -m " + shellQuoted(names.ggufModel) +
           (plan.separateFactors ? " --lora " + shellQuoted(names.ggufAdapter) : std::string()) +
           " -p \"Once upon a time\"\n```\n";
}

std::string loadingPeft(const CardNames& names)
{
    const std::string base = Json(names.base.empty() ? "THE QUANTIZED BASE" : names.base).dump();
    return "In this folder:\n\n```python\n"
           "from peft import PeftModel\n"
           "from transformers import AutoModelForCausalLM\n"
           "base = AutoModelForCausalLM.from_pretrained(" +
           base +
           ")\n"
           "model = PeftModel.from_pretrained(base, \".\")\n```\n\n"
           "The base is the quantized model without its correction, not the original.\n";
}

/// GPTQModel's kernels for processors take 4-bit codes in groups only.
bool needsTorchKernel(const RunFacts& facts, const TargetPlan& plan)
{
    return plan.shown.target == "gptq" &&
           std::any_of(facts.layers.begin(), facts.layers.end(), [&](const LayerFacts& layer) {
               const auto stored = plan.layers.find(layer.info.name);
               return stored != plan.layers.end() && stored->second.bits == 4 &&
                      stored->second.group == layer.info.in;
           });
}

/// What transformers is told beside the folder: a class and how it is made; none: empty.
std::pair<std::string, std::string> loadingConfig(const RunFacts& facts, const TargetPlan& plan)
{
    if (plan.loadedDequantized) {
        return {"CompressedTensorsConfig", "dequantize=True"};
    }
    if (needsTorchKernel(facts, plan)) {
        return {"GPTQConfig", "bits=4, backend=\"torch\""};
    }
    return {};
}

std::string loadingVllm(const RunFacts& facts, const TargetPlan& plan)
{
    if (!plan.separateFactors) {
        return "vLLM, in this folder: `vllm serve .`\n";
    }
    for (const int rank : {8, 16, 32, 64, 128, 256, 320, 512}) {
        if (rank >= facts.rank) {
            return message("vLLM, in this folder: `vllm serve . --enable-lora --max-lora-rank ",
                           rank, " --lora-modules correction=adapter`\n");
        }
    }
    return "vLLM takes corrections up to rank 512.\n";
}

std::string loading(const RunFacts& facts, const TargetPlan& plan, const CardNames& names)
{
    const std::string& target = plan.shown.target;
    if (target == "gguf") {
        return loadingGguf(plan, names);
    }
    if (target == "peft") {
        return loadingPeft(names);
    }
    const auto [config, settings] = loadingConfig(facts, plan);
    std::ostringstream out;
    out << "In this folder:\n\n```python\n"
        << "from transformers import AutoModelForCausalLM, AutoTokenizer"
        << (config.empty() ? "" : ", " + config) << '\n'
        << "tokenizer = AutoTokenizer.from_pretrained(\".\")\n"
        << "model = AutoModelForCausalLM.from_pretrained(\".\""
        << (config.empty() ? "" : ", quantization_config=" + config + "(" + settings + ")")
        << ")\n";
    if (plan.separateFactors) {
        if (plan.unpackedByUse) {
            out << "model(tokenizer(\"a\", return_tensors=\"pt\").input_ids)  # unpacks the "
                   "codes\n";
        }
        out << "from peft import PeftModel  # the low-rank correction\n"
               "model = PeftModel.from_pretrained(model, \"adapter\")\n";
    }
    out << "```\n";
    const char* peft = plan.separateFactors ? " peft" : "";
    if (target == "compressed-tensors") {
        out << "\nNeeds `pip install transformers compressed-tensors" << peft << "`. "
            << loadingVllm(facts, plan);
    } else if (target == "gptq" || target == "awq") {
        out << "\nNeeds `pip install transformers optimum gptqmodel" << peft << "`.\n";
    }
    return out.str();
}

void addMeasured(std::ostringstream& out, const RunResult& run)
{
    if (std::isnan(run.score.nll)) {
        out << "The run was not measured on a text.\n";
        return;
    }
    const TextScore& score = run.score;
    out << "| measured | value |\n|---|---|\n"
        << "| perplexity | " << number(score.perplexity, "%.4f") << " |\n"
        << "| of the full-precision model | " << number(run.comparison.fpPerplexity, "%.4f")
        << " |\n"
        << "| difference of mean nll, nats | " << number(run.comparison.deltaNll, "%.5f") << " ± "
        << number(run.comparison.deltaNllStderr, "%.5f") << " |\n"
        << "| KL divergence, mean, nats | " << number(run.comparison.klMean, "%.5f") << " |\n"
        << "| same most likely token | " << number(run.comparison.top1Agreement, "%.4f") << " |\n\n"
        << "Protocol " << score.protocol << ", " << counted(score.windows, "window") << " of "
        << score.seqlen << " tokens, " << counted(score.tokens, "prediction") << ", products in "
        << score.compute << ", before export and with all quantizers of the run.\n";
}
} // namespace

std::string verdictOf(const Verification& verification)
{
    if (verification.maxAbsDifference == 0) {
        return message("read back: ", verification.tensors,
                       " tensors, bit for bit the run's; logits of a prompt differ by ",
                       number(verification.maxLogitDifference, "%.2g"), " of the largest");
    }
    return message("read back: ", verification.tensors,
                   " tensors, each as planned; they differ "
                   "from the run's by at most ",
                   number(verification.maxAbsDifference, "%.3g"), " (", verification.worst,
                   "), logits of a prompt by ", number(verification.maxLogitDifference, "%.2g"),
                   " of the largest");
}

std::string modelCard(const RunResult& run, const RunFacts& facts, const TargetPlan& plan,
                      const Verification& verification, const CardNames& names)
{
    const RunSpec& spec = run.spec;
    std::ostringstream out;
    out << "# " << std::filesystem::path(spec.model).filename().string() << ", " << spec.method
        << ", " << spec.weight.bits << " bits\n\n"
        << "Quantized by Quant Workbench " << run.provenance.program << " (run " << run.id
        << ") and exported as " << plan.shown.title << ".\n\n"
        << "| setting | value |\n|---|---|\n"
        << "| method | " << spec.method << " |\n"
        << "| format | " << spec.weight.format << ", " << spec.weight.bits << " bits, "
        << "group " << groupSizeToJson(spec.weight.groupSize).dump() << " |\n"
        << "| rank of the correction | " << run.rank << " |\n"
        << "| bits for a weight, all counted | " << number(run.bitsPerWeight, "%.3f") << " |\n"
        << "| stored here as | " << plan.shown.storage << " |\n"
        << "| everything else | " << typeTitle(plan.dtype) << " |\n\n";
    if (const std::string command = runCommand(spec); !command.empty()) {
        out << "Made with:\n\n```\n" << command << "\n```\n\n";
    }
    out << "## Measured\n\n";
    addMeasured(out, run);
    out << "\n## Load\n\n"
        << loading(facts, plan, names) << "\n## Verified\n\n"
        << "The files were " << verdictOf(verification) << ".\n";
    if (!plan.shown.lost.empty()) {
        out << "\n## Lost\n\n";
        for (const std::string& sentence : plan.shown.lost) {
            out << "- " << sentence << '\n';
        }
    }
    if (!plan.shown.notes.empty()) {
        out << "\n## Notes\n\n";
        for (const std::string& sentence : plan.shown.notes) {
            out << "- " << sentence << '\n';
        }
    }
    return out.str();
}

} // namespace qw
