#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Find what the project needs on this machine, and install what is missing.

Every requirement is probed by the file that proves it, not by a package database: what somebody installed in another way
counts, and probing all takes milliseconds. PyPI packages go into .venv, nothing else is touched.
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import find_torch

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TORCH = "2.15.0"
EVERYTHING = ("demo", "test", "bench", "lint")


def include(path):
    folders = [p for v in ("CPATH", "CPLUS_INCLUDE_PATH") for p in os.environ.get(v, "").split(":") if p]
    return next((Path(d) / path for d in folders + ["/usr/include", "/usr/local/include"] if (Path(d) / path).is_file()), None)


def header(path):
    return lambda: include(path) is not None


def program(*names):
    return lambda: any(shutil.which(n) for n in names)


def gxx():
    if not shutil.which("g++"):
        return False
    version = subprocess.run(["g++", "-dumpversion"], capture_output=True, text=True).stdout
    return int(version.split(".")[0] or 0) >= 12


def boost():
    version = include("boost/version.hpp")
    found = version and re.search(r"define BOOST_VERSION (\d+)", version.read_text())
    return bool(found) and int(found[1]) >= 108100


def venv_module():
    """Debian splits what `python3 -m venv` needs into a package of its own."""
    import importlib.util
    return importlib.util.find_spec("venv") is not None and importlib.util.find_spec("ensurepip") is not None


def boost_package():
    """Debian 12 has 1.74 as libboost-dev and 1.81 beside it."""
    text = Path("/etc/debian_version").read_text() if Path("/etc/debian_version").is_file() else ""
    return "libboost1.81-dev" if text.startswith("12") else "libboost-dev"


def formatter_package():
    text = Path("/etc/debian_version").read_text() if Path("/etc/debian_version").is_file() else ""
    return "clang-format" if text.startswith("12") else "clang-format-14"


# what, Debian package, probe, the commands that need it (the demo is configured with the tests, in their build folder)
DEBIAN = [
    ("g++ (12 or later)", "g++", gxx, EVERYTHING),
    ("Boost headers (1.81 or later)", boost_package(), boost, EVERYTHING),
    ("Python's venv", "python3-venv", venv_module, EVERYTHING),
    ("pkg-config", "pkg-config", program("pkg-config"), EVERYTHING),
    ("doctest", "doctest-dev", header("doctest/doctest.h"), ("demo", "test", "lint")),
    ("RapidCheck", "librapidcheck-dev", header("rapidcheck.h"), ("demo", "test", "lint")),
    ("nlohmann's JSON", "nlohmann-json3-dev", header("nlohmann/json.hpp"), ("test",)),
    ("Google Benchmark", "libbenchmark-dev", header("benchmark/benchmark.h"), ("bench", "lint")),
    ("clang 19", "clang-19", program("clang++-19"), ("test", "lint")),
    ("CMake", "cmake", program("cmake"), ("test",)),
    ("clang-format 14", formatter_package(), program("clang-format-14", "clang-format"), ("lint",)),
]

# PyPI name, version wanted ("" any), a file of it that proves an unbroken installation
PYPI = [
    ("meson", "", "mesonbuild/mesonmain.py"),
    ("ninja", "", "ninja/__init__.py"),
    ("numpy", "", "numpy/__init__.py"),
    ("torch", TORCH, "torch/lib/libtorch_cpu.so"),
]

# What a command makes use of and does without: peers of the benchmarks, whose columns stay empty; a browser, in which the
# tests open pages, and say that they skip it.
DEBIAN_OPTIONAL = {
    "bench": [("MLIR 19's mlir-opt", "mlir-19-tools", program("mlir-opt-19", "mlir-opt"))],
    "test": [("Chromium", "chromium", program("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
                                               "headless_shell"))],
}
PYPI_OPTIONAL = {"bench": [("onnx", "", "onnx/__init__.py"), ("onnxoptimizer", "", "onnxoptimizer/__init__.py")]}


def site_packages():
    return next(iter(sorted(VENV.glob("lib/python3*/site-packages"))), None)


