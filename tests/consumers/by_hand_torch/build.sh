#!/bin/sh
# SPDX-License-Identifier: BSL-1.0
# With INCLUDE, the folder of the headers, and TORCH, LibTorch's: build.sh OUT
set -eu
"${CXX:-g++}" -std=c++20 -I "$INCLUDE" -isystem "$TORCH/include" -isystem "$TORCH/include/torch/csrc/api/include" \
  "$(dirname "$0")/../flags.cpp" -o "$1" -L"$TORCH/lib" -Wl,-rpath,"$TORCH/lib" -ltorch_cpu -lc10
