#!/usr/bin/env python3
"""Seconds of one iteration of LRQ in the official formulation, in the PyTorch that is installed.

One Llama block of transformers whose linear layers learn their rounding by the released quantizer's
operations, Adam, 4 bits per channel, random weights.
Needs: torch, transformers. Usage: peer_lrq.py HIDDEN INTERMEDIATE RANK TOKENS f32|bf16 THREADS
Prints one JSON object. bf16 is autocast, as the authors train; two iterations are not timed.
"""

import json
import resource
import sys
import time

import torch
import transformers

WARM_UP = 2
ITERATIONS = 10


class Layer(torch.nn.Module):
    def __init__(self, linear, rank, bits=4):
        super().__init__()
        w = linear.weight.detach()
        self.register_buffer("w", w)
        low = w.amin(1, keepdim=True).clamp_max(0)
        scale = (w.amax(1, keepdim=True).clamp_min(0) - low) / (2**bits - 1)
        self.register_buffer("zero", torch.round(-low / scale))
        self.levels = 2**bits - 1
        out, n = w.shape
        make = torch.nn.Parameter
        self.log_scale = make(scale.log())
        self.left = make(torch.zeros(out, rank))
        self.right = make((torch.rand(rank, n) * 2 - 1) / n**0.5)
        self.row = make(torch.zeros(out, 1))
        self.column = make(torch.zeros(1, n))

    def forward(self, x):
        divisor = (self.log_scale + self.left @ self.right + self.row + self.column).exp()
        ratio = self.w / divisor
        code = (torch.round(ratio) - ratio).detach() + ratio
        code = torch.clamp(code, -self.zero, self.levels - self.zero)
        return torch.nn.functional.linear(x, self.log_scale.exp() * code)


def learning_block(hidden, intermediate, rank):
    config = transformers.LlamaConfig(
        hidden_size=hidden, intermediate_size=intermediate, num_hidden_layers=1,
        num_attention_heads=hidden // 64, num_key_value_heads=hidden // 256, vocab_size=512)
    model = transformers.LlamaModel(config).eval()
    for p in model.parameters():
        p.requires_grad_(False)
    block = model.layers[0]
    for holder in (block.self_attn, block.mlp):
        for name, module in list(holder.named_children()):
            if isinstance(module, torch.nn.Linear):
                setattr(holder, name, Layer(module, rank))
    return model, block


def main():
    hidden, intermediate, rank, tokens = (int(text) for text in sys.argv[1:5])
    autocast = {"f32": False, "bf16": True}[sys.argv[5]]
    torch.set_num_threads(int(sys.argv[6]))
    torch.manual_seed(0)
    model, block = learning_block(hidden, intermediate, rank)
    optimizer = torch.optim.Adam([p for p in block.parameters() if p.requires_grad], lr=1e-3)
    x = torch.randn(1, tokens, hidden)
    target = torch.randn(1, tokens, hidden)
    positions = model.rotary_emb(x, torch.arange(tokens)[None])
    start = 0.0
    for i in range(WARM_UP + ITERATIONS):
        if i == WARM_UP:
            start = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            output = block(x, position_embeddings=positions)
            output = output[0] if isinstance(output, tuple) else output
        (output.float() - target).square().sum(1).mean().backward()
        optimizer.step()
    seconds = (time.perf_counter() - start) / ITERATIONS
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
