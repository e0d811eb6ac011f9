#!/usr/bin/env python3
"""Writes quantizers.json: what the quantizers must give, from the papers' formulas in NumPy.

Written from the formulas alone, one row and one candidate after the other; float32 arithmetic where
the methods use it, float64 for powers and sums of range searches. Usage: make_quantizers.py
"""
import json
import math
import pathlib

import numpy as np

SEED = 20240601
F = np.float32
SCALE_FLOOR = F(1e-8)
rng = np.random.default_rng(SEED)


def normal(rows, cols, size=0.05):
    return (rng.standard_normal((rows, cols)) * size).astype(np.float32)


def weights():
    """Named matrices [rows, cols]; the names become rows of the tests."""
    mixed = normal(4, 12)
    mixed[1] = 0  # an all-zero row
    mixed[2] = F(0.03125)  # a constant row
    mixed[3] = np.abs(mixed[3])  # a one-signed row among others
    outlier = normal(3, 24)
    outlier[:, 5] *= 20
    return {
        "normal": normal(5, 24),
        "outlier": outlier,
        "mixed": mixed,
        "positive": np.abs(normal(3, 12)),
        "negative": -np.abs(normal(3, 12)),
        "one row": normal(1, 12),
        "one column": normal(12, 1),
        "tiny": normal(3, 12, 1e-9),
        "huge": normal(3, 12, 1e6),
    }


def groups_of(w, group):
    """Index arrays (row, slice) of each group; group 0: rows, -1: the whole tensor."""
    rows, cols = w.shape
    width = cols if group == 0 else group
    return [(r, slice(c, c + width)) for r in range(rows) for c in range(0, cols, width)]


def asym_params(low, high, bits):
    levels = F(2**bits - 1)
    scale = max(F(F(high - low) / levels), SCALE_FLOOR)
    zero = min(max(np.rint(F(-low / scale)), F(0)), levels)
    return scale, F(zero)


def asym_codes(v, scale, zero, bits):
    return np.clip(np.rint(v / scale) + zero, F(0), F(2**bits - 1)).astype(np.float32)


def sym_codes(v, scale, bits):
    return np.clip(np.rint(v / scale), F(-(2 ** (bits - 1))), F(2 ** (bits - 1) - 1))


def power_sum(v, q, p):
    return float(np.sum(np.abs((q - v).astype(np.float32)).astype(np.float64) ** p))


def minmax(v, bits, sym):
    if sym:
        bound = np.max(np.abs(v))
        return max(F(bound / F(2 ** (bits - 1) - 1)), SCALE_FLOOR), F(0)
    return asym_params(min(np.min(v), F(0)), max(np.max(v), F(0)), bits)


def lrq_search(v, bits, p, one_signed, steps=100):
    """LRQ's search on one row; one_signed: of the whole tensor, '+', '-' or ''."""
    low, high = min(np.min(v), F(0)), max(np.max(v), F(0))
    best, kept = 1e10, asym_params(low, high, bits)
    candidates = []
    if one_signed:
        bound = np.max(np.abs(v))
        for i in range(1, steps + 1):
            limit = F(F(bound / F(steps)) * F(i))
            candidates.append((F(0), limit) if one_signed == "+" else (F(-limit), F(0)))
    else:
        whole = F(high - low)
        for i in range(1, steps + 1):
            reach = F(F(whole / F(steps)) * F(i))
            step = F(reach / F(2**bits - 1))
            for zero in range(2**bits):
                left = F(F(-zero) * step)
                candidates.append((left, F(reach + left)))
    for left, right in candidates:
        scale, zero = asym_params(left, right, bits)
        q = (asym_codes(v, scale, zero, bits) - zero) * scale
        score = power_sum(v, q, p) / v.size
        if score < best:
            best, kept = score, (scale, zero)
    return kept


def lp_search(v, bits, p, steps=100):
    """LR-QAT's symmetric search on one row; returns the scale."""
    bound = np.max(np.abs(v))
    best, kept = math.inf, bound
    for i in range(1, steps + 1):
        t = F(F(bound / F(steps)) * F(i))
        scale = max(F(t / F(2 ** (bits - 1) - 1)), SCALE_FLOOR)
        score = power_sum(v, (sym_codes(v, scale, bits) * scale).astype(np.float32), p)
        if score < best:
            best, kept = score, t
    return max(F(kept / F(2 ** (bits - 1) - 1)), SCALE_FLOOR)


