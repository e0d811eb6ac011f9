#!/usr/bin/env python3
"""Writes qat.json: what LR-QAT, LSQ and PEQA must compute for one weight.

"cases": the forward, the merged integers and all gradients of y = x W^^T from the papers' formulas,
NumPy, float64, of float32 inputs, for every way to store the frozen part.
"starts": where training begins, with one step of LoftQ, LQER and QERA-exact by NumPy's SVD.
"trainings": twenty steps of torch.optim.AdamW with warm-up and decay on a squared error, autograd.
Usage: make_qat.py (needs numpy, torch)
"""
import json
import pathlib

import numpy as np
import torch

HERE = pathlib.Path(__file__).parent
SEED = 20250611
rng = np.random.default_rng(SEED)
f4 = np.float32


def levels(bits):
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def wide(scale, columns):
    """A scale for every column."""
    return np.repeat(scale, columns // scale.shape[1], axis=1)


def search(w, bits, groups, p):
    """LR-QAT's: the first of 100 shares of the largest magnitude with the least sum of |w - q|^p."""
    low, high = levels(bits)
    shaped = w.reshape(w.shape[0], groups, -1)
    largest = np.abs(shaped).max(2)
    best, least = None, None
    for i in range(1, 101):
        scale = np.maximum(f4(largest / f4(100) * f4(i)) / f4(high), f4(1e-8)).astype(f4)
        q = np.clip(np.round(shaped / scale[..., None]), low, high).astype(f4) * scale[..., None]
        loss = (np.abs(shaped - q).astype(np.float64) ** p).sum(2)
        if best is None:
            best, least = scale, loss
        better = loss < least
        best, least = np.where(better, scale, best), np.where(better, loss, least)
    return best.astype(f4)


def frozen(ratio, phi, bits):
    """As stored, and as it enters the forward."""
    low, high = levels(bits)
    if phi == "fp32":
        return ratio, ratio.astype(np.float64)
    if phi == "fp16":
        return ratio.astype(np.float16), ratio.astype(np.float16).astype(np.float64)
    if phi == "bf16":
        narrow = torch.from_numpy(ratio).to(torch.bfloat16).double().numpy()
        return narrow, narrow
    if phi == "fixed8":
        stored = np.round(2.0 ** (8 - bits) * np.clip(ratio, low, high))
        return stored, stored / 2.0 ** (8 - bits)
    stored = np.clip(np.round(ratio), low, high)
    return stored, stored.astype(np.float64)


def short(values):
    """Nine digits, which float32 numbers survive."""
    return [short(v) for v in values] if isinstance(values, list) else float(f"{values:.9g}")


def as_json(case):
    return {k: short(v.astype(np.float64).tolist()) if isinstance(v, np.ndarray) else v
            for k, v in case.items()}


def one_case(name, kind, phi, bits, out, columns, groups, rank, alpha, spread):
    low, high = levels(bits)
    while True:
        w = (rng.standard_normal((out, columns)) * 0.05).astype(f4)
        start = search(w, bits, groups, 4.0)
        scale = (start * np.exp(0.1 * rng.standard_normal(start.shape))).astype(f4)
        left = (spread * rng.standard_normal((out, rank))).astype(f4)
        right = rng.standard_normal((rank, columns)).astype(f4)
        x = rng.standard_normal((6, columns)).astype(f4)
        gradient = rng.standard_normal((6, out)).astype(f4)
        stored, base = frozen(w / wide(start, columns), phi, bits)
        s = wide(scale, columns).astype(np.float64)
        factor = alpha / rank if rank else 1.0
        product = factor * left.astype(np.float64) @ right.astype(np.float64)
        if kind == "lsq":
            rounded_value = w.astype(np.float64) / s
        elif phi == "int":
            rounded_value = product
        else:
            rounded_value = base + product
        if kind == "peqa" or np.abs(rounded_value - np.floor(rounded_value) - 0.5).min() > 1e-4:
            break
    z = np.round(rounded_value) + (base if phi == "int" and kind != "lsq" else 0)
    inside = (z >= low) & (z <= high)
    code = np.clip(z, low, high)
    value = s * code
    dvalue = gradient.astype(np.float64).T @ x.astype(np.float64)
    per_group = lambda v: v.reshape(out, groups, -1).sum(2)
    case = {"name": name, "kind": kind, "phi": phi, "bits": bits, "groups": groups, "rank": rank,
            "alpha": alpha, "weight": w, "start": start, "stored": stored, "scale": scale, "x": x,
            "gradient": gradient, "value": value, "code": code,
            "y": x.astype(np.float64) @ value.T, "d_x": gradient.astype(np.float64) @ value}
    if kind == "lsq":
        case["d_scale"] = per_group(dvalue * (code - inside * rounded_value))
        case["d_weight"] = dvalue * inside
    else:
        case["d_scale"] = per_group(dvalue * code)
    if rank:
        dproduct = factor * s * dvalue * inside
        case |= {"left": left, "right": right, "d_left": dproduct @ right.astype(np.float64).T,
                 "d_right": left.astype(np.float64).T @ dproduct}
    return as_json(case)


def balanced(error, root, rank, factor):
    """U sqrt(S), sqrt(S) V^T of the best rank in the norm of the inputs, over the factor."""
    u, s, vt = np.linalg.svd(error @ root / factor, full_matrices=False)
    a, b = u[:, :rank] * s[:rank], vt[:rank] @ np.linalg.inv(root)
    ratio = np.sqrt(np.linalg.norm(a, axis=0) / np.linalg.norm(b, axis=1))
    return a / ratio, b * ratio[:, None]


def one_start(name, init, phi, bits, out, columns, groups, rank, alpha):
    low, high = levels(bits)
    w = (rng.standard_normal((out, columns)) * 0.05).astype(f4)
    mix = rng.standard_normal((columns, columns)) / np.sqrt(columns)
    x = (rng.standard_normal((50, columns)) @ mix + 0.2).astype(f4)
    scale = search(w, bits, groups, 3.0)
    codes = np.clip(np.round(w / wide(scale, columns)), low, high)
    error = w.astype(np.float64) - codes * wide(scale, columns)
    root = np.eye(columns)
    if init == "qera-exact":
        values, vectors = np.linalg.eigh(x.astype(np.float64).T @ x / len(x))
        root = vectors @ np.diag(np.sqrt(values)) @ vectors.T
    mean = scale.mean(1, keepdims=True)
    factor = alpha / rank
    even = wide(scale / mean, columns)
    left, right = balanced(error / even, root, rank, factor)
    if init == "loftq":
        scale = search((w - factor * left @ right * even).astype(f4), bits, groups, 3.0)
    left = left / scale.mean(1, keepdims=True)
    if phi == "int":
        stored = codes
    else:
        stored, _ = frozen((w / wide(scale, columns) - factor * left @ right).astype(f4), phi, bits)
    return as_json({"name": name, "init": init, "phi": phi, "bits": bits, "groups": groups,
                    "rank": rank, "alpha": alpha, "weight": w, "x": x, "scale": scale,
                    "product": left @ right, "stored": stored, "left_lengths":
                    np.linalg.norm(left, axis=0), "right_lengths": np.linalg.norm(right, axis=1)})


class RoundClamp(torch.autograd.Function):
    """Straight through inside the grid, its bounds included."""

    @staticmethod
    def forward(ctx, ratio, base, low, high):
        z = base + torch.round(ratio)
        ctx.save_for_backward((z >= low) & (z <= high))
        return torch.clamp(z, low, high)

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0], None, None, None


