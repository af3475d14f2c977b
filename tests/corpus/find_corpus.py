#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Prints the folders with exported models that the tests read, joined by ':': $ESPALIER_CORPUS, a `shared/corpus` beside
the checkout, and the project's own corpus that `./dev test` makes under build/corpus."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
found = [p for p in os.environ.get("ESPALIER_CORPUS", "").split(":") if p]
beside = ROOT.parent / "shared" / "corpus"
if beside.is_dir() and str(beside) not in found:
    found.append(str(beside))
found.append(str(ROOT / "build" / "corpus"))
print(":".join(found), end="")
