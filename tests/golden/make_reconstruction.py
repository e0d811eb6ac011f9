#!/usr/bin/env python3
"""Writes reconstruction/: what LRQ and FlexRound must compute.

"rounding": forward and all gradients from the papers' formulas, NumPy, float64.
"blocks": twenty steps of the official recipe (Adam, cosine, squared error summed over the sequence)
on the first block of tiny models, in PyTorch with the reference library's own decoder layers.
Usage: make_reconstruction.py (needs torch, transformers, safetensors)
"""
import json
import pathlib

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
SEED = 20250311
rng = np.random.default_rng(SEED)


def rounded(w, l1, z, r2, c2, low, high, gradient):
    """Value and gradients of s1 * clamp(round(w / exp(l1 + z + r2 + c2)), low, high)."""
    s1 = np.exp(l1)
    ratio = w / np.exp(l1 + z + r2[:, None] + c2[None, :])
    v = np.round(ratio)
    inside = (v >= low) & (v <= high)
    code = np.clip(v, low, high)
    dz = gradient * (-s1 * ratio * inside)
    dl1 = gradient * s1 * (code - inside * ratio)
    return s1 * code, code, dz, dl1


def rounding_case(name, out, width, groups, bits, rank, spread, row=True, column=True):
    n = width * groups
    w = (rng.standard_normal((out, n)) * 0.05).astype(np.float32)
    shaped = w.reshape(out, groups, width)
    low_end = np.minimum(shaped.min(2), 0)
    high_end = np.maximum(shaped.max(2), 0)
    levels = 2**bits - 1
    scale = np.maximum((high_end - low_end) / levels, 1e-8).astype(np.float32)
    zero = np.clip(np.round(-low_end / scale), 0, levels).astype(np.float32)
    l1 = (np.log(scale) + spread * rng.standard_normal(scale.shape)).astype(np.float32)
    left = (spread * rng.standard_normal((out, rank if rank else n))).astype(np.float32)
    right = (rng.uniform(-1, 1, (rank, n)) / np.sqrt(n)).astype(np.float32) if rank else None
    r2 = (spread * rng.standard_normal(out) * row).astype(np.float32)
    c2 = (spread * rng.standard_normal(n) * column).astype(np.float32)
    gradient = rng.standard_normal((out, n)).astype(np.float32)

    wide = lambda x: np.repeat(x.astype(np.float64), width, axis=1)
    f8 = lambda x: x.astype(np.float64)
    z = f8(left) @ f8(right) if rank else f8(left)
    low, high = -wide(zero), levels - wide(zero)
    value, code, dz, dl1 = rounded(f8(w), wide(l1), z, f8(r2), f8(c2), low, high, f8(gradient))
    case = {"name": name, "bits": bits, "groups": groups, "rank": rank, "row": row,
            "column": column, "weight": w, "zero": zero, "log_scale": l1, "left": left,
            "r2": r2, "c2": c2, "gradient": gradient, "value": value, "code": code,
            "d_log_scale": dl1.reshape(out, groups, width).sum(2),
            "d_left": dz @ f8(right).T if rank else dz, "d_r2": dz.sum(1), "d_c2": dz.sum(0)}
    if rank:
        case["right"] = right
        case["d_right"] = f8(left).T @ dz
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in case.items()}


class Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.round(x)

    @staticmethod
    def backward(ctx, g):
        return g


class Clamp(torch.autograd.Function):
    """1 at the bounds, as the authors' version of the library had it."""

    @staticmethod
    def forward(ctx, x, low, high):
        ctx.save_for_backward((x >= low) & (x <= high))
        return torch.minimum(torch.maximum(x, low), high)

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0], None, None


class Layer(torch.nn.Module):
    """A linear layer while its rounding is learned, formulated as the official code does."""

    def __init__(self, weight, bias, bits, method, rank, generator, product):
        super().__init__()
        self.product = product
        self.register_buffer("w", weight)
        self.bias = bias
        out, n = weight.shape
        low = weight.amin(1, keepdim=True).clamp_max(0)
        high = weight.amax(1, keepdim=True).clamp_min(0)
        levels = 2**bits - 1
        scale = ((high - low) / levels).clamp_min(1e-8)
        zero = torch.clamp(torch.round(-low / scale), 0, levels)
        self.register_buffer("low", -zero)
        self.register_buffer("high", levels - zero)
        make = torch.nn.Parameter
        self.log_scale = make(scale.log())
        self.row = make(torch.zeros(out, 1))
        if method == "lrq":
            bound = 1 / n**0.5
            self.left = make(torch.zeros(out, rank))
            self.right = make((torch.rand(rank, n, generator=generator) * 2 - 1) * bound)
            self.column = make(torch.zeros(1, n))
        else:
            self.left = make(torch.zeros(out, n))

    def divisor(self):
        low_rank = hasattr(self, "right")
        z = self.left @ self.right if low_rank else self.left
        if self.product:
            factors = [1 + z, 1 + self.row] + ([1 + self.column] if low_rank else [])
            result = self.log_scale.exp()
            for factor in factors:
                result = result * factor.clamp(min=0.01)
            return result
        return (self.log_scale + z + self.row + (self.column if low_rank else 0)).exp()

    def parts(self):
        code = Clamp.apply(Round.apply(self.w / self.divisor()), self.low, self.high)
        return code, self.log_scale.exp() * code

    def forward(self, x):
        return torch.nn.functional.linear(x, self.parts()[1], self.bias)


