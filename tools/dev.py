#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""The commands of ./dev. Each sets up what it needs first, which takes no time where nothing is missing."""
import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import find_torch
import list_sources
import setup

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
VENV_BIN = ROOT / ".venv/bin"
JOBS = os.cpu_count() or 2
STARTED = time.monotonic()


def say(text):
    """Progress, with the seconds since the start."""
    print(f"\033[1m[{time.monotonic() - STARTED:5.0f} s] {text}\033[0m" if sys.stdout.isatty()
          else f"[{time.monotonic() - STARTED:5.0f} s] {text}", flush=True)


def environment(**more):
    env = dict(os.environ)
    env["PATH"] = f"{VENV_BIN}:{env['PATH']}"
    # A precompiled header and its time stamp don't keep ccache from a hit.
    env.setdefault("CCACHE_SLOPPINESS", "pch_defines,time_macros")
    given = env.get("ESPALIER_TORCH")
    if given:
        env["PYTHONPATH"] = os.pathsep.join(p for p in (str(Path(given).parent), env.get("PYTHONPATH")) if p)
    env.update(more)
    return env


def python():
    return VENV_BIN / "python"


def call(*command, env=None, quiet=False):
    """The exit status; Ctrl-C ends the whole run."""
    out = subprocess.DEVNULL if quiet else None
    return subprocess.run([str(c) for c in command], cwd=ROOT, env=env or environment(), stdout=out).returncode


def need(command):
    if setup.ensure(command) != 0:
        sys.exit(1)


# --- building -------------------------------------------------------------------------------------------------------

def sources_key():
    """Changes when a source that a meson file lists comes, goes, or changes its floor."""
    rows = [list_sources.tests(ROOT / "tests"), list_sources.programs(ROOT / "examples"), list_sources.programs(ROOT / "bench")]
    return hashlib.sha256(repr((rows, str(find_torch.find()))).encode()).hexdigest()


