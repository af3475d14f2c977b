// SPDX-License-Identifier: BSL-1.0
// es-opt: read a .pt2, run passes over it, look at it, run it, write it back. In the manner of mlir-opt.
#include <espalier/opt/opt_main.hpp>

int main(int argc, char** argv) { return espalier::opt_main(argc, argv); }
