#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Node counts of es-opt's passes against Python's, on every decomposed program of the corpora: `cse` against
torch.fx.passes.dialect.common.cse_pass.CSEPass, `dce` against Graph.eliminate_dead_code, `constant_fold` against
torch._inductor.constant_folding. Each program is looked at as it is, and with every call written twice, the second time
for nobody, so that there is something to merge and to erase.

Where counts differ, they must be those of Python's pass with the rules that are stated here in code, each with its reason;
no file is named anywhere.

usage: check_node_counts.py ES_OPT CORPUS..."""

import argparse
import collections
import pathlib
import re
import subprocess
import sys
import tempfile

import torch
from torch._inductor import constant_folding
from torch.fx.passes.dialect.common.cse_pass import CSEPass, get_CSE_banned_ops

import programs

# Calls of these do nothing themselves: they are as pure as their graphs.
RUN_GRAPHS_ONLY = {"cond", "while_loop", "map_impl", "scan", "associative_scan", "wrap", "invoke_subgraph",
                   "wrap_with_set_grad_enabled", "wrap_with_autocast", "flex_attention"}


def is_getitem(node):
    return node.op == "call_function" and getattr(node.target, "__name__", "") == "getitem"


def is_higher_order(node):
    return node.op == "call_function" and isinstance(node.target, torch._ops.HigherOrderOperator)


def holds_graph(module, node):
    return node.op == "get_attr" and isinstance(getattr(module, node.target, None), torch.fx.GraphModule)


def counted(module):
    """Ours have results instead of getitem nodes, and name subgraphs in arguments instead of get_attr nodes."""
    return sum(not is_getitem(n) and not holds_graph(module, n) for n in module.graph.nodes)


def write_twice(program):
    """A second call beside each call, of the second calls' results. Those that make symbols stay alone."""
    graph, twins = program.graph, {}
    for node in list(graph.nodes):
        if node.op == "call_function" and not node.meta.get("unbacked_bindings"):
            with graph.inserting_after(node):
                twins[node] = graph.node_copy(node, lambda n: twins.get(n, n))


class Memory:
    """Which nodes may share memory, as passes must assume: what schemas declare; operands and results of calls whose
    effects nobody knows, and of random ones (dropout may give its input back)."""

    def __init__(self, module, input_kinds):
        self.leader = {n: n for n in module.graph.nodes}
        self.written, self.returned = set(), set()
        for node in module.graph.nodes:
            if node.op == "output":
                self.returned |= set(node.all_input_nodes)
            elif node.op == "call_function":
                self.visit(module, node)
        kinds = {input_kinds[n.name] for n in module.graph.nodes if n.op == "placeholder" and self.is_written(n)}
        for node in module.graph.nodes:  # inputs of one kind may be one tensor, passed twice
            if node.op == "placeholder" and input_kinds[node.name] in kinds:
                self.written.add(node)

    def visit(self, module, node):
        if is_getitem(node):
            return self.join(node, node.args[0])
        if is_higher_order(node):
            operands = [n for n in node.all_input_nodes if not holds_graph(module, n)]
            if not runs_pure_graphs(module, node):
                self.written |= set(operands)
        elif isinstance(node.target, torch._ops.OpOverload):
            if torch.Tag.nondeterministic_seeded in node.target.tags:
                operands = node.all_input_nodes
            else:
                operands = [a for a, s in zip(node.args, node.target._schema.arguments)
                            if s.alias_info is not None and isinstance(a, torch.fx.Node)]
        else:
            operands = []
        for operand in operands:
            self.join(node, operand)

    def find(self, node):
        while self.leader[node] is not node:
            node = self.leader[node]
        return node

    def join(self, a, b):
        self.leader[self.find(a)] = self.find(b)

    def is_written(self, node):
        return self.find(node) in {self.find(w) for w in self.written}

    def is_returned(self, node):
        return self.find(node) in {self.find(r) for r in self.returned}


