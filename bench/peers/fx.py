# SPDX-License-Identifier: BSL-1.0
"""torch.fx on the graph of bench/chain.hpp: nanoseconds a node. Its passes: fx_passes.py."""
import torch
from torch import fx

import measure

ADD = torch.ops.aten.add.Tensor


def chain(n):
    g = fx.Graph()
    previous = back = g.placeholder("x")
    for i in range(n):
        y = g.call_function(ADD, (previous, back))
        if i % 7 == 0:
            back = previous
        previous = y
    g.output(previous)
    return g


def iterate(g):
    for _ in g.nodes:
        pass


def operands(g):
    for n in g.nodes:
        for _ in n.all_input_nodes:
            pass


def clone(g):
    out = fx.Graph()
    out.graph_copy(g, {})
    return out


def erase(g):
    for n in reversed(g.nodes):
        if n.op != "placeholder":
            g.erase_node(n)


if __name__ == "__main__":
    args = measure.options(__doc__)
    for n in (1_000,) if args.quick else (1_000, 100_000):
        for name, work, make in (
            ("graph_create", chain, lambda: (n,)),
            ("graph_iterate", iterate, lambda: (chain(n),)),
            ("graph_operands", operands, lambda: (chain(n),)),
            ("graph_clone", clone, lambda: (chain(n),)),
            ("graph_erase", erase, lambda: (chain(n),)),
        ):
            measure.report(name, n, measure.median_ns(work, make, budget_s=20) / n)
