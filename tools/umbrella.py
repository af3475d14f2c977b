#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Write the umbrella headers from the layer folders, or check that they are current.

    umbrella.py               rewrites include/espalier/{graph,espalier}.hpp
    umbrella.py --check       exits 1 if one of them is out of date
    umbrella.py --all FLOOR   prints #include lines of every header of the floor (`ground` or `torch`), for tests/odr*.cpp

A header stays out of the umbrellas if it is in a detail/ folder, is named in APART, or one of its first lines says
`// umbrella: apart, REASON`: it is then included by name by those who want what it costs.
"""
import sys
from pathlib import Path

from layers import GROUND, UPPER

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "include/espalier"
APART = {"ir/boost_graph.hpp"}  # Boost.Graph costs as much to include as all the rest of the ground floor

LAYERS = GROUND + UPPER

UMBRELLAS = {
    "graph.hpp": (GROUND, [], "The ground floor: everything that needs no LibTorch and nothing to link."),
    "espalier.hpp": (UPPER, ["graph.hpp"], "The whole library: the ground floor, and what runs on LibTorch."),
}


def headers(layers):
    for layer in layers:
        for file in sorted((INCLUDE / layer).rglob("*.hpp")):
            yield file


def apart(file):
    if file.relative_to(INCLUDE).as_posix() in APART:
        return True
    with file.open(errors="replace") as lines:
        return any(line.startswith("// umbrella: apart") for _, line in zip(range(12), lines))


def is_public(file):
    return "detail" not in file.relative_to(INCLUDE).parts and not apart(file)


def text_of(name):
    layers, first, purpose = UMBRELLAS[name]
    lines = ["// SPDX-License-Identifier: BSL-1.0", f"// {purpose}",
             "// Written by tools/umbrella.py from the layer folders. Do not edit.", "#pragma once", ""]
    if first:
        lines += [f"#include <espalier/{other}>" for other in first] + [""]
    for layer in layers:
        names = [f.relative_to(INCLUDE.parent).as_posix() for f in headers([layer]) if is_public(f)]
        if names:
            lines += [f"#include <{n}>" for n in names] + [""]
    return "\n".join(lines).rstrip("\n") + "\n"


def all_of(floor):
    chosen = GROUND if floor == "ground" else LAYERS
    lines = [f"#include <{f.relative_to(INCLUDE.parent).as_posix()}>" for f in headers(chosen)]
    return "\n".join(lines) + "\n"


def main(args):
    if args[:1] == ["--all"]:
        text = all_of(args[1])
        if len(args) == 3:  # written only when it changed, so that nothing is rebuilt without need
            out = Path(args[2])
            if not out.is_file() or out.read_text() != text:
                out.write_text(text)
        else:
            print(text, end="")
        return 0
    stale = 0
    for name in UMBRELLAS:
        file, text = INCLUDE / name, text_of(name)
        if file.is_file() and file.read_text() == text:
            continue
        if args[:1] == ["--check"]:
            print(f"{file.relative_to(ROOT)} is out of date: run tools/umbrella.py")
            stale = 1
        else:
            file.write_text(text)
            print(f"wrote {file.relative_to(ROOT)}")
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
