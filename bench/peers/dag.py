# SPDX-License-Identifier: BSL-1.0
"""The graphs that bench_passes wrote (bench/dag.hpp): the same ones for every peer."""
from dataclasses import dataclass
from pathlib import Path

LINES = 1000  # of the source file that nodes say they come from


@dataclass
class Dag:
    inputs: int
    outputs: list
    nodes: list  # (operator, operands); the values are the inputs, then one for each node

    @property
    def size(self):
        """Nodes as FX and we count them: inputs, calls, the output."""
        return self.inputs + len(self.nodes) + 1


def read(folder, name, size):
    with open(Path(folder) / f"{name}_{size}.dag") as file:
        inputs = int(file.readline())
        outputs = [int(v) for v in file.readline().split()]
        nodes = [(op, tuple(map(int, operands))) for op, *operands in map(str.split, file)]
    return Dag(inputs, outputs, nodes)
