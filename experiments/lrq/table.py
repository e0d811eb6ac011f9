#!/usr/bin/env python3
"""Prints results.csv as a table: mean over seeds and, after it, the spread (largest - smallest)."""
import csv
import pathlib
from collections import defaultdict

rows = list(csv.DictReader((pathlib.Path(__file__).parent / "results.csv").open()))
groups = defaultdict(list)
for row in rows:
    groups[row["scheme"], row["method"]].append(row)


def cell(entries, column, digits, factor=1.0):
    values = [float(e[column]) * factor for e in entries]
    return f"{sum(values) / len(values):.{digits}f} ({max(values) - min(values):.{digits}f})"


print("| scheme | method | seeds | bits/weight | perplexity | Δnll | KL | top-1, % | trained, M | s |")
print("|---|---|---|---|---|---|---|---|---|---|")
for (scheme, method), entries in groups.items():
    print(f"| {scheme} | {method} | {len(entries)} | {float(entries[0]['bits_per_weight']):.2f} "
          f"| {cell(entries, 'perplexity', 2)} | {cell(entries, 'delta_nll', 4)} "
          f"| {cell(entries, 'kl_mean', 4)} | {cell(entries, 'top1_agreement', 1, 100)} "
          f"| {float(entries[0]['trained_parameters']) / 1e6:.2f} "
          f"| {cell(entries, 'seconds', 0)} |")
