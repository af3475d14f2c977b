#!/bin/sh
# SPDX-License-Identifier: BSL-1.0
# With PKG_CONFIG_PATH=PREFIX/share/pkgconfig: build.sh OUT
set -eu
# shellcheck disable=SC2046
"${CXX:-g++}" $(pkg-config --cflags espalier) "$(dirname "$0")/../ground.cpp" -o "$1" $(pkg-config --libs espalier)
