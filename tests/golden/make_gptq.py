#!/usr/bin/env python3
"""Writes gptq.json: codes of GPTQ from the paper's formulas in NumPy, float64.

Column by column, every later column updated at once, no blocks; the inverse by numpy.linalg.
Usage: make_gptq.py
"""
import json
import pathlib

import numpy as np

from make_quantizers import F, asym_params

SEED = 20250312
rng = np.random.default_rng(SEED)


def grid_of(values, bits):
    """Scale and zero point of each row."""
    pairs = [asym_params(min(np.min(v), F(0)), max(np.max(v), F(0)), bits)
             for v in values.astype(np.float32)]
    return (np.array([p[0] for p in pairs], np.float64), np.array([p[1] for p in pairs], np.float64))


def gptq(weight, r, bits, group, act_order, static_groups, damp_percent):
    w = weight.astype(np.float64)
    out, n = w.shape
    width = group or n
    h = 2 * r
    static = [grid_of(w[:, g:g + width], bits) for g in range(0, n, width)]
    dynamic = bool(group) and not static_groups
    dead = np.diag(h) == 0
    h[dead, dead] = 1
    w[:, dead] = 0
    order = np.argsort(-np.diag(h), kind="stable") if act_order else np.arange(n)
    w, h = w[:, order], h[np.ix_(order, order)]
    h = h + damp_percent / 100 * np.mean(np.diag(h)) * np.eye(n)
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    codes = np.zeros((out, n), np.int64)
    group_of = np.zeros(n, np.int64)
    grids = {}
    for j in range(n):
        if dynamic and j % width == 0:
            grids[j // width] = grid_of(w[:, j:j + width], bits)
        g = j // width if dynamic else order[j] // width
        scale, zero = grids[g] if dynamic else static[g]
        code = np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1)
        error = (w[:, j] - (code - zero) * scale) / u[j, j]
        w[:, j:] -= np.outer(error, u[j, j:])
        codes[:, order[j]] = code
        group_of[order[j]] = g
    grids = grids if dynamic else dict(enumerate(static))
    return {"codes": codes.tolist(), "group_of": group_of.tolist(),
            "scale": np.stack([grids[g][0] for g in sorted(grids)], 1).tolist(),
            "zero": np.stack([grids[g][1] for g in sorted(grids)], 1).tolist()}


def main():
    n = 160  # more than one block of columns
    w = (rng.standard_normal((11, n)) * 0.05).astype(np.float32)
    x = rng.standard_normal((400, n)) @ (rng.standard_normal((n, n)) * 10.0 ** rng.uniform(-1, 0, n))
    x[:, [3, 77]] = 0
    r = x.T @ x / len(x)
    # Short numbers, the same for both programs.
    r = np.round(r, 3)
    cases = []
    for name, bits, group, act_order, static_groups, damp in [
        ("rows", 3, 0, False, False, 1.0),
        ("rows, act-order", 3, 0, True, False, 1.0),
        ("rows, 2 bits, much damping", 2, 0, False, False, 10.0),
        ("groups", 3, 32, False, False, 1.0),
        ("groups that do not divide a block", 3, 20, False, False, 1.0),
        ("groups, act-order", 3, 32, True, False, 1.0),
        ("static groups", 3, 32, False, True, 1.0),
        ("static groups, act-order", 4, 32, True, True, 1.0),
        ("wide groups", 4, 80, True, False, 1.0),
    ]:
        cases.append({"name": name, "bits": bits, "group": group, "act_order": act_order,
                      "static_groups": static_groups, "damp_percent": damp,
                      **gptq(w, r.copy(), bits, group, act_order, static_groups, damp)})
    golden = {"script": "make_gptq.py", "numpy": np.__version__, "seed": SEED,
              "weight": w.tolist(), "autocorrelation": r.tolist(), "cases": cases}
    text = json.dumps(golden, separators=(",", ":"))
    (pathlib.Path(__file__).parent / "gptq.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
