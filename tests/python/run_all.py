#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Runs the checks that need Python's torch.export, over what the C++ tests and the demo left in the build folder."""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build")
    steps = []
    demo = build / "examples" / "demo"
    steps.append(("the demo runs", [demo, build / "demo"]))
    steps.append(("Python loads the demo's programs", [sys.executable, HERE / "check_demo.py", build / "demo"]))
    steps.append(("the demo's programs are their Python twins", [sys.executable, HERE / "compare_twins.py", build / "demo"]))
    subprocess.run([sys.executable, ROOT / "tests/corpus/make_corpus.py", build / "corpus"], check=True)
    corpora = subprocess.run([sys.executable, ROOT / "tests/corpus/find_corpus.py"], capture_output=True, text=True, check=True).stdout
    es_opt = build / "examples" / "es-opt"
    for number, corpus in enumerate(p for p in corpora.split(":") if pathlib.Path(p).is_dir()):
        out = build / "roundtrip" / str(number)
        for model in sorted(pathlib.Path(corpus).glob("*/model*.pt2")):
            target = out / model.parent.name / model.name
            target.parent.mkdir(parents=True, exist_ok=True)
            steps.append((None, [es_opt, model, "--verify", "-o", target]))
        steps.append((f"es-opt's copies of {corpus} equal the originals", [sys.executable, HERE / "check_roundtrip.py", corpus, out]))
    failed = 0
    for what, command in steps:
        ok = subprocess.run([str(c) for c in command], cwd=ROOT).returncode == 0
        if what or not ok:
            print(f"{'ok  ' if ok else 'FAIL'} {what or ' '.join(str(c) for c in command)}", flush=True)
        failed += not ok
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
