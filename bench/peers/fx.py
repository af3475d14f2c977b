# SPDX-License-Identifier: BSL-1.0
"""torch.fx on the graphs of bench/chain.hpp and bench/passes.cpp: nanoseconds a node."""
import torch
from torch import fx
from torch._functorch.compile_utils import fx_graph_cse

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


def dead(n):
    g = chain(n)
    nodes = list(g.nodes)
    nodes[-1].args = (nodes[0],)
    return g


def twice(n):
    g = fx.Graph()
    x = a = b = g.placeholder("x")
    for _ in range(n // 2):
        a, b = g.call_function(ADD, (a, x)), g.call_function(ADD, (b, x))
    g.output(g.call_function(torch.ops.aten.mul.Tensor, (a, b)))
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
            ("dce_nothing", fx.Graph.eliminate_dead_code, lambda: (chain(n),)),
            ("dce_dead", fx.Graph.eliminate_dead_code, lambda: (dead(n),)),
            ("cse_nothing", fx_graph_cse, lambda: (chain(n),)),
            ("cse_twice", fx_graph_cse, lambda: (twice(n),)),
        ):
            measure.report(name, n, measure.median_ns(work, make, budget_s=20) / n)
