#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Print the folder of LibTorch: $ESPALIER_TORCH, else the wheel in .venv, else the one python3 imports.

The module is located, not imported: that costs milliseconds instead of seconds.
"""
import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def candidates():
    given = os.environ.get("ESPALIER_TORCH")
    if given:
        yield Path(given)
        return
    yield from sorted(ROOT.glob(".venv/lib/python3*/site-packages/torch"))
    spec = importlib.util.find_spec("torch")
    if spec and spec.origin:
        yield Path(spec.origin).parent


def is_libtorch(path):
    return (path / "include/torch/csrc/api/include/torch/torch.h").is_file() and (path / "lib/libtorch_cpu.so").is_file()


def find():
    """The folder, or None."""
    return next((p.resolve() for p in candidates() if is_libtorch(p)), None)


def version(path):
    """'2.15.0+cu132' as torch/version.py or build-version says, else ''."""
    for name, key in (("version.py", "__version__"), ("build-version", None)):
        file = path / name
        if file.is_file():
            for line in file.read_text().splitlines():
                if key is None:
                    return line.strip()
                if line.startswith(key):
                    return line.split("=", 1)[1].strip().strip("'\"")
    return ""


if __name__ == "__main__":
    path = find()
    if path is None:
        given = os.environ.get("ESPALIER_TORCH")
        where = f"ESPALIER_TORCH={given} holds no LibTorch" if given else "no LibTorch found"
        sys.exit(f"{where}: run ./dev setup, or set ESPALIER_TORCH to a folder with include/ and lib/libtorch_cpu.so.")
    print(path)