def layers_of(block, prefix):
    """Name -> (module that holds it, attribute, linear)."""
    found = {}
    for name, module in block.named_modules():
        if isinstance(module, torch.nn.Linear):
            parent, _, attribute = name.rpartition(".")
            found[f"{prefix}.{name}"] = (block.get_submodule(parent), attribute, module)
    return found


def block_case(model_name, prefix, method, bits, rank, lr, steps=20, product=False):
    folder = HERE / "models" / model_name
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager").eval()
    for p in model.parameters():
        p.requires_grad_(False)
    block = model.get_submodule(prefix)
    ids = torch.tensor(rng.integers(4, model.config.vocab_size, (2, 24)))
    seen = {}

    def catch(_module, args, kwargs, output):
        seen["args"], seen["kwargs"] = args, kwargs
        seen["output"] = output[0] if isinstance(output, tuple) else output

    handle = block.register_forward_hook(catch, with_kwargs=True)
    with torch.no_grad():
        model(ids, use_cache=False)
    handle.remove()
    target = seen["output"]

    generator = torch.Generator().manual_seed(SEED)
    learned = {}
    for name, (parent, attribute, linear) in layers_of(block, prefix).items():
        learned[name] = Layer(linear.weight.detach(), linear.bias, bits, method, rank, generator,
                              product)
        setattr(parent, attribute, learned[name])
    state = {"losses": torch.zeros(0)}
    keys = ["log_scale", "left", "right", "row", "column"]
    for name, layer in learned.items():
        for key in keys:
            if hasattr(layer, key):
                value = getattr(layer, key).detach()
                value = value.flatten() if key in ("row", "column") else value
                state[f"{name}.{key}"] = value.clone()
                state[f"{name}.{key}.first"] = torch.zeros_like(value)
                state[f"{name}.{key}.second"] = torch.zeros_like(value)
    save_file(state, HERE / "reconstruction" / f"{model_name}_{method}.safetensors")

    parameters = [getattr(l, k) for l in learned.values() for k in keys if hasattr(l, k)]
    optimizer = torch.optim.Adam(parameters, lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps, eta_min=0)

    def loss_now():
        output = block(*seen["args"], **seen["kwargs"])
        output = output[0] if isinstance(output, tuple) else output
        return (output - target).abs().pow(2.0).sum(1).mean()

    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_now()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    with torch.no_grad():
        after = loss_now().item()
        codes = {n: (l.parts()[0] - l.low).int().tolist() for n, l in learned.items()}
        ratios = {}
        for n, l in learned.items():  # how far each quotient lies from a tie
            q = l.w / l.divisor()
            ratios[n] = (q - torch.floor(q) - 0.5).abs().min().item()
    divisor = "product" if product else "exp"
    return {"name": f"{model_name}, {method}, {divisor}", "divisor": divisor, "model": model_name, "method": method, "bits": bits,
            "rank": rank, "lr": lr, "ids": ids.tolist(), "losses": losses, "after": after,
            "codes": codes, "nearest_tie": min(ratios.values())}


def main():
    torch.set_num_threads(1)
    golden = {
        "script": "make_reconstruction.py", "seed": SEED,
        "versions": {"numpy": np.__version__, "torch": torch.__version__,
                     "transformers": transformers.__version__},
        "rounding": [
            rounding_case("low rank, 4 bits", 7, 12, 1, 4, 3, 0.3),
            rounding_case("low rank, 2 bits, clamped", 9, 19, 1, 2, 4, 0.6),
            rounding_case("full, 3 bits", 5, 33, 1, 3, 0, 0.3, column=False),
            rounding_case("groups, 3 bits", 70, 8, 3, 3, 2, 0.4),
            rounding_case("without row and column", 6, 10, 1, 3, 2, 0.4, row=False, column=False),
        ],
        "blocks": [
            block_case("llama", "model.layers.0", "lrq", 3, 5, 0.01),
            block_case("llama", "model.layers.0", "flexround", 3, 0, 0.01),
            block_case("opt", "model.decoder.layers.0", "lrq", 3, 5, 0.01),
            block_case("neox_parallel", "gpt_neox.layers.0", "lrq", 4, 5, 0.01),
            block_case("qwen3", "model.layers.0", "flexround", 2, 0, 0.01),
            block_case("opt", "model.decoder.layers.0", "flexround", 3, 0, 0.01, product=True),
            block_case("qwen3", "model.layers.0", "lrq", 3, 5, 0.01, product=True),
        ],
    }
    text = json.dumps(golden, separators=(",", ":"))
    (HERE / "reconstruction" / "golden.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
