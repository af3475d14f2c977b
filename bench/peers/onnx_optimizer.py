# SPDX-License-Identifier: BSL-1.0
"""onnxoptimizer on the graphs of bench_passes: nanoseconds a node of `optimize(model, [one pass])`, which parses the
model's protobuf and writes one, as every caller pays. Nothing is reported where the packages are not installed."""
import sys

import dag
import measure

OPS = {"add": "Add", "sub": "Sub", "mul": "Mul", "maximum": "Max", "minimum": "Min", "neg": "Neg", "abs": "Abs", "exp": "Exp",
       "tanh": "Tanh"}


def build(d):
    from onnx import TensorProto, helper

    def name(v):
        return f"v{v}"

    def info(v):
        return helper.make_tensor_value_info(name(v), TensorProto.FLOAT, [2, 3])

    nodes, constants = [], []
    for i, (op, operands) in enumerate(d.nodes):
        v = d.inputs + i
        if op == "one":
            constants.append(helper.make_tensor(name(v), TensorProto.FLOAT, [2, 3], [1.0] * 6))
        else:
            nodes.append(helper.make_node(OPS[op], [name(u) for u in operands], [name(v)],
                                          doc_string=f"model.py:{i % dag.LINES}"))
    graph = helper.make_graph(nodes, "g", [info(i) for i in range(d.inputs)], [info(v) for v in d.outputs], constants,
                              value_info=[info(d.inputs + i) for i in range(len(d.nodes))])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


if __name__ == "__main__":
    args = measure.options(__doc__)
    try:
        import onnxoptimizer
    except ImportError as e:
        print(f"{e} (./dev setup installs it)", file=sys.stderr)
        sys.exit(0)
    rows = {"random": ("cse", "dce"), "chain": ("cse", "dce"), "duplicates": ("cse",), "identical": ("cse",), "dead": ("dce",),
            "users": ("cse", "dce"), "transformer": ("cse", "dce")}
    passes = {"cse": "eliminate_common_subexpression", "dce": "eliminate_deadend"}
    n = 1_000  # it is quadratic: ten thousand nodes take a hundred times as long
    for graph, names in rows.items():
        d = dag.read(args.folder, graph, n)
        model = build(d)
        for name in names:
            work = lambda: onnxoptimizer.optimize(model, [passes[name]])  # noqa: E731
            ns = measure.median_ns(work, repetitions=3, budget_s=10)
            measure.report(f"{name}_{graph}", n, ns / d.size, calls_left=len(work().graph.node))