def shrink_search(v, bits, p, sym, steps=100):
    """GPTQ's search on one row (mse: grid 100, maxshrink 0.8); our symmetric grid."""
    bound = np.max(np.abs(v))
    low, high = (-bound, bound) if sym else (min(np.min(v), F(0)), max(np.max(v), F(0)))
    best, kept = math.inf, None
    for i in range(int(0.8 * steps)):
        left, right = (F(F(1 - i / steps) * F(end)) for end in (low, high))
        if sym:
            scale, zero = max(F(right / F(2 ** (bits - 1) - 1)), SCALE_FLOOR), F(0)
            q = (sym_codes(v, scale, bits) * scale).astype(np.float32)
        else:
            scale, zero = asym_params(left, right, bits)
            q = (asym_codes(v, scale, zero, bits) - zero) * scale
        score = power_sum(v, q, p)
        if score < best:
            best, kept = score, (scale, zero)
    return kept


def short(x):
    return int(x) if x == int(x) and abs(x) < 1e6 else x


def numbers(array):
    """Nine digits name a float32."""
    return [[short(float(f"{x:.9g}")) for x in row] for row in np.asarray(array, dtype=np.float64)]


def grid_cases():
    cases = []
    for name, w in WEIGHTS.items():
        for bits in range(2, 9):
            for sym in (False, True):
                for group in sorted({0, -1} | ({4} if w.shape[1] % 4 == 0 else set())):
                    v = w.reshape(1, -1) if group == -1 else w
                    layout = groups_of(v, 0 if group == -1 else group)
                    per_row = len(layout) // v.shape[0]
                    scale = np.zeros((v.shape[0], per_row), np.float32)
                    zero = np.zeros_like(scale)
                    codes = np.zeros_like(v)
                    for n, (r, s) in enumerate(layout):
                        sc, z = minmax(v[r, s], bits, sym)
                        scale[r, n % per_row], zero[r, n % per_row] = sc, z
                        codes[r, s] = (
                            sym_codes(v[r, s], sc, bits) if sym else asym_codes(v[r, s], sc, z, bits)
                        )
                    cases.append(
                        {"name": f"{name} {bits} bits {'sym' if sym else 'asym'} group {group}",
                         "input": name, "bits": bits, "sym": sym, "group": group,
                         "scale": numbers(scale), "zero": numbers(zero),
                         "codes": numbers(codes.reshape(w.shape))})
    return cases


def search_cases():
    lrq, lp = [], []
    for name, w in WEIGHTS.items():
        sign = "+" if np.min(w) >= 0 else "-" if np.max(w) <= 0 else ""
        for bits in (2, 3, 4):
            found = [lrq_search(row, bits, 2.4, sign) for row in w]
            lrq.append({"name": f"{name} {bits} bits", "input": name, "bits": bits, "norm": 2.4,
                        "scale": numbers([[s] for s, _ in found]),
                        "zero": numbers([[z] for _, z in found])})
        for bits in (2, 3, 4, 8):
            for p in (2, 2.4, 4):
                lp.append({"name": f"{name} {bits} bits p {p}", "input": name, "bits": bits,
                           "norm": p, "scale": numbers([[lp_search(row, bits, p)] for row in w])})
    return lrq, lp


def shrink_cases():
    cases = []
    for name, w in WEIGHTS.items():
        for bits in (2, 3, 4, 8):
            for sym in (False, True):
                found = [shrink_search(row, bits, 2.4, sym) for row in w]
                cases.append({"name": f"{name} {bits} bits {'sym' if sym else 'asym'}",
                              "input": name, "bits": bits, "norm": 2.4, "sym": sym,
                              "scale": numbers([[s] for s, _ in found]),
                              "zero": numbers([[z] for _, z in found])})
    return cases


def blocks_of(x, size):
    return [(r, slice(c, min(c + size, x.shape[1])))
            for r in range(x.shape[0]) for c in range(0, x.shape[1], size)]


def ceil_log2(m):
    mantissa, exponent = math.frexp(float(m))
    return exponent - 1 if mantissa == 0.5 else exponent


def floor_log2(m):
    return math.frexp(float(m))[1] - 1


SMALLEST_NORMAL = 2.0**-126


def mx(x, bits, size, rule, exponent_bits, stored):
    """Values of block floating point. stored: what codes can hold, else what passes a layer."""
    top = 2 ** (bits - 1) - 1
    blocks = blocks_of(x, size)
    maxima = [float(np.max(np.abs(x[r, s]))) for r, s in blocks]
    if rule == "qera":
        maxima = [m if m >= SMALLEST_NORMAL else 0.0 for m in maxima]
    exponent_of = ceil_log2 if rule == "lqer" else floor_log2
    exponents = [max(exponent_of(m), -127) if m > 0 else None for m in maxima]
    known = [e for e in exponents if e is not None]
    low, high = (-127, 128) if exponent_bits == 8 else (-7, 8)
    if stored and exponent_bits == 4 and known and (min(known) < low or max(known) > high):
        low, high = max(known) - 15, max(known)
    values = np.zeros_like(x)
    for (r, s), e in zip(blocks, exponents):
        if e is None:  # no value of such a block needs its exponent
            e = (min(known) if known else 0) if rule == "lqer" else -126
        e = min(max(e, low), high)
        step = 2.0 ** (e - (bits - (1 if rule == "lqer" else 2)))
        for c in range(s.start, s.stop):
            v = x[r, c]
            magnitude = abs(v)
            if rule == "lqer" and magnitude <= F(1e-8):
                if not stored:
                    values[r, c] = v
                    continue
            elif rule == "lqer":
                magnitude = F(magnitude + F(1e-9))
            elif float(magnitude) < SMALLEST_NORMAL:
                magnitude = F(0)
            code = min(np.rint(float(magnitude) / step), top)
            values[r, c] = F(math.copysign(code * step, v))
    return values