def one_training(name, kind, phi, bits, out, columns, groups, rank, alpha, rates, decay):
    low, high = levels(bits)
    w = (rng.standard_normal((out, columns)) * 0.05).astype(f4)
    start = search(w, bits, groups, 4.0)
    right = (rng.uniform(-1, 1, (rank, columns)) / np.sqrt(columns)).astype(f4)
    x = rng.standard_normal((24, columns)).astype(f4)
    target = x @ w.T + 0.05 * rng.standard_normal((24, out)).astype(f4)
    stored, base = frozen(w / wide(start, columns), phi, bits)
    steps, warmup = 20, 4
    tensor = lambda v: torch.tensor(np.asarray(v, dtype=f4))
    learned = {"scale": tensor(start).requires_grad_(True)}
    if kind == "lr-qat":
        learned["left"] = torch.zeros(out, rank, requires_grad=True)
        learned["right"] = tensor(right).requires_grad_(True)
    if kind == "lsq":
        learned["weight"] = tensor(w).requires_grad_(True)
    base = tensor(base)

    def forward():
        s = learned["scale"].repeat_interleave(columns // groups, 1)
        if kind == "lsq":
            code = RoundClamp.apply(learned["weight"] / s, torch.zeros(()), low, high)
        elif kind == "peqa":
            code = base
        else:
            product = alpha / rank * (learned["left"] @ learned["right"])
            code = (RoundClamp.apply(product, base, low, high) if phi == "int" else
                    RoundClamp.apply(base + product, torch.zeros(()), low, high))
        return code, s * code

    optimizer = torch.optim.AdamW(
        [{"params": [v], "lr": rates["scale" if k == "scale" else "other"],
          "weight_decay": decay if k == "weight" else 0.0} for k, v in learned.items()],
        betas=(0.9, 0.95), eps=1e-8)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: (i + 1) / warmup if i < warmup else (steps - i) / (steps - warmup))
    losses, factors = [], []
    for _ in range(steps):
        optimizer.zero_grad()
        factors.append(schedule.get_last_lr()[0] / rates["scale"])
        loss = ((tensor(x) @ forward()[1].T - tensor(target)) ** 2).mean()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    with torch.no_grad():
        code, value = forward()
        after = ((tensor(x) @ value.T - tensor(target)) ** 2).mean().item()
    case = {"name": name, "kind": kind, "phi": phi, "bits": bits, "groups": groups, "rank": rank,
            "alpha": alpha, "rates": rates, "decay": decay, "weight": w, "start": start, "x": x,
            "target": target, "factors": factors, "losses": losses, "after": after,
            "codes": code.numpy()}
    if rank:
        case["right"] = right
    case |= {f"final_{k}": v.detach().numpy() for k, v in learned.items()}
    return as_json(case)


