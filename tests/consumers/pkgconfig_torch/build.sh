#!/bin/sh
# SPDX-License-Identifier: BSL-1.0
# With PKG_CONFIG_PATH=PREFIX/share/pkgconfig and TORCH, LibTorch's folder: build.sh OUT
set -eu
# shellcheck disable=SC2046
"${CXX:-g++}" $(pkg-config --define-variable=torch_dir="$TORCH" --cflags espalier-torch) "$(dirname "$0")/../flags.cpp" -o "$1" \
  $(pkg-config --define-variable=torch_dir="$TORCH" --libs espalier-torch)
