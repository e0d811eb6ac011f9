#!/usr/bin/env python3
"""Prints results.csv as tables: mean over seeds and, after it, the spread (largest - smallest)."""
import csv
import pathlib
from collections import defaultdict

rows = list(csv.DictReader((pathlib.Path(__file__).parent / "results.csv").open()))
groups = defaultdict(list)
for row in rows:
    groups[row["scheme"], row["group"], row["method"], row["change"]].append(row)


def mean(entries, column):
    return sum(float(e[column]) for e in entries) / len(entries)


def cell(entries, column, digits, factor=1.0):
    values = [float(e[column]) * factor for e in entries]
    return f"{sum(values) / len(values):.{digits}f} ({max(values) - min(values):.{digits}f})"


def line(head, entries, nearest):
    closed = 1 - mean(entries, "delta_nll") / mean(nearest, "delta_nll")
    print(f"| {head} | {len(entries)} | {mean(entries, 'bits_per_weight'):.2f} "
          f"| {cell(entries, 'perplexity', 2)} | {cell(entries, 'delta_nll', 4)} "
          f"| {100 * closed:.0f} | {cell(entries, 'kl_mean', 4)} "
          f"| {cell(entries, 'top1_agreement', 1, 100)} "
          f"| {mean(entries, 'trained_parameters') / 1e6:.2f} | {mean(entries, 'seconds'):.0f} "
          f"| {mean(entries, 'peak_rss_bytes') / 1e6:.0f} |")


columns = ("seeds | bits/weight | perplexity | Δnll | gap closed, % | KL | top-1, % | trained, M | s "
           "| memory, MB |")
for ablations in (False, True):
    print(f"| {'change' if ablations else 'scheme | group | method'} | {columns}")
    print("|---" * (11 if ablations else 13) + "|")
    for (scheme, group, method, change), entries in groups.items():
        plain = ("W2", "channel", "lr-qat") == (scheme, group, method)
        if ablations and plain or not ablations and change == "-":
            head = f"{change if change != '-' else 'none'}" if ablations else (
                f"{scheme} | {group} | {method}")
            line(head, entries, groups[scheme, group, "rtn", "-"])
    print()
