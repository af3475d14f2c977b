#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Prints the folders with exported models that the tests read, joined by ':': $ESPALIER_CORPUS, a `shared/corpus` beside the
checkout, and the project's own corpus, which the build makes.

usage: find_corpus.py [BUILD] [--others]   BUILD/corpus is the project's own (default: build); --others leaves out
                                           $ESPALIER_CORPUS, for who adds it at run time
"""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def folders(build=ROOT / "build", environment=True):
    found = [pathlib.Path(p) for p in os.environ.get("ESPALIER_CORPUS", "").split(":") if p] if environment else []
    beside = ROOT.parent / "shared" / "corpus"
    if beside.is_dir():
        found.append(beside)
    found.append(pathlib.Path(build).resolve() / "corpus")
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if a != "--others"]
    print(":".join(map(str, folders(*arguments, environment="--others" not in sys.argv))), end="")
