#include "export/model_card.h"

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

std::string loading(const RunFacts& facts, const TargetPlan& plan)
{
    const std::string& target = plan.shown.target;
    std::ostringstream out;
    if (target == "gguf") {
        out << "```\nllama-cli -m model.gguf"
            << (plan.separateFactors ? " --lora adapter.gguf" : "")
            << " -p \"Once upon a time\"\n```\n";
        return out.str();
    }
    out << "```python\n";
    if (target == "peft") {
        out << "from peft import PeftModel\n"
               "from transformers import AutoModelForCausalLM\n"
               "base = AutoModelForCausalLM.from_pretrained(\"THE QUANTIZED BASE\")\n"
               "model = PeftModel.from_pretrained(base, \"THIS FOLDER\")\n```\n\n"
               "The base is the quantized model without its correction, not the original.\n";
        return out.str();
    }
    out << "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
           "tokenizer = AutoTokenizer.from_pretrained(\"THIS FOLDER\")\n"
           "model = AutoModelForCausalLM.from_pretrained(\"THIS FOLDER\")\n";
    if (plan.separateFactors) {
        out << "from peft import PeftModel  # the low-rank correction\n"
               "model = PeftModel.from_pretrained(model, \"THIS FOLDER/adapter\")\n";
    }
    out << "```\n";
    if (target == "compressed-tensors") {
        out << "\nNeeds `pip install compressed-tensors`. vLLM: `vllm serve THIS_FOLDER`";
        if (plan.separateFactors) {
            out << " with `--enable-lora --max-lora-rank N --lora-modules correction=adapter`, N "
                   "being one of 1, 8, 16, 32, 64, 128, 256, 320, 512 and at least "
                << facts.rank;
        }
        out << ".\n";
    } else if (target == "gptq" || target == "awq") {
        out << "\nNeeds `pip install optimum gptqmodel`.\n";
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
        << "Protocol " << score.protocol << ", " << score.windows << " windows of " << score.seqlen
        << " tokens, " << score.tokens << " predictions, products in " << score.compute
        << ", before export and with all quantizers of the run.\n";
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
                      const Verification& verification)
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
        << loading(facts, plan) << "\n## Verified\n\n"
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