def configure(folder, *options, **env):
    """Meson's set-up of a build folder, again where the list of sources changed."""
    stamp, key = folder / ".espalier-sources", sources_key() + " ".join(options)
    configured = (folder / "build.ninja").is_file()
    if configured and stamp.is_file() and stamp.read_text() == key:
        return
    say(f"configure {folder.name}")
    again = ["--reconfigure"] if configured else []
    log = subprocess.run([str(VENV_BIN / "meson"), "setup", *again, *options, str(folder), str(ROOT)],
                         env=environment(**env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if log.returncode != 0:
        print(log.stdout)
        sys.exit(f"dev: meson could not configure {folder.name}; the full log is in {folder}/meson-logs/meson-log.txt")
    stamp.write_text(key)


def build(folder, *targets, keep_going=False):
    say(f"compile {folder.name}" + (": " + " ".join(targets) if targets else ""))
    return call(VENV_BIN / "ninja", "-C", folder, f"-j{JOBS}", *(["-k0"] if keep_going else []), *targets) == 0


# --- demo -----------------------------------------------------------------------------------------------------------

def demo(args):
    need("demo")
    configure(BUILD)
    if not build(BUILD, "examples/demo"):
        sys.exit("dev: the demo did not compile")
    say("run build/examples/demo")
    status = call(BUILD / "examples/demo", BUILD / "demo")
    check = ROOT / "tests/python/check_demo.py"
    if status == 0 and check.is_file():
        say("Python loads what the demo saved")
        status = call(python(), check, BUILD / "demo")
    return status


# --- test -----------------------------------------------------------------------------------------------------------

DOCTEST = re.compile(r"test cases:\s*\d+\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed")
SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)
LINES = re.compile(r"^(ok|FAIL)\b", re.M)


def count(test):
    """(passed, failed) of one of meson's results: of its own summary where it prints one."""
    text = re.sub(r"\033\[[0-9;]*m", "", test.get("stdout") or "")
    good = test["result"] in ("OK", "EXPECTEDFAIL")
    summaries = DOCTEST.findall(text) or SUMMARY.findall(text)[-1:]
    if summaries:
        passed, failed = (sum(int(s[i]) for s in summaries) for i in (0, 1))
    else:
        words = LINES.findall(text)
        passed, failed = words.count("ok"), words.count("FAIL")
    if passed + failed == 0:
        return (1, 0) if good else (0, 1)
    return passed, (failed if good else max(failed, 1))


class Tally:
    def __init__(self):
        self.passed = self.failed = 0
        self.names = []

    def add(self, name, passed, failed):
        self.passed += passed
        self.failed += failed
        if failed:
            self.names.append(name)

    def run(self, folder, *args, **env):
        log = folder / "meson-logs/testlog.json"
        log.unlink(missing_ok=True)
        say(f"test {folder.name}")
        status = call(VENV_BIN / "meson", "test", "-C", folder, "--no-rebuild", "--print-errorlogs",
                      f"--num-processes={JOBS}", *args, env=environment(**env))
        results = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
        before = self.failed
        for test in results:
            self.add(f"{folder.name}: {test['name']}", *count(test))
        if status != 0 and self.failed == before:
            self.add(f"{folder.name}: meson test", 0, 1)

    def close(self):
        for name in self.names:
            print(f"failed in {name}")
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0


def test(args):
    need("test")
    tally = Tally()

    def phase(folder, *options, targets=(), select=(), run_with=None, **env):
        configure(folder, *options, **env)
        if build(folder, *targets, keep_going=True):
            tally.run(folder, *select, **(run_with or {}))
        else:
            tally.add(f"{folder.name}: compilation", 0, 1)

    if "gcc" in args.only:
        phase(BUILD, select=args.names)
    ground = ("-Dexamples=false", "-Dbench=false", "-Dpython_tests=false")
    if "asan" in args.only:
        sanitized = ("-Db_sanitize=address,undefined",)
        phase(ROOT / "build-asan", "-Dtorch=disabled", *sanitized, *ground, select=args.names,
              run_with={"ESPALIER_FUZZ_SECONDS": "30"})
    if "clang" in args.only:
        phase(ROOT / "build-clang", "-Dbench=false", "-Dpython_tests=false", select=args.names,
              CXX=clang(), CC="clang-19")
    return tally.close()


def clang():
    import shutil
    return "ccache clang++-19" if shutil.which("ccache") else "clang++-19"


# --- bench ----------------------------------------------------------------------------------------------------------

def bench(args):
    need("bench")
    folder = ROOT / "build-release"
    configure(folder, "-Doptimization=3", "-Db_ndebug=true", "-Dtests=false")
    if not build(folder, "benchmarks"):
        sys.exit("dev: the benchmarks did not compile")
    (BUILD / "bench").mkdir(parents=True, exist_ok=True)
    say("run the benchmarks")
    return call(python(), ROOT / "bench/run.py", "--programs", folder / "bench", "--out", BUILD / "bench/results.json", *args.rest)


# --- the rest -------------------------------------------------------------------------------------------------------

def lint(args):
    need("lint")
    return call(python(), ROOT / "tools/lint.py", *args.rest)


def docs(args):
    return call(sys.executable, ROOT / "tools/docs.py", *args.rest)


def set_up(args):
    status = setup.ensure()
    if status == 0:
        print(f"Nothing is missing. LibTorch: {find_torch.find()}")
    return status


def main():
    parser = argparse.ArgumentParser(prog="./dev", description="Builds, tests and measures Espalier. "
                                     "Every command first installs what it needs, where it may.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(name, function, summary, description):
        sub = commands.add_parser(name, help=summary, description=description,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
        sub.set_defaults(function=function)
        return sub

    command("demo", demo, "build and run the demo; results in build/demo",
            "Exports four models, runs and saves them as build/demo/NAME.pt2, reloads them, and lets Python load them.")
    sub = command("test", test, "build and run all tests",
                  "Builds with g++ (build/), with clang (build-clang/) and, the ground floor, under address and\n"
                  "undefined-behaviour sanitizers (build-asan/); runs the unit tests, the compile-fail tests, the consumers\n"
                  "and the Python side. The last line is `N passed, N failed`; the exit status is 0 only without failures.\n"
                  "ESPALIER_CORPUS=DIR[:DIR] adds folders of .pt2 files.")
    sub.add_argument("--only", nargs="+", choices=("gcc", "clang", "asan"), default=["gcc", "clang", "asan"],
                     help="some of the builds")
    sub.add_argument("names", nargs="*", help="tests to run, as `meson test --list -C build` names them (default: all)")
    command("bench", bench, "run the benchmarks; results in build/bench/results.json",
            "Builds with optimisation in build-release/ and hands further arguments to bench/run.py, which prints the table.")
    command("lint", lint, "format, headers alone, layers, benchmarks by clang",
            "Checks the format, the layers, the umbrellas, that every header compiles alone, and that clang takes the\n"
            "benchmarks. --fix formats and writes the umbrellas; --fast leaves out what compiles.")
    command("docs", docs, "check the documentation's links and code",
            "Links in README.md, CHANGELOG.md and docs/ resolve, and code blocks equal the files they name.")
    command("setup", set_up, "install what is missing", "Installs Debian packages (with root) and PyPI packages (into .venv).")
    command("help", lambda args: parser.print_help() or 0, "show this", "Shows the commands.")

    args, rest = parser.parse_known_args()
    args.rest = rest
    if args.command is None:
        parser.print_help()
        return 2
    if rest and args.command not in ("bench", "lint", "docs"):
        parser.error("unrecognized arguments: " + " ".join(rest))
    return args.function(args)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
