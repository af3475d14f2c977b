#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Checks what the compiler does not: format, that every header compiles alone, layers, and that generated files are current.

A header that compiled alone is not compiled again until it or anything it includes from the project changes
(build/lint keeps hashes).
"""

import concurrent.futures
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

from layers import GROUND, ORDER, UPPER

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "include"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
GENERATED = {"include/espalier/schema/aten.hpp", "include/espalier/schema/aten_table.hpp"}
INCLUDES = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)


def headers():
    return sorted((INCLUDE / "espalier").rglob("*.hpp"))


def layer_of(path):
    parts = path.relative_to(INCLUDE / "espalier").parts
    return parts[0] if len(parts) > 1 else None


def check_format():
    tool = shutil.which("clang-format")
    sources = [p for d in ("include", "tests", "examples", "bench") for e in ("*.hpp", "*.cpp") for p in sorted((ROOT / d).rglob(e))]
    sources = [str(p) for p in sources if str(p.relative_to(ROOT)) not in GENERATED]
    if not tool:
        return ["clang-format is not installed"]
    bad = subprocess.run([tool, "--dry-run", "-Werror", *sources], capture_output=True, text=True)
    names = sorted({line.split(":")[0] for line in bad.stderr.splitlines() if ": error:" in line})
    return [f"{n}: not formatted (clang-format -i)" for n in names]


def check_layers():
    problems = []
    for path in headers():
        layer = layer_of(path)
        if layer is None:
            continue
        if layer not in ORDER:
            problems.append(f"{path.relative_to(ROOT)}: '{layer}' is no layer (tools/layers.py)")
            continue
        for name in INCLUDES.findall(path.read_text()):
            if layer in GROUND and re.match(r"(torch|ATen|c10|caffe2)/", name):
                problems.append(f"{path.relative_to(ROOT)}: the ground floor includes LibTorch's <{name}>")
            if not name.startswith("espalier/"):
                continue
            parts = name.split("/")
            if len(parts) == 2:
                problems.append(f"{path.relative_to(ROOT)}: includes the umbrella <{name}>")
            elif ORDER.index(parts[1]) > ORDER.index(layer):
                problems.append(f"{path.relative_to(ROOT)}: layer '{layer}' includes <{name}> of the later layer '{parts[1]}'")
    return problems


def closure_hash(path, seen=None):
    seen = {} if seen is None else seen
    if path in seen:
        return seen
    seen[path] = hashlib.sha256(path.read_bytes()).hexdigest()
    for name in INCLUDES.findall(path.read_text()):
        inner = INCLUDE / name
        if name.startswith("espalier/") and inner.exists():
            closure_hash(inner, seen)
    return seen


def compile_alone(job):
    compiler, path, flags = job
    out = subprocess.run([compiler, "-std=c++20", "-fsyntax-only", *WARNINGS, f"-I{INCLUDE}", *flags, "-include", str(path), "-x", "c++", os.devnull],
                         capture_output=True, text=True)
    return out.returncode, out.stderr


def check_alone():
    torch = subprocess.run([sys.executable, ROOT / "tools/find_torch.py"], capture_output=True, text=True, check=True).stdout
    torch_flags = [f"-isystem{torch}/include", f"-isystem{torch}/include/torch/csrc/api/include"]
    cache = ROOT / "build" / "lint"
    cache.mkdir(parents=True, exist_ok=True)
    jobs = []
    for path in headers():
        upper = layer_of(path) in UPPER or path.name == "espalier.hpp"
        if upper and not torch:
            continue
        text = "".join(f"{p}{h}" for p, h in sorted((str(p), h) for p, h in closure_hash(path).items()))
        for compiler in ["g++"] if upper else [c for c in ("g++", "clang++-19") if shutil.which(c)]:
            key = hashlib.sha256((compiler + str(path) + torch + text).encode()).hexdigest()
            if not (cache / key).exists():
                jobs.append((key, (compiler, path, torch_flags if upper else [])))
    problems = []
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for (key, job), (code, err) in zip(jobs, pool.map(lambda j: compile_alone(j[1]), jobs)):
            if code == 0:
                (cache / key).touch()
            else:
                problems.append(f"{job[1].relative_to(ROOT)} does not compile alone with {job[0]}:\n{err[:2000]}")
    return problems


def check_generated():
    problems = []
    for tool in ("umbrella.py", "generate_aten.py"):
        out = subprocess.run([sys.executable, ROOT / "tools" / tool, "--check"], capture_output=True, text=True)
        if out.returncode:
            problems.append(out.stderr.strip())
    return problems


def main():
    failed = False
    for name, check in (("format", check_format), ("layers", check_layers), ("generated files", check_generated), ("headers alone", check_alone)):
        problems = check()
        print(f"{name}: {'ok' if not problems else f'{len(problems)} problems'}", flush=True)
        for p in problems:
            print("  " + p)
        failed = failed or bool(problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
