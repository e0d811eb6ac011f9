#!/usr/bin/env python3
"""Prints results.csv as tables: mean over seeds and, in brackets, largest minus smallest.

usage: table.py [RESULTS]
"""
import csv
import pathlib
import sys
from collections import defaultdict

path = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else (
    pathlib.Path(__file__).parent / "results.csv")
rows = list(csv.DictReader(path.open()))
RATES = ("lr", "lr_scale")


def mean(entries, column):
    return sum(float(e[column]) for e in entries) / len(entries)


def cell(entries, column, digits, factor=1.0):
    values = [float(e[column]) * factor for e in entries]
    spread = f" ({max(values) - min(values):.{digits}f})" if len(values) > 1 else ""
    return f"{sum(values) / len(values):.{digits}f}{spread}"


def closed(entries, nearest):
    loss = nearest[0]
    if float(loss["delta_nll"]) < 2 * float(loss["delta_nll_stderr"]):
        return "-"  # no gap to speak of
    return f"{100 * (1 - mean(entries, 'delta_nll') / mean(nearest, 'delta_nll')):.0f}"


def table(heads, lines):
    print("| " + " | ".join(heads) + " |")
    print("|---" * len(heads) + "|")
    for line in lines:
        print("| " + " | ".join(line) + " |")
    print()


def measures(entries, nearest):
    trained = mean(entries, "trained_parameters") / 1e6
    return [f"{mean(entries, 'bits_per_weight'):.2f}", cell(entries, "perplexity", 2),
            cell(entries, "delta_nll", 4), closed(entries, nearest), cell(entries, "kl_mean", 4),
            cell(entries, "top1_agreement", 1, 100), f"{trained:.2f}"]


MEASURES = ["bits/weight", "perplexity", "Δnll", "gap closed, %", "KL", "top-1, %", "trained, M"]

# Of the settings of a method those that were run with most seeds, of these the fewest steps.
runs = defaultdict(lambda: defaultdict(list))
for row in rows:
    runs[row["scheme"], row["group"], row["method"], row["change"]][
        row["steps"], *(row[r] for r in RATES)].append(row)


def chosen(key):
    def order(entries):
        validation = [float(e["validation"] or "inf") for e in entries]
        return -len(entries), int(entries[0]["steps"]), min(validation)
    return min(runs[key].values(), key=order)


def nearest(scheme, group):
    return chosen((scheme, group, "rtn", "-"))


plain = [key for key in runs if key[3] == "-"]
order = ["rtn", "lrq", "peqa", "lsq", "lr-qat"]
plain.sort(key=lambda key: (key[0], key[1] != "channel", order.index(key[2])))
table(["scheme", "group", "method", "rates", "seeds", *MEASURES],
      [[key[0], key[1], key[2], ", ".join(filter(None, (chosen(key)[0][r] for r in RATES))),
        str(len(chosen(key))), *measures(chosen(key), nearest(*key[:2]))] for key in plain])

for scheme in sorted({key[0] for key in runs if key[3] != "-"}):
    changes = [(scheme, "channel", method, "-") for method in ("rtn", "lr-qat")] + [
        key for key in runs if key[:2] == (scheme, "channel") and key[3] != "-"]
    changes.sort(key=lambda key: order.index(key[2]))
    table([f"{scheme}, per channel, seed 0", "change", *MEASURES],
          [[key[2], key[3],
            *measures([e for e in chosen(key) if e["seed"] == "0"], nearest(scheme, "channel"))]
           for key in changes if any(e["seed"] == "0" for e in chosen(key))])

more = [key for key in runs if len({steps for steps, *_ in runs[key]}) > 1]
more.sort(key=lambda key: (key[0], order.index(key[2]), key[3]))
table(["seed 0, per channel", "method", "change", "steps", *MEASURES],
      [[key[0], key[2], key[3], settings[0], *measures(first, nearest(*key[:2]))]
       for key in more for settings, entries in sorted(runs[key].items(), key=lambda r: int(r[0][0]))
       for first in [[e for e in entries if e["seed"] == "0"]] if first])