def main():
    torch.set_num_threads(1)
    golden = {
        "script": "make_qat.py", "seed": SEED,
        "versions": {"numpy": np.__version__, "torch": torch.__version__},
        "cases": [
            one_case("fp32, 4 bits", "lr-qat", "fp32", 4, 7, 12, 1, 3, 1.0, 1.5),
            one_case("bf16, 3 bits", "lr-qat", "bf16", 3, 5, 19, 1, 4, 2.0, 1.5),
            one_case("fp16, 2 bits", "lr-qat", "fp16", 2, 9, 10, 1, 2, 1.0, 1.0),
            one_case("fixed8, 4 bits", "lr-qat", "fixed8", 4, 6, 33, 1, 4, 1.0, 2.0),
            one_case("fixed8, 3 bits, groups", "lr-qat", "fixed8", 3, 34, 24, 3, 3, 1.0, 1.0),
            one_case("fixed8, 2 bits", "lr-qat", "fixed8", 2, 8, 17, 1, 1, 0.5, 1.0),
            one_case("int, 3 bits", "lr-qat", "int", 3, 9, 21, 1, 3, 1.0, 2.0),
            one_case("int, 4 bits, groups", "lr-qat", "int", 4, 6, 32, 4, 2, 1.0, 2.0),
            one_case("int, 7 bits", "lr-qat", "int", 7, 5, 13, 1, 2, 1.0, 4.0),
            one_case("LSQ, 3 bits", "lsq", "int", 3, 8, 15, 1, 0, 1.0, 0.0),
            one_case("LSQ, 2 bits, groups", "lsq", "int", 2, 6, 24, 3, 0, 1.0, 0.0),
            one_case("PEQA, 4 bits", "peqa", "int", 4, 7, 11, 1, 0, 1.0, 0.0),
            one_case("PEQA, 3 bits, groups", "peqa", "int", 3, 5, 16, 2, 0, 1.0, 0.0),
        ],
        "starts": [
            one_start("LoftQ, int, 3 bits", "loftq", "int", 3, 12, 18, 1, 4, 1.0),
            one_start("LoftQ, fixed8, groups", "loftq", "fixed8", 4, 10, 16, 2, 3, 1.0),
            one_start("LQER, int, 2 bits", "lqer", "int", 2, 9, 20, 1, 3, 2.0),
            one_start("LQER, fp32, groups", "lqer", "fp32", 3, 14, 24, 3, 5, 1.0),
            one_start("QERA-exact, int, 3 bits", "qera-exact", "int", 3, 12, 16, 1, 4, 1.0),
            one_start("QERA-exact, fixed8", "qera-exact", "fixed8", 3, 16, 12, 1, 2, 1.0),
        ],
        "trainings": [
            one_training("LR-QAT, fp32", "lr-qat", "fp32", 3, 10, 16, 1, 4, 1.0,
                         {"scale": 1e-4, "other": 0.05}, 0.0),
            one_training("LR-QAT, fixed8, groups", "lr-qat", "fixed8", 2, 12, 24, 3, 4, 1.0,
                         {"scale": 1e-4, "other": 0.05}, 0.0),
            one_training("LR-QAT, int", "lr-qat", "int", 4, 9, 20, 1, 3, 2.0,
                         {"scale": 1e-5, "other": 0.1}, 0.0),
            one_training("LSQ", "lsq", "int", 3, 10, 16, 1, 0, 1.0,
                         {"scale": 1e-4, "other": 1e-3}, 0.1),
            one_training("PEQA, groups", "peqa", "int", 3, 8, 18, 2, 0, 1.0,
                         {"scale": 1e-3, "other": 0.0}, 0.0),
        ],
    }
    text = json.dumps(golden, separators=(",", ":"))
    (HERE / "qat.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
