#!/usr/bin/env python3
"""Draws curve.csv as curve.svg. Needs nothing but Python.

    python3 plot_curve.py curve.csv curve.svg
"""

import csv
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 360, 60, 20, 20, 50


def main():
    rows = list(csv.DictReader(open(sys.argv[1])))
    steps = [int(r["step"]) for r in rows]
    series = {"train": ("#1f77b4", [float(r["train_loss"]) for r in rows]),
              "validation": ("#d62728", [float(r["validation_loss"]) for r in rows])}
    values = [v for _, s in series.values() for v in s]
    low, high, last = int(min(values) * 2) / 2, int(max(values) * 2 + 1) / 2, max(steps)

    def x(step):
        return LEFT + (WIDTH - LEFT - RIGHT) * step / last

    def y(value):
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    tick = low
    while tick <= high:
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" '
                   'stroke="#ddd"/>'
                   f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
        tick += 0.5
    for step in steps[1::2]:
        out.append(f'<text x="{x(step):.1f}" y="{HEIGHT - BOTTOM + 18}" '
                   f'text-anchor="middle">{step}</text>')
    for i, (name, (colour, values)) in enumerate(series.items()):
        points = " ".join(f"{x(s):.1f},{y(v):.1f}" for s, v in zip(steps, values))
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
                   f'<text x="{WIDTH - RIGHT - 90}" y="{TOP + 20 + 18 * i}" fill="{colour}">{name}'
                   '</text>')
    out.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 10}" text-anchor="middle">step</text>'
               f'<text transform="translate(16 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
               'loss (nats a token)</text></svg>')
    open(sys.argv[2], "w").write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