def mx_inputs():
    edges = normal(6, 20)
    edges[0, :16] = 0  # a block of zeros beside others
    edges[1, :16] = [0.25, -0.25] + [F(0.01)] * 14  # the maximum is a power of two
    edges[2] *= F(1e-37)  # maxima about the smallest normal number, subnormal values
    edges[3] *= F(1e-40)  # all subnormal
    edges[4, ::3] *= F(1e-7)  # values about 1e-8, which one rule leaves alone
    edges[5, 3] = np.nextafter(F(2.0**-8), F(1))  # log2 in float32 errs just above powers of two
    edges[5, 16:] = np.float32([2.0**-126, 2.0**-127, -(2.0**-126), 0])
    return {
        "normal": normal(4, 32),
        "edges": edges,
        "zeros": np.zeros((2, 20), np.float32),
        "wide": (normal(4, 32) * np.float32([[1e-6], [1], [1e3], [1e6]])).astype(np.float32),
        "large": normal(2, 20, 1e37),
        "one column": normal(5, 1),
    }


def mx_cases():
    cases = []
    for name, x in MX_INPUTS.items():
        for bits in range(2, 9):
            for rule in ("lqer", "qera"):
                for exponent_bits in (4, 8):
                    for size in (16,) if bits not in (4, 8) else (5, 16, 32):
                        cases.append(
                            {"name": f"{name} {bits} bits {rule} e{exponent_bits} block {size}",
                             "input": name, "bits": bits, "rule": rule,
                             "exponent_bits": exponent_bits, "block": size,
                             "stored": numbers(mx(x, bits, size, rule, exponent_bits, True)),
                             "passed": numbers(mx(x, bits, size, rule, exponent_bits, False))})
    return cases


def token_asymmetric(row, bits, float_zero):
    levels = F(2**bits - 1)
    scale = max(F(F(np.max(row) - np.min(row)) / levels), SCALE_FLOOR)
    codes = np.rint(row / scale)
    if float_zero:
        zero = F(-np.min(row) / scale)
        return (np.clip(codes + zero, F(0), levels) - zero) * scale
    zero = min(max(np.rint(F(-np.min(row) / scale)), F(0)), levels)
    return np.clip(codes, -zero, levels - zero) * scale


def token_symmetric(row, bits):
    largest = F(2 ** (bits - 1) - 1)
    scale = max(F(np.max(np.abs(row)) / largest), SCALE_FLOOR)
    return np.clip(np.rint(row / scale), -largest - F(1), largest) * scale


def static(x, bits, scale, zero):
    return (np.clip(np.rint(x / F(scale)) + F(zero), F(0), F(2**bits - 1)) - F(zero)) * F(scale)


def activation_cases():
    x = normal(6, 20, 1.0)
    x[1] = np.abs(x[1]) + 1  # one sign, far from zero
    x[2] = -np.abs(x[2]) - 1
    x[3] = F(0.7)  # constant
    x[4] = 0
    x[5, 2] = 60  # an outlier
    cases = []
    for bits in range(2, 9):
        rows = {
            "token-asymmetric": [token_asymmetric(r, bits, False) for r in x],
            "token-asymmetric-float": [token_asymmetric(r, bits, True) for r in x],
            "token-symmetric": [token_symmetric(r, bits) for r in x],
            "tensor-static": static(x, bits, 0.0625, 3),
        }
        cases += [{"name": f"{kind} {bits} bits", "kind": kind, "bits": bits, "scale": 0.0625,
                   "zero": 3, "y": numbers(y)} for kind, y in rows.items()]
    return {"x": numbers(x), "cases": cases}


WEIGHTS = weights()
MX_INPUTS = mx_inputs()


def main():
    lrq, lp = search_cases()
    golden = {
        "script": "make_quantizers.py", "seed": SEED, "numpy": np.__version__,
        "weights": {name: numbers(w) for name, w in WEIGHTS.items()},
        "grid": grid_cases(), "lrq": lrq, "lp": lp, "shrink": shrink_cases(),
        "mx_inputs": {name: numbers(x) for name, x in MX_INPUTS.items()},
        "mx": mx_cases(), "activation": activation_cases(),
    }
    path = pathlib.Path(__file__).parent / "quantizers.json"
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