def runs_pure_graphs(module, node):
    if node.target.name() not in RUN_GRAPHS_ONLY:
        return False
    graphs = [getattr(module, n.target) for n in node.all_input_nodes if holds_graph(module, n)]
    return not any(n.is_impure() for g in graphs for n in g.graph.nodes if n.op == "call_function")


def left_by_our_rules(module, input_kinds):
    """How many nodes merging leaves by the rules below, and how often each of them decided otherwise than CSEPass."""
    memory = Memory(module, input_kinds)
    decided = collections.Counter()
    became, table, left = {}, {}, 0
    outputs = set(next(n for n in module.graph.nodes if n.op == "output").all_input_nodes)

    def token(x):
        """Equal only for equal arguments. Python's hash(-1) is hash(-2): of two calls that CSEPass' table cannot tell
        apart it knows the first alone, and merges nothing with the second. And 1 == 1.0 == True there."""
        if isinstance(x, torch.fx.Node):
            return became.get(x, x)
        if isinstance(x, (list, tuple)):
            return tuple(token(e) for e in x)
        if isinstance(x, dict):
            return tuple((k, token(v)) for k, v in x.items())
        return type(x), repr(x)

    def keeps(node, first):
        if is_higher_order(node):
            return "a higher-order call may do anything"
        if node.is_impure():
            return "assertions and effects stay"
        if any(memory.is_written(n) for n in [node, *node.all_input_nodes]):
            return "memory that somebody may write to"
        if first is None:
            return None
        names = {node} | {u for u in node.users if is_getitem(u)}
        if names & outputs:
            return "an output keeps its node"
        view = isinstance(node.target, torch._ops.OpOverload) and torch.Tag.core in node.target.tags and any(
            a.alias_info for a in node.target._schema.arguments)
        if memory.is_returned(node) and memory.is_returned(first) and not view:
            return "two outputs do not become one tensor"
        return None

    for node in module.graph.nodes:
        if node.op != "call_function":
            left += not holds_graph(module, node)
            continue
        if is_getitem(node):
            source = became.get(node.args[0], node.args[0])
            for other in source.users:
                if is_getitem(other) and other.args[1] == node.args[1] and source is not node.args[0]:
                    became[node] = other
            continue
        key = node.target, token(node.args), token(node.kwargs)
        first = table.get(key)
        if why := keeps(node, first):
            decided[why] += first is not None
            left += 1
            table.setdefault(key, node)
        elif first is None:
            table[key] = node
            left += 1
        else:
            became[node] = first
            memory.join(node, first)
    return left, +decided


