#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Runs the checks that need Python's torch.export, over what the C++ programs leave in the build folder.

usage: run_all.py [BUILD]   (default: build; the examples must have been built there)"""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.append(str(ROOT / "tests/corpus"))

import find_corpus  # noqa: E402

SKIPPED = 77  # the exit status of a check that this machine cannot make; it says why


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build").resolve()
    examples, es_opt = build / "examples", build / "examples/es-opt"
    failed, skipped = 0, []

    def step(what, *command, quiet=False):
        """Runs a command; `quiet` shows its output only when it fails, and says nothing when it does not."""
        nonlocal failed
        done = subprocess.run([str(c) for c in command], cwd=build, stdout=subprocess.PIPE if quiet else None,
                              stderr=subprocess.STDOUT if quiet else None, text=True)
        if done.returncode == SKIPPED and not quiet:
            print(f"skip {what}", flush=True)
            skipped.append(what)
            return False
        if done.returncode and quiet:
            print(done.stdout, end="")
        if done.returncode or what and not quiet:
            print(f"{'FAIL' if done.returncode else 'ok  '} {what or ' '.join(str(c) for c in command)}", flush=True)
        failed += done.returncode != 0
        return done.returncode == 0

    if step("the demo runs", examples / "demo", build / "demo"):
        step("Python loads the demo's programs", sys.executable, HERE / "check_demo.py", build / "demo")
        step("the demo's programs are their Python twins", sys.executable, HERE / "compare_twins.py", build / "demo")
    refused = subprocess.run([examples / "demo", "/dev/null/demo"], capture_output=True, text=True)
    told = refused.returncode == 1 and refused.stderr.endswith("(at /dev/null/demo); name one that you may write to\n")
    print(f"{'ok  ' if told else 'FAIL'} the demo refuses a folder that it cannot make, with a cure", flush=True)
    failed += not told
    if step("", examples / "readme", quiet=True):
        print("ok   README's first screen runs", flush=True)
    step("the documentation's code is code that was compiled", sys.executable, ROOT / "tools/docs.py")

    if step("", "env", f"ESPALIER_BUILD_ROOT={build}", build / "tests/test_exporting", "--source-file=*inputs.cpp",
            quiet=True):
        step("Python calls programs by keyword", sys.executable, HERE / "check_inputs.py", build / "inputs")

    step("", sys.executable, ROOT / "tests/corpus/make_corpus.py", build / "corpus")
    for number, corpus in enumerate(p for p in find_corpus.folders(build) if p.is_dir()):
        out = build / "roundtrip" / str(number)
        for model in sorted(corpus.glob("*/model*.pt2")):
            target = out / model.parent.name / model.name
            target.parent.mkdir(parents=True, exist_ok=True)
            step("", es_opt, model, "--verify", "-o", target, quiet=True)
        step(f"es-opt's copies of {corpus} are the originals", sys.executable, HERE / "check_roundtrip.py", corpus, out)
        step("and give the originals' outputs", sys.executable, HERE / "check_outputs.py", corpus, out)
    step("passes leave as many nodes as Python's", sys.executable, HERE / "check_node_counts.py", es_opt,
         *(p for p in find_corpus.folders(build) if p.is_dir()))
    step("mini_compiler compiles, and its programs agree", sys.executable, HERE / "check_mini_compiler.py",
         examples / "mini_compiler", build / "corpus")
    step("es-opt does what its options say", sys.executable, HERE / "check_es_opt.py", es_opt, build / "corpus",
         examples / "my-opt")
    step("a browser shows the pages of --html", sys.executable, HERE / "check_html.py", es_opt, build / "corpus")
    print(f"{'FAIL' if failed else 'ok  '} Python's side: {failed} steps failed"
          + (f", {len(skipped)} skipped: {', '.join(skipped)}" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