def pip_has(name, version, proof):
    """pip writes RECORD last, so a killed installation doesn't count."""
    site = site_packages()
    if site is None or not (VENV / "bin/python").exists() or not (site / proof).is_file():
        return False
    return any((d / "RECORD").is_file() for d in site.glob(f"{name}-{version or ''}*.dist-info"))


def wanted_from_pypi():
    given = os.environ.get("ESPALIER_TORCH")
    for name, version, proof in PYPI:
        if name == "torch" and given:
            continue
        yield name, version, proof


def missing_debian(command):
    return [(what, package) for what, package, probe, needed_by in DEBIAN
            if (command is None or command in needed_by) and not probe()]


def missing_pypi():
    return [(name, version) for name, version, proof in wanted_from_pypi() if not pip_has(name, version, proof)]


def spec(name, version):
    return f"{name}=={version}" if version else name


def say(text):
    print(f"setup: {text}", flush=True)


def run(*command, **kw):
    say("$ " + " ".join(map(str, command)))
    return subprocess.run(list(map(str, command)), **kw).returncode


def install_debian(missing):
    """True if all was installed. Asks for nothing."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    packages = [package for _, package in missing]
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    run("apt-get", "update", "-q", env=env)
    return run(*install, env=env) == 0


def install_pypi(missing, *options):
    python = VENV / "bin/python"
    if not python.exists() and run(sys.executable, "-m", "venv", VENV) != 0:
        return False
    if subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode != 0:
        if run(python, "-m", "ensurepip") != 0:
            return False
    return run(python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *options,
               *(spec(*m) for m in missing)) == 0


def explain(debian, pypi):
    for what, package in debian:
        print(f"missing: {what}: as root, with a network: apt-get install {package}", file=sys.stderr)
    for name, version in pypi:
        line = f"missing: {name}: with a network: .venv/bin/pip install {spec(name, version)}"
        if not (VENV / "bin/pip").exists():
            line = f"missing: {name}: with a network: python3 -m venv .venv && .venv/bin/pip install {spec(name, version)}"
        if name == "torch":
            line += ", or set ESPALIER_TORCH to a folder with LibTorch's include/ and lib/"
        print(line, file=sys.stderr)


def install_optional(command):
    """Tries to, and goes on without what it cannot install."""
    debian = [(what, package) for what, package, probe in DEBIAN_OPTIONAL.get(command, []) if not probe()]
    pypi = [(name, version) for name, version, proof in PYPI_OPTIONAL.get(command, []) if not pip_has(name, version, proof)]
    if debian and not install_debian(debian):
        say(f"./dev {command} goes without " + ", ".join(what for what, _ in debian))
    if pypi and not install_pypi(pypi, "--retries", "1"):
        say(f"./dev {command} goes without " + ", ".join(name for name, _ in pypi))


def ensure(command=None):
    """Install what `command` (None: any) needs. 0 if all is there now, 1 with one line for each thing that isn't."""
    given = os.environ.get("ESPALIER_TORCH")
    if given and not find_torch.is_libtorch(Path(given)):
        print(f"ESPALIER_TORCH={given}: no LibTorch there; it must hold include/ and lib/libtorch_cpu.so.", file=sys.stderr)
        return 1
    status = ensure_needed(command)
    if status == 0:
        install_optional(command)
    return status


def ensure_needed(command):
    debian, pypi = missing_debian(command), missing_pypi()
    if not debian and not pypi:
        return 0
    for what in [w for w, _ in debian] + [spec(*m) for m in pypi]:
        say(f"needed: {what}")
    if debian:
        if not install_debian(debian):
            say("could not install Debian packages" + ("" if os.geteuid() == 0 else " (that needs root)"))
        debian = missing_debian(command)
    if pypi:
        needs_venv = not (VENV / "bin/python").exists()
        if needs_venv and not venv_module():
            say("Python packages wait for Python's venv")
        elif not install_pypi(pypi):
            say("could not install Python packages (is there a network?)")
        pypi = missing_pypi()
    explain(debian, pypi)
    if not debian and not pypi:
        say("done")
    return 1 if debian or pypi else 0


if __name__ == "__main__":
    sys.exit(ensure())