def es_opt(tool, *arguments):
    done = subprocess.run([str(tool), *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"es-opt {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def counts_by(tool, path, passes):
    before, after = re.findall(r"^(\d+) nodes", es_opt(tool, path, "--stats", "--passes", passes), re.M)
    return int(before), int(after)


def check_counts(tool, path, reasons):
    """Problems of one file, and by how many nodes CSEPass and dce went below what they were given."""
    program = programs.load(path)
    kinds = {s.arg.name: s.kind.name for s in program.graph_signature.input_specs}
    problems = []
    all_nodes = counted(program.graph_module)
    python = counted(CSEPass(get_CSE_banned_ops())(program.graph_module).graph_module)
    before, merged = counts_by(tool, path, "cse")
    if before != all_nodes:
        problems.append(f"{before} nodes here, {all_nodes} in Python")
    if merged != python:
        by_rules, why = left_by_our_rules(program.graph_module, kinds)
        reasons.update(why or {"calls that CSEPass' table cannot tell apart": 1})
        if merged != by_rules:
            problems.append(f"cse leaves {merged} nodes, CSEPass {python}, by our rules it should be {by_rules}")
    erased = counts_by(tool, path, "dce")[1]
    module = program.graph_module
    # Of a higher-order call that does more than run pure graphs nobody knows what it does: it stays. (This first: what it
    # leaves, the plain pass still has to erase.)
    program.graph.eliminate_dead_code(lambda n: n.is_impure() or (is_higher_order(n) and not runs_pure_graphs(module, n)))
    by_rules = counted(module)
    program.graph.eliminate_dead_code()
    alive = counted(module)
    reasons["a dead higher-order call that may do anything stays"] += by_rules - alive
    if erased != by_rules:
        problems.append(f"dce leaves {erased} nodes, eliminate_dead_code {alive}, by our rules it should be {by_rules}")
    return problems, all_nodes - merged, all_nodes - erased


def bytes_of(values):
    return sum(v.numel() * v.element_size() for v in values if isinstance(v, torch.Tensor))


class Folder(constant_folding.ConstantFolder):
    """Python's folder with our three rules, of which Python's callers have to take care themselves."""

    def __init__(self, module):
        super().__init__(module, skip_constructors=True)
        self.memory = Memory(module, collections.defaultdict(str))
        # A buffer that a run writes to is no constant.
        self.changed = {n.args[0].target for n in module.graph.nodes if str(n.target) == "aten.copy_.default" and
                        n.args[0].op == "get_attr"}

    def _deduce_value(self, node):
        value = super()._deduce_value(node)
        if node.op == "get_attr":
            return self.unknown_value if node.target in self.changed else value
        # What is returned would be the same tensor in every call.
        if self.memory.is_returned(node):
            return self.unknown_value
        # Results do not grow: fold_options::max_growth and fold_options::small.
        made, read = bytes_of([value]), bytes_of(self.env.get(n) for n in node.all_input_nodes)
        return self.unknown_value if made > 1 << 16 and made > 2 * read else value


def calls(graph):
    return collections.Counter(str(n.target) for n in graph.nodes if n.op == "call_function" and not is_getitem(n))


def check_folding(tool, path, folder):
    """What es-opt folds, parameters being frozen, is what Python folds; the program still runs in Python."""
    module = programs.load(path).module(check_guards=False)
    given = calls(module.graph)
    python = Folder(module)
    python.run()
    for node, constant in python.node_replacements.items():
        constant_folding.replace_node_with_constant(module, node, constant)
    module.graph.eliminate_dead_code()
    theirs = given - calls(module.graph)

    out = folder / "folded.pt2"
    es_opt(tool, path, "--passes", "constant_fold<parameters>", "--verify", "-o", out)
    folded = programs.load(out)
    ours = calls(programs.load(path).graph) - calls(folded.graph)
    problems = []
    if ours != theirs:
        problems.append(f"constant_fold folds {dict(ours)}, Python {dict(theirs)}")
    results = programs.call(folded, programs.load_values(path.parent / "inputs.pt"))
    if wrong := programs.difference(results, programs.load_values(path.parent / "outputs.pt")):
        problems.append(f"the folded program's outputs in Python: {wrong}")
    return problems, ours.total()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("es_opt", type=pathlib.Path)
    parser.add_argument("corpora", type=pathlib.Path, nargs="+")
    options = parser.parse_args()
    tool = options.es_opt.resolve()
    paths = [p for c in options.corpora for p in sorted(c.glob("*/model_decomp.pt2"))]
    reasons, failed = collections.Counter(), 0
    merged = erased = folded = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for path in paths:
            twice = folder / "twice.pt2"
            program = programs.load(path)
            write_twice(program)
            program._example_inputs = None  # they may be of classes that nobody has here
            torch.export.save(program, twice)
            problems = []
            for file in (path, twice):
                found, less, dead = check_counts(tool, file, reasons)
                problems += [("twice: " if file is twice else "") + p for p in found]
                merged, erased = merged + less, erased + dead
            found, calls_folded = check_folding(tool, path, folder)
            problems += found
            folded += calls_folded
            failed += bool(problems)
            for problem in problems:
                print(f"FAIL {path}: {problem}", flush=True)
    print(f"     merged {merged} nodes, erased {erased}, folded {folded} calls in {len(paths)} programs; where Python's "
          "passes leave other numbers: " + "; ".join(f"{why} ({n})" for why, n in (+reasons).most_common()))
    if not (merged and erased and folded):
        print("FAIL nothing to merge, to erase or to fold: the corpora are empty or tell nothing")
        failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
