#!/usr/bin/env python3
"""Seconds per iteration of LRQ in the official formulation, in current PyTorch.

One Llama block of the reference library whose linear layers learn their rounding as the released
quantizer does; float32, and bfloat16 autocast. Usage: peer_lrq.py [THREADS]
"""
import sys
import time

import torch
import transformers

TOKENS = 1024
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


def seconds(hidden, autocast):
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        hidden_size=hidden, intermediate_size=hidden * 11 // 4, num_hidden_layers=1,
        num_attention_heads=hidden // 64, num_key_value_heads=hidden // 256, vocab_size=512)
    model = transformers.LlamaModel(config).eval()
    for p in model.parameters():
        p.requires_grad_(False)
    block = model.layers[0]
    for holder in (block.self_attn, block.mlp):
        for name, module in list(holder.named_children()):
            if isinstance(module, torch.nn.Linear):
                setattr(holder, name, Layer(module, hidden // 4))
    optimizer = torch.optim.Adam([p for p in block.parameters() if p.requires_grad], lr=1e-3)
    x = torch.randn(1, TOKENS, hidden)
    target = torch.randn(1, TOKENS, hidden)
    positions = model.rotary_emb(x, torch.arange(TOKENS)[None])
    start = 0.0
    for i in range(ITERATIONS + 2):
        if i == 2:
            start = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            output = block(x, position_embeddings=positions)
            output = output[0] if isinstance(output, tuple) else output
        (output.float() - target).square().sum(1).mean().backward()
        optimizer.step()
    return (time.perf_counter() - start) / ITERATIONS


def main():
    if len(sys.argv) > 1:
        torch.set_num_threads(int(sys.argv[1]))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for hidden in (512, 1024):
        for autocast in (False, True):
            kind = "bfloat16 autocast" if autocast else "float32"
            print(f"hidden {hidden}, {kind}: {seconds(hidden, autocast):.3f} s/iteration",
                  flush=True)


if __name__ == "__main__":
    main()
