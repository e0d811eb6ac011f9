#!/usr/bin/env python3
"""Writes low_rank.json: what statistics and corrections must be, from the papers' formulas in NumPy.

Textbook routes in float64 only: square roots, inverses and full singular value decompositions,
where the program uses none of them. Usage: make_low_rank.py
"""
import json
import pathlib

import numpy as np

from make_quantizers import F, asym_codes, asym_params, mx, numbers

SEED = 20240602
IN = 10
BITS = 3
TOKENS = 8  # a window
rng = np.random.default_rng(SEED)


def inputs():
    """Name -> windows [windows, tokens, IN] float32, channels correlated and of unlike size."""
    mixing = rng.standard_normal((IN, IN)) * 10.0 ** rng.uniform(-1, 1, IN)
    regular = (rng.standard_normal((5, TOKENS, IN)) @ mixing).astype(np.float32)
    regular[3] *= F(4)  # one window louder than the others
    dead = regular.copy()
    dead[:, :, [2, 7]] = 0
    return {"regular": regular, "dead channels": dead, "few tokens": regular[:1, :5],
            "silence": np.zeros((2, TOKENS, IN), np.float32)}


def statistics(windows, batch):
    """LQER code's statistic of each input channel, and QERA's."""
    x = windows.astype(np.float64)
    batches = [x[i:i + batch].reshape(-1, IN) for i in range(0, len(x), batch)]
    mean_abs = [np.mean(np.abs(b), axis=0) for b in batches]
    rms = [np.sqrt(np.mean(b**2, axis=0)) for b in batches]
    tokens = x.reshape(-1, IN)
    return {
        "mean-abs": {"max": np.max(mean_abs, axis=0), "mean": np.mean(mean_abs, axis=0)},
        "rms": {"max": np.max(rms, axis=0), "mean": np.mean(rms, axis=0)},
        "mean_square": np.mean(tokens**2, axis=0),
        "autocorrelation": sum(np.outer(t, t) for t in tokens) / len(tokens),
    }


def layers():
    """Name -> weight and its error after rounding each row to 2^BITS levels, [out, IN] float32."""
    made = {}
    for name, out in {"tall": 16, "square": IN, "wide": 6, "one row": 1, "zeros": 4}.items():
        w = (rng.standard_normal((out, IN)) * 0.05).astype(np.float32)
        w[:, 4] *= F(6)
        if name == "zeros":
            w[:] = 0
        error = np.zeros_like(w)
        for row, v in enumerate(w):
            scale, zero = asym_params(min(np.min(v), F(0)), max(np.max(v), F(0)), BITS)
            error[row] = v - (asym_codes(v, scale, zero, BITS) - zero) * scale
        made[name] = (w, error)
    return made


def lqer_scale(statistic):
    s = np.maximum(statistic, 1e-4)
    return s / np.sqrt(np.min(s) * np.max(s))


