#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Plot the benchmarks that were measured at several sizes: time an item over size, ours and the peers', both axes
logarithmic, one SVG each. bench/run.py calls this after every run.

    plot.py build/bench/results.json   writes build/bench/BENCH.svg
"""
import json
import math
import sys
from html import escape
from pathlib import Path

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 400, 70, 150, 40, 50
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # told apart by the colour-blind (Okabe, Ito)


def series(rows):
    """{(bench, unit): {name: [(size, value)]}} of what has two sizes at least."""
    plots = {}
    for r in rows:
        if not r["size"].isdigit() or r["ours"] <= 0:
            continue
        lines = plots.setdefault((r["bench"], r["unit"]), {})
        for name, value in {"ours": r["ours"], **({"limit": r["limit"]} if "limit" in r else {}), **r["peers"]}.items():
            lines.setdefault(name, []).append((int(r["size"]), value))
    return {k: {name: sorted(p) for name, p in v.items()} for k, v in plots.items() if len(v["ours"]) > 1}


class Axis:
    """Powers of ten to pixels."""

    def __init__(self, values, start, end):
        self.low, self.high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        if self.low == self.high:
            self.high += 1
        self.start, self.end = start, end

    def __call__(self, value):
        return self.start + (math.log10(value) - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self):
        return [10.0 ** e for e in range(self.low, self.high + 1)]


def label(value):
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def svg(bench, unit, lines):
    x = Axis([n for p in lines.values() for n, _ in p], LEFT, WIDTH - RIGHT)
    y = Axis([v for p in lines.values() for _, v in p], HEIGHT - BOTTOM, TOP)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="22" font-size="15">{escape(bench)}, {escape(unit)}</text>']
    for t in x.ticks():
        out.append(f'<path d="M{x(t):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>'
                   f'<text x="{x(t):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{label(t)}</text>')
    for t in y.ticks():
        out.append(f'<path d="M{LEFT} {y(t):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{y(t) + 4:.1f}" text-anchor="end">{label(t)}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">size</text>')
    ends = []  # of lines, where their names stand: not one over the other
    for name, points in sorted(lines.items(), key=lambda line: y(line[1][-1][1])):
        colour = "#888" if name == "limit" else COLOURS[sorted(n for n in lines if n != "limit").index(name) % len(COLOURS)]
        dash = ' stroke-dasharray="5 4"' if name == "limit" else ""
        path = " ".join(f"{x(n):.1f},{y(v):.1f}" for n, v in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        out += [f'<circle cx="{x(n):.1f}" cy="{y(v):.1f}" r="3" fill="{colour}"/>' for n, v in points if name != "limit"]
        at = max(y(points[-1][1]) + 4, ends[-1] + 14 if ends else 0)
        ends.append(at)
        out.append(f'<text x="{WIDTH - RIGHT + 8}" y="{at:.1f}" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def write(rows, folder):
    plots = series(rows)
    for (bench, unit), lines in plots.items():
        (folder / (bench.replace("/", "_").replace(" ", "_") + ".svg")).write_text(svg(bench, unit, lines))
    return len(plots)


if __name__ == "__main__":
    results = Path(sys.argv[1])
    print(write(json.loads(results.read_text()), results.parent), "plots in", results.parent)
