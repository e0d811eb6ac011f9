#!/usr/bin/env python3
"""Writes models/perplexity/: a tiny Llama with tokenizer, text and questions, and perplexity.json
with what both protocols and multiple choice must give on it, computed in float64 with transformers' eager Llama and plain numpy.

Needs: torch, transformers, tokenizers, numpy. Usage: make_perplexity.py
The second model is the first with the weights of all block linears times VARIANT. Windows, means,
standard errors, divergences and quantiles are written out here from their definitions:
  gptq       tokenize the whole text once, cut into windows, drop the rest, score tokens 1..T-1
  llama.cpp  the same windows with the first token replaced by BOS; of the predictions made at
             positions T/2 .. T-2 (of the tokens T/2+1 .. T-1) all are scored
Standard errors are those of the mean over predictions; differences are paired by prediction.
"""

import json
import pathlib
import shutil

import numpy as np
import tokenizers
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

SEED = 20260402
VARIANT = 1.05
SEQLEN = 48
HERE = pathlib.Path(__file__).parent
FOLDER = HERE / "models" / "perplexity"


def make_model(vocab):
    config = AutoConfig.for_model(
        "llama", vocab_size=vocab, hidden_size=32, intermediate_size=40, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
        tie_word_embeddings=True, bos_token_id=1, eos_token_id=2)
    model = AutoModelForCausalLM.from_config(config)
    generator = torch.Generator().manual_seed(SEED)
    for value in model.parameters():
        noise = 0.2 * torch.randn(value.shape, generator=generator)
        value.data = 1 + noise if value.dim() == 1 else noise
    model.tie_weights()
    model = model.to(torch.bfloat16)
    model.config.dtype = "bfloat16"
    model.save_pretrained(FOLDER)
    (FOLDER / "generation_config.json").unlink(missing_ok=True)


def log_probabilities(windows, factor):
    model = AutoModelForCausalLM.from_pretrained(
        FOLDER, dtype=torch.float64, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, torch.nn.Linear) and name.startswith("model.layers."):
                module.weight *= factor
        logits = model(torch.tensor(windows)).logits.numpy()
    top = logits.max(-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))


def quantile(values, q):
    ordered = np.sort(values)
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def mean_error(values):
    n = len(values)
    mean = values.sum() / n
    return mean, np.sqrt(((values - mean) ** 2).sum() / (n - 1) / n)


def measure(windows, first_scored):
    full = log_probabilities(windows, 1.0)
    other = log_probabilities(windows, VARIANT)
    nll, other_nll, kl, same = [], [], [], 0
    for w, window in enumerate(windows):
        for t in range(first_scored, len(window) - 1):
            p, q = full[w, t], other[w, t]
            nll.append(-p[window[t + 1]])
            other_nll.append(-q[window[t + 1]])
            kl.append((np.exp(p) * (p - q)).sum())
            same += int(p.argmax() == q.argmax())
    nll, other_nll, kl = map(np.array, (nll, other_nll, kl))
    mean, error = mean_error(nll)
    delta, delta_error = mean_error(other_nll - nll)
    return dict(
        first_window=windows[0], last_window=windows[-1], windows=len(windows), tokens=len(nll),
        nll=mean, nll_stderr=error, perplexity=np.exp(mean), variant_nll=other_nll.mean(),
        variant_nll_stderr=mean_error(other_nll)[1], delta_nll=delta,
        delta_nll_stderr=delta_error, kl_mean=kl.mean(), kl_median=quantile(kl, 0.5),
        kl_p90=quantile(kl, 0.9), kl_p99=quantile(kl, 0.99), top1_agreement=same / len(nll))


QUESTIONS = [
    ("The river", [" ran", " stood still for a thousand years", " the"], 2),
    # By length the second wins only if the leading space is not counted.
    ("The river", [" ran", " stood still for a thousand years"], 1),
    ("Once upon a time", [" there was a king.", " it", " the letters of the law were read"], 1),
    ("She said", [" nothing.", " caf\u00e9 na\u00efve \u2014 \u00e9t\u00e9", " no"], 0),
    ("", ["Two and two", "Five"], 1),
    ("In the morning we", [" walk", " walked to the sea", " w"], 1),
    ("A", [" b", " bb", " bbb", " bbbb"], 3),
]


def choices(tokenizer):
    """Log-likelihoods of the endings by the definitions of docs/choices.md."""
    lines, plain, normalized = [], [], []
    for context, endings, answer in QUESTIONS:
        sums = []
        for ending in endings:
            before = len(tokenizer.encode(context).ids)
            ids = tokenizer.encode(context + ending).ids
            logs = log_probabilities([ids], 1.0)[0]
            start = max(1, min(before, len(ids) - 1))
            sums.append(sum(logs[t - 1, ids[t]] for t in range(start, len(ids))))
        rates = [s / len(e.lstrip(" ")) for s, e in zip(sums, endings)]
        for scores in (sums, rates):
            ordered = sorted(scores)
            assert ordered[-1] - ordered[-2] > 1e-3, "too close to tell in float32"
        plain.append(int(np.argmax(sums)) == answer)
        normalized.append(int(np.argmax(rates)) == answer)
        lines.append(json.dumps(dict(context=context, endings=endings, answer=answer)))
    (FOLDER / "choices.jsonl").write_text("\n".join(lines) + "\n\n")
    assert 0 < sum(plain) != sum(normalized) > 0, "the two accuracies should differ"
    both = [mean_error(np.array(v, float)) for v in (plain, normalized)]
    return dict(questions=len(QUESTIONS), accuracy=both[0][0], accuracy_stderr=both[0][1],
                accuracy_normalized=both[1][0], accuracy_normalized_stderr=both[1][1])


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "tokenizers" / "llama2.json", FOLDER / "tokenizer.json")
    tokenizer = tokenizers.Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    text = (HERE / "tokenizer_training_text.txt").read_text()[:1600]
    (FOLDER / "text.txt").write_text(text)
    make_model(tokenizer.get_vocab_size())
    ids = tokenizer.encode(text).ids
    cut = [ids[i:i + SEQLEN] for i in range(0, len(ids) - SEQLEN + 1, SEQLEN)]
    bos = tokenizer.token_to_id("<s>")
    assert ids[0] == bos
    golden = dict(
        script="make_perplexity.py", torch=torch.__version__,
        transformers=transformers.__version__, tokenizers=tokenizers.__version__, seed=SEED,
        variant=VARIANT, seqlen=SEQLEN, available_tokens=len(ids), choices=choices(tokenizer),
        protocols={"gptq": measure(cut, 0),
                   "llama.cpp": measure([[bos] + row[1:] for row in cut], SEQLEN // 2)})
    (FOLDER / "perplexity.json").write_text(json.dumps(golden, indent=1) + "\n")
    print(golden["choices"])
    for name, values in golden["protocols"].items():
        print(name, {k: v for k, v in values.items() if not k.endswith("window")})


if __name__ == "__main__":
    main()
