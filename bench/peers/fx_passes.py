# SPDX-License-Identifier: BSL-1.0
"""torch.fx on the graphs of bench_passes: nanoseconds a node (an edit for `edit`)."""
import copy
import logging

import torch
from torch import fx
from torch.fx.passes.dialect.common.cse_pass import CSEPass
from torch.fx.passes.infra.partitioner import CapabilityBasedPartitioner
from torch.fx.passes.operator_support import OperatorSupportBase
from torch.fx.subgraph_rewriter import replace_pattern

import dag
import measure

aten = torch.ops.aten
OPS = {"one": aten.full.default, "add": aten.add.Tensor, "sub": aten.sub.Tensor, "mul": aten.mul.Tensor}
OUTER, INNER = ("sin", "cos", "exp", "sqrt", "erf"), ("neg", "abs", "relu", "floor", "ceil", "round", "sign", "trunc",
                                                      "sigmoid", "log")


def operator(name):
    return OPS.get(name) or getattr(aten, name).default


def build(d):
    g = fx.Graph()
    meta = torch.empty(2, 3, device="meta")
    values = [g.placeholder(f"x{i}") for i in range(d.inputs)]
    for i, (op, operands) in enumerate(d.nodes):
        args = ([2, 3], 1.0) if op == "one" else tuple(values[v] for v in operands)
        n = g.call_function(operator(op), args)
        n.meta["val"] = meta
        n.meta["stack_trace"] = f"model.py:{i % dag.LINES}"
        values.append(n)
    g.output(tuple(values[v] for v in d.outputs))
    return fx.GraphModule(torch.nn.Module(), g)


def fifty_patterns():
    """The fifty rules of bench/fifty_rules.hpp; torch.fx takes them one after the other."""
    def graph(*ops):
        g = fx.Graph()
        v = g.placeholder("x")
        for op in ops:
            v = g.call_function(operator(op), (v,))
        g.output(v)
        return g

    return [(graph(inner, outer), graph("tanh")) for outer in OUTER for inner in INNER]


def rewrite(module, patterns):
    for pattern, replacement in patterns:
        replace_pattern(module, pattern, replacement)


def edit(module, chosen):
    g = module.graph
    for n in chosen:
        with g.inserting_after(n):
            made = g.call_function(aten.neg.default, (n,))
        made.meta["val"] = n.meta["val"]
        n.replace_all_uses_with(made, delete_user_cb=lambda user: user is not made)


class Adds(OperatorSupportBase):
    def is_node_supported(self, submodules, node):
        return node.target is aten.add.Tensor


def split(module):
    return CapabilityBasedPartitioner(module, Adds(), allows_single_node_partition=True).partition_and_fuse()


def calls_left(module):
    return sum(n.op == "call_function" and n.target is not aten.full.default for n in module.graph.nodes)


if __name__ == "__main__":
    args = measure.options(__doc__)
    logging.disable(logging.WARNING)

    def report(pass_name, graph, n, work, setup=lambda m: (m,), items=0):
        d = dag.read(args.folder, graph, n)
        module = build(d)
        ns = measure.median_ns(work, lambda: setup(copy.deepcopy(module)), repetitions=3, budget_s=10)
        measure.report(f"{pass_name}_{graph}" if not items else pass_name, n, ns / (items or d.size))

    def report_left(pass_name, graph, n, work):
        """Of a pass that erases: `work` gives the module that it leaves."""
        d = dag.read(args.folder, graph, n)
        module = build(d)
        ns = measure.median_ns(work, lambda: (copy.deepcopy(module),), repetitions=3, budget_s=10)
        measure.report(f"{pass_name}_{graph}", n, ns / d.size, calls_left=calls_left(work(copy.deepcopy(module))))

    def eliminate(m):
        m.graph.eliminate_dead_code()
        return m

    def merge(m):
        return CSEPass()(m).graph_module

    def rewrite_all(m):
        rewrite(m, fifty_patterns())
        return m

    for n in (1_000,) if args.quick else (1_000, 10_000):
        for graph in ("random", "chain", "duplicates", "identical", "users", "inputs", "transformer"):
            report_left("cse", graph, n, merge)
        for graph in ("random", "chain", "dead", "users", "inputs", "transformer"):
            report_left("dce", graph, n, eliminate)
        report("verify", "random", n, lambda m: m.graph.lint())
        report("print", "random", n, lambda m: m.graph.python_code("self").src)
        report("edit", "chain", n, edit, lambda m: (m, list(m.graph.nodes)[1:-1:max(1, n // 1000)][:1000]), items=1000)
    for graph in ("chain", "partition"):
        report("split", graph, 1_000, split)
    report_left("fifty_rules", "pairs", 1_000, rewrite_all)
