#!/bin/sh
# SPDX-License-Identifier: BSL-1.0
# With INCLUDE, the folder of the headers: build.sh OUT
set -eu
"${CXX:-g++}" -std=c++20 -I "$INCLUDE" "$(dirname "$0")/../ground.cpp" -o "$1"
