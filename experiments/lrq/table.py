#!/usr/bin/env python3
"""Prints results.csv, or the file given, as a table: mean over seeds and, in brackets, the spread
(largest - smallest). usage: table.py [FILE] [COLUMN=VALUE ...], to print only rows with a value."""
import csv
import pathlib
import sys
from collections import defaultdict

GROUP = ["scheme", "text", "windows", "seqlen", "method", "change", "iterations"]

path = pathlib.Path(__file__).parent / "results.csv"
wanted = {}
for word in sys.argv[1:]:
    if "=" in word:
        column, _, value = word.partition("=")
        wanted[column] = value
    else:
        path = pathlib.Path(word)

groups = defaultdict(list)
for row in csv.DictReader(path.open()):
    if all(row[column] == value for column, value in wanted.items()):
        groups[tuple(row[name] for name in GROUP)].append(row)


def cell(entries, column, digits, factor=1.0):
    values = [float(e[column]) * factor for e in entries if e[column]]
    if not values:
        return "-"
    return f"{sum(values) / len(values):.{digits}f} ({max(values) - min(values):.{digits}f})"


print("| scheme | text | windows | method | change | iterations | seeds | bits/weight | perplexity "
      "| Δnll | KL | top-1, % | trained, M | s |")
print("|" + "---|" * 14)
for key, entries in groups.items():
    scheme, text, windows, seqlen, method, change, iterations = key
    print(f"| {scheme} | {text} | {windows} x {seqlen} | {method} | {change} | {iterations} "
          f"| {len(entries)} | {float(entries[0]['bits_per_weight']):.2f} "
          f"| {cell(entries, 'perplexity', 2)} | {cell(entries, 'delta_nll', 4)} "
          f"| {cell(entries, 'kl_mean', 4)} | {cell(entries, 'top1_agreement', 1, 100)} "
          f"| {float(entries[0]['trained_parameters']) / 1e6:.2f} "
          f"| {cell(entries, 'seconds', 0)} |")