def root_of(r):
    live = np.ix_(np.diag(r) > 0, np.diag(r) > 0)
    values, vectors = np.linalg.eigh(r[live])
    root = np.zeros_like(r)
    root[live] = vectors @ np.diag(np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root


def correction(error, root, rank):
    """A B of the papers: SVD(root E^T), A = root^-1 U_k, B = S_k V_k^T; None where none is."""
    u, s, vt = np.linalg.svd(root @ error.T.astype(np.float64), full_matrices=False)
    small = rank < len(s) and s[rank - 1] > 0
    if small and s[rank - 1] - s[rank] < 0.03 * s[rank - 1]:
        return None  # two directions nearly as good: float32 may take either
    b = np.diag(s[:rank]) @ vt[:rank]
    found = {"rank": rank, "values": numbers([s[:rank]])[0],
             "left": float(f"{np.sqrt(np.sum(s[rank:] ** 2)):.9g}")}
    # Channels that are always zero take no part: the rest is a problem of its own.
    live = np.flatnonzero(np.any(root != 0, axis=1))
    part = root[np.ix_(live, live)]
    if len(live) and (np.all(part == np.diag(np.diag(part))) or np.linalg.cond(part) < 1e6):
        a = np.linalg.solve(part, u[live, :rank])
        found |= {"live": live.tolist(), "product": numbers(a @ b)}
    else:  # singular: only what the root makes of it is known
        found |= {"root": numbers(root), "weighted": numbers(u[:, :rank] @ b)}
    return found


def correction_cases(kinds):
    """Ranks that are no small part of the matrix: a product is exact there, not only nearly best."""
    cases = []
    for input_name, windows in INPUTS.items():
        for layer, (_, error) in LAYERS.items():
            best = min(error.shape)
            for kind in kinds:
                if not kind["method"].startswith("qera") and input_name in ("silence", "few tokens"):
                    continue
                for rank in sorted({min(r, best) for r in (2, 3, best)}):
                    known = statistics(windows, kind.get("stat_batch", 2))
                    if kind["method"] == "lqer":
                        root = np.eye(IN)
                    elif kind["method"] == "l2qer":
                        root = np.diag(lqer_scale(known[kind["statistic"]][kind["reduce"]]))
                    elif kind["method"] == "qera-approx":
                        root = np.diag(np.sqrt(known["mean_square"]))
                    else:
                        root = root_of(known["autocorrelation"])
                    found = correction(error, root, rank)
                    if found is None or (kind["method"] == "lqer" and input_name != "regular"):
                        continue
                    label = " ".join(str(v) for v in kind.values())
                    cases.append({"name": f"{label} {layer} {input_name} rank {rank}", **kind,
                                  "layer": layer, "input": input_name, **found})
    return cases


def kinds():
    l2qer = [{"method": "l2qer", "statistic": s, "reduce": r, "stat_batch": b}
             for s, r, b in (("mean-abs", "max", 1), ("mean-abs", "max", 2), ("mean-abs", "mean", 2),
                            ("rms", "max", 2), ("rms", "mean", 2))]
    return [{"method": "lqer"}, *l2qer, {"method": "qera-approx"}, {"method": "qera-exact"}]


def factor_cases():
    """Blocks of 16 run along the last axis of both: ranks for A [IN, k], outputs for B [k, out]."""
    cases = []
    for rank, out in ((3, 20), (18, 7)):
        a = (rng.standard_normal((IN, rank)) * 0.3).astype(np.float32)
        b = (rng.standard_normal((rank, out)) / (1 + np.arange(rank)[:, None])).astype(np.float32)
        rows = []
        for bits in (6, 8):
            for rule in ("lqer", "qera"):
                for exponent_bits in (4, 8):
                    deployed = [mx(f, bits, 16, rule, exponent_bits, True) for f in (a, b)]
                    rows.append({"bits": bits, "rule": rule, "exponent_bits": exponent_bits,
                                 "a": numbers(deployed[0]), "b": numbers(deployed[1])})
        cases.append({"a": numbers(a), "b": numbers(b), "block": 16, "deployed": rows})
    return cases


def statistics_cases():
    cases = []
    for name, windows in INPUTS.items():
        for batch in (1, 2, 4, 8):
            known = statistics(windows, batch)
            cases.append({
                "name": f"{name} batches of {batch}", "input": name, "batch": batch,
                **{f"{s}-{r}": numbers([known[s][r]]) for s in ("mean-abs", "rms")
                   for r in ("max", "mean")},
                "mean_square": numbers([known["mean_square"]]),
                "autocorrelation": numbers(known["autocorrelation"])})
    return cases


INPUTS = inputs()
LAYERS = layers()


def main():
    golden = {
        "script": "make_low_rank.py", "seed": SEED, "numpy": np.__version__, "bits": BITS,
        "inputs": {name: {"windows": len(x), "tokens": numbers(x.reshape(-1, IN))}
                   for name, x in INPUTS.items()},
        "layers": {name: {"weight": numbers(w), "error": numbers(e)}
                   for name, (w, e) in LAYERS.items()},
        "statistics": statistics_cases(), "corrections": correction_cases(kinds()),
        "factors": factor_cases(),
    }
    path = pathlib.Path(__file__).parent / "low_rank.json"
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
