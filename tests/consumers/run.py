#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Install the library into a prefix, and build every consumer project beside this file against it, as its users would.

Usage: run.py BUILD_FOLDER [--torch DIR] [NAME...]
"""
import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class Failed(Exception):
    pass


def run(*command, cwd=None, env=None):
    done = subprocess.run([str(c) for c in command], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Failed(f"$ {' '.join(map(str, command))}\n{done.stdout[-6000:]}")
    return done.stdout


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def install(work, prefix):
    """Headers and package files alone: no test is configured. The prefix is then moved, because packages are relocatable."""
    first = work / "first-prefix"
    shutil.rmtree(first, ignore_errors=True)
    shutil.rmtree(prefix, ignore_errors=True)
    shutil.rmtree(work / "house", ignore_errors=True)
    run("meson", "setup", work / "house", ROOT,
        "--prefix=" + str(first), "-Dtests=false", "-Dexamples=false", "-Dbench=false", "-Dpkgconfig.relocatable=true")
    run("meson", "install", "-C", work / "house")
    first.rename(prefix)


def cmake(name, work, prefix, torch):
    more = [f"-DESPALIER_TORCH={torch}"] if name.endswith("torch") else []
    # A build without its RPATH would find the wheel's libraries only by luck; CMake sets one in the build folder.
    run("cmake", "-S", HERE / name, "-B", work, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}", *more)
    run("cmake", "--build", work)
    return run(work / "consumer")


def script(name, work, prefix, torch):
    env = dict(os.environ, PKG_CONFIG_PATH=str(prefix / "share/pkgconfig"), INCLUDE=str(prefix / "include"), TORCH=torch)
    run("sh", HERE / name / "build.sh", work / "consumer", env=env)
    return run(work / "consumer")


def meson(name, work, prefix, torch):
    source = work / "source"
    (source / "subprojects").mkdir(parents=True)
    shutil.copy(HERE / name / "meson.build", source)
    upper = name.endswith("torch")
    shutil.copy(HERE / ("flags.cpp" if upper else "ground.cpp"), source)
    (source / "subprojects/espalier").symlink_to(ROOT)
    run("meson", "setup", work / "build", source, *([f"-Despalier:torch_path={torch}"] if upper else []))
    run("ninja", "-C", work / "build")
    return run(work / "build/consumer")


CONSUMERS = {
    "cmake_ground": cmake,
    "cmake_torch": cmake,
    "pkgconfig_ground": script,
    "pkgconfig_torch": script,
    "meson_ground": meson,
    "meson_torch": meson,
    "by_hand_ground": script,
    "by_hand_torch": script,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--torch", default="", help="LibTorch's folder; without it the consumers of the upper floor are left out")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    prefix, work = args.build.resolve() / "prefix", args.build.resolve() / "consumers"
    work.mkdir(parents=True, exist_ok=True)
    passed = failed = 0
    try:
        install(work, prefix)
    except Failed as error:
        print(f"FAIL meson install\n{error}\n0 passed, 1 failed")
        return 1
    for name, build in CONSUMERS.items():
        if args.names and name not in args.names:
            continue
        if name.endswith("torch") and not args.torch:
            print(f"{name}: left out, LibTorch is not there")
            continue
        try:
            print(f"ok   {name}: {build(name, fresh(work / name), prefix, args.torch).strip()}", flush=True)
            passed += 1
        except Failed as error:
            print(f"FAIL {name}\n{error}", flush=True)
            failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
