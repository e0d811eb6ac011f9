#!/usr/bin/env python3
"""Draws the picture of the README from a sweep: divergence from full precision over the rank.

usage: qw sweep demo --methods rtn,lqer,l2qer,qera-approx,qera-exact --bits 3 \
           --ranks 4,8,16,32,64 --calibration demo:calibration --nsamples 32 \
           --calibration-seqlen 256 --text demo:evaluation --seqlen 256 --json \
           | experiments/demo/chart.py > docs/sweep.svg
"""
import json
import math
import sys

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 150, 56, 52
NAMES = {"lqer": "LQER", "l2qer": "L²QER", "qera-approx": "QERA-approx", "qera-exact": "QERA-exact"}
COLOURS = {"lqer": "#0072b2", "l2qer": "#d55e00", "qera-approx": "#009e73", "qera-exact": "#cc79a7"}


def ticks(largest):
    """Round steps from zero, about six of them."""
    step = 10 ** math.floor(math.log10(largest))
    while largest / step < 4:
        step /= 2
    return [i * step for i in range(int(largest / step) + 2)]


def main():
    runs = json.load(sys.stdin)["runs"]
    curves = {}
    for run in runs:
        if run["rank"] > 0 and run["method"] in NAMES:
            curves.setdefault(run["method"], []).append((run["rank"], run["kl_mean"]))
    plain = next(run for run in runs if run["method"] == "rtn")
    ranks = sorted({rank for points in curves.values() for rank, _ in points})
    levels = ticks(max([plain["kl_mean"]] + [y for points in curves.values() for _, y in points]))

    def x(rank):
        span = math.log2(ranks[-1]) - math.log2(ranks[0])
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log2(rank) - math.log2(ranks[0])) / span

    def y(value):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / levels[-1]

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="sans-serif" font-size="13" fill="#333">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="24" font-size="16" font-weight="bold">'
           f'What a low-rank correction buys at {plain["bits"]} bits</text>',
           f'<text x="{LEFT}" y="43" fill="#666">bundled model, groups of {plain["group_size"]}, '
           f'{plain["tokens"]} predictions; lower is closer to full precision</text>']
    for level in levels:
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(level):.1f}" y2="{y(level):.1f}" '
                   'stroke="#e5e5e5"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y(level) + 4:.1f}" text-anchor="end">{level:.3g}</text>')
    for rank in ranks:
        out.append(f'<text x="{x(rank):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{rank}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">'
               'rank of the correction</text>')
    out.append(f'<text transform="translate(18 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" '
               'text-anchor="middle">mean KL(fp‖quantized), nats</text>')
    labels = [(y(plain["kl_mean"]), "RTN (no correction)", "#555")]
    out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{labels[0][0]:.1f}" y2="{labels[0][0]:.1f}" '
               'stroke="#555" stroke-dasharray="6 4" stroke-width="1.5"/>')
    for method, points in curves.items():
        points.sort()
        line = " ".join(f"{x(rank):.1f},{y(kl):.1f}" for rank, kl in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[method]}" stroke-width="2"/>')
        out += [f'<circle cx="{x(rank):.1f}" cy="{y(kl):.1f}" r="3.5" fill="{COLOURS[method]}"/>'
                for rank, kl in points]
        labels.append((y(points[-1][1]), NAMES[method], COLOURS[method]))
    at = -math.inf
    for height, name, colour in sorted(labels):  # names keep clear of each other
        at = max(height, at + 16)
        out.append(f'<text x="{WIDTH - RIGHT + 8}" y="{at + 4:.1f}" fill="{colour}">{name}</text>')
    print("\n".join(out + ["</svg>"]))


if __name__ == "__main__":
    main()
