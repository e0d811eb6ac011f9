#!/usr/bin/env python3
"""Tokens a second and nll of transformers on a model folder and windows of token ids.

Needs: torch, transformers. Usage: peer_eval.py FOLDER IDS.json f32|bf16 THREADS
Prints one JSON object. Loading and one warm-up window are not timed; log-softmax is.
"""

import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM


def score(model, ids):
    logits = model(ids, use_cache=False).logits[0, :-1]
    return torch.nn.functional.cross_entropy(logits.float(), ids[0, 1:]).item()


def main():
    folder, ids_file, compute, threads = sys.argv[1:5]
    torch.set_num_threads(int(threads))
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[compute]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    with open(ids_file) as file:
        windows = [torch.tensor([row]) for row in json.load(file)]
    with torch.inference_mode():
        score(model, windows[0])
        start = time.perf_counter()
        losses = [score(model, window) for window in windows]
        seconds = time.perf_counter() - start
    tokens = sum(window.numel() for window in windows)
    print(json.dumps({"tokens_per_second": tokens / seconds, "nll": sum(losses) / len(losses)}))


if __name__ == "__main__":
    main()
