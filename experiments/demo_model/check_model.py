#!/usr/bin/env python3
"""Checks a trained folder with Hugging Face transformers, an implementation not ours.

Needs torch, transformers and numpy (PyPI).

    python3 check_model.py MODEL --data DIR --text FILE [--curve curve.csv] [--rtn]

Prints the loss on validation.bin in the trainer's windows (beside the last row of the loss curve),
the perplexity of FILE under the GPTQ protocol in float32, a sample with a fixed seed, and with
--rtn the perplexity with every linear of the blocks rounded to 8, 4, 3 and 2 bits
(round-to-nearest, asymmetric min-max, group 128).
"""

import argparse
import csv
import math
import pathlib

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def losses(model, windows):
    """Cross entropies [windows, seqlen - 1] of int64 windows [windows, seqlen]."""
    parts = []
    for part in torch.split(windows, 8):
        logits = model(part[:, :-1]).logits.float()
        parts.append(torch.nn.functional.cross_entropy(logits.transpose(1, 2), part[:, 1:],
                                                       reduction="none"))
    return torch.cat(parts).double()


def perplexity(model, windows):
    """exp(mean nll), mean nll, its standard error over tokens, number of predictions."""
    nll = losses(model, windows).flatten()
    mean = nll.mean().item()
    return math.exp(mean), mean, (nll.std() / math.sqrt(len(nll))).item(), len(nll)


def round_to_nearest(weight, bits, group=128):
    """Asymmetric min-max rounding of [out, in] in groups along the inputs."""
    w = weight.reshape(-1, group)
    low, high = w.amin(1, keepdim=True).clamp(max=0), w.amax(1, keepdim=True).clamp(min=0)
    scale = (high - low).clamp(min=1e-8) / (2**bits - 1)
    zero = torch.round(-low / scale)
    codes = (torch.round(w / scale) + zero).clamp(0, 2**bits - 1)
    return ((codes - zero) * scale).reshape(weight.shape)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--text", type=pathlib.Path)
    parser.add_argument("--curve", type=pathlib.Path)
    parser.add_argument("--seqlen", type=int, default=512)
    parser.add_argument("--rtn", action="store_true")
    parser.add_argument("--prompt", default="The old man put down his lantern and said,")
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    print("parameters", sum(p.numel() for p in model.parameters()))

    if args.data:
        held = torch.from_numpy(np.fromfile(args.data / "validation.bin", "<u2").astype(np.int64))
        n = (len(held) - 1) // args.seqlen
        windows = torch.stack([held[i * args.seqlen:(i + 1) * args.seqlen + 1] for i in range(n)])
        print(f"validation loss {losses(model, windows).mean():.5f} over {n} windows")
        if args.curve:
            last = list(csv.DictReader(args.curve.open()))[-1]
            print(f"trainer's own {last['validation_loss']} (float32 weights; the folder's are "
                  "bfloat16)")
    if args.text:
        ids = tokenizer(args.text.read_bytes().decode("utf-8"), return_tensors="pt").input_ids[0]
        n = len(ids) // args.seqlen
        windows = ids[:n * args.seqlen].reshape(n, args.seqlen)
        ppl, nll, error, tokens = perplexity(model, windows)
        print(f"perplexity {ppl:.3f}, nll {nll:.5f} +- {error:.5f}, {tokens} tokens, {n} windows")
        if args.rtn:
            linears = {k: m for k, m in model.named_modules()
                       if isinstance(m, torch.nn.Linear) and "layers" in k}
            keep = {k: m.weight.clone() for k, m in linears.items()}
            for bits in (8, 4, 3, 2):
                for k, m in linears.items():
                    m.weight.copy_(round_to_nearest(keep[k], bits))
                ppl, nll, error, _ = perplexity(model, windows)
                print(f"RTN {bits} bit: perplexity {ppl:.3f}, nll {nll:.5f} +- {error:.5f}")
            for k, m in linears.items():
                m.weight.copy_(keep[k])
    for seed in (0, 1):
        torch.manual_seed(seed)
        prompt = tokenizer(args.prompt, return_tensors="pt").input_ids
        out = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=True,
                             temperature=0.8, top_k=50, max_new_tokens=160)
        print(f"--- sample, seed {seed}\n{tokenizer.decode(out[0], skip_special_tokens=True)}")


if __name__ == "__main__":
    main()
