#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Makes the project's own corpus: small models exported by Python's torch.export, one folder a model.

model.pt2 is the training IR, model_decomp.pt2 the same after run_decompositions(), model_dyn.pt2 has dynamic dimensions;
graph*.txt is what Python prints for each. inputs.pt and outputs.pt hold the flat list of the user inputs and outputs that the
signature does not record as constants; inputs_dynN.pt and outputs_dynN.pt are further sizes for model_dyn.pt2; state_after.pt
holds the buffers, and inputs_after.pt the inputs, that one run changed. meta.json says the rest. A folder that is up to date
(same script, same torch) is left alone."""

import argparse
import copy
import hashlib
import json
import pathlib
import shutil
import sys
import time
import warnings

import torch
from torch import nn
from torch.export import Dim
from torch.nn import functional as F
from torch._higher_order_ops import print as print_operator, scan, while_loop
from torch._higher_order_ops.map import map as map_operator
from torch.utils import _pytree as pytree

import operators  # noqa: F401: registers operators

warnings.filterwarnings("ignore")
BATCH = Dim("batch", min=2, max=32)


class MLP(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 4))


class ConvNet(nn.Module):
    """Batch norm in training: its statistics are mutated buffers."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn(self.conv(x))), 2)
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Cond(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda x: self.left(x).sin(), lambda x: self.right(x) - 1, (x,))


class Tied(nn.Module):
    """Tied weights, a frozen parameter, a buffer that is not saved, tensors that are neither, and literals."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embedding.weight
        self.frozen = nn.Parameter(torch.randn(6), requires_grad=False)
        self.register_buffer("shift", torch.randn(6))
        self.register_buffer("scale", torch.randn(6), persistent=False)
        self.plain = torch.randn(6)

    def forward(self, ids):
        x = self.embedding(ids) * self.scale + self.shift + self.frozen + self.plain
        return self.head(x + torch.tensor([0.5, 1.0, 1.5, 2.0, 2.5, 3.0]))


class Mutation(nn.Module):
    """A cache that is written at a position, a counter, and a user input changed in place through a view."""

    def __init__(self):
        super().__init__()
        self.register_buffer("cache", torch.zeros(4, 3))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, x, out):
        self.cache[1:3].copy_(x)
        self.steps.add_(1)
        out[0].mul_(2)
        return self.cache * self.steps, out.sum()


class Nested(nn.Module):
    def forward(self, pair, table, *, scale, bias=None, mode="add", flag=True):
        x = pair[0] + pair[1][0] * scale
        if flag:
            x = x + table["b"] if mode == "add" else x * table["a"]
        if bias is not None:
            x = x + bias
        return {"x": x, "all": [x.sum(), (x.amax(1), None)], "count": 7, "same": table["a"]}


class Item(nn.Module):
    """A size that only running tells, with checks on it."""

    def forward(self, x, n):
        size = n.item()
        torch._check(size >= 1)
        torch._check(size <= 16)
        return torch.zeros(size, x.shape[1]) + x[0], x.sum() * size


class Derived(nn.Module):
    """The second input is one longer than the first, the third twice as long."""

    def forward(self, x, y, z):
        return x + y[1:], torch.cat([x, x]) * z


class SetGrad(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 5)

    def forward(self, x):
        with torch.no_grad():
            scale = self.linear(x).softmax(-1)
        return self.linear(x) * scale


class NestedCond(nn.Module):
    """A branch inside a branch, two operands, two results."""

    def forward(self, x, y):
        def inner(x, y):
            return torch.cond(x.mean() > 1, lambda x, y: (x * 3, y.sin()), lambda x, y: (x - y, y + 1), (x, y))

        return torch.cond(x.sum() > 0, inner, lambda x, y: (x * y, x.cos()), (x, y))


class WhileLoop(nn.Module):
    """Doubles until the sum is large; a further tensor is only read."""

    def forward(self, x, limit):
        def test(count, x):
            return x.sum() < limit

        def body(count, x):
            return count + 1, x * 2

        return while_loop(test, body, (torch.zeros((), dtype=torch.int64), x))


class MapScan(nn.Module):
    def forward(self, x, y):
        rows = map_operator(lambda row, y: row.sin() * y, x, y)
        last, sums = scan(lambda total, row: (total + row, total * row), torch.ones(3), x)
        return rows, last, sums


class Autocast(nn.Module):
    """A region in bfloat16, and in it one that is not."""

    def __init__(self):
        super().__init__()
        self.inside, self.outside = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self.inside(x)
        return self.outside(y.float()), y


class CustomOperator(nn.Module):
    """An operator of a user's own, which writes to a view: functionalized by run_decompositions()."""

    def forward(self, x):
        y = x.clone()
        total = torch.ops.espalier_corpus.shift_(y[0], x[1], times=2)
        return y, total


class Effects(nn.Module):
    def forward(self, x):
        print_operator("espalier's corpus prints {}", 1)
        return x + 1


class GPTBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(50, 16), nn.Embedding(32, 16)
        self.ln_1, self.ln_2, self.ln_f = nn.LayerNorm(16), nn.LayerNorm(16), nn.LayerNorm(16)
        self.qkv, self.proj = nn.Linear(16, 48), nn.Linear(16, 16)
        self.up, self.down = nn.Linear(16, 64), nn.Linear(64, 16)

    def forward(self, ids):
        batch, length = ids.shape
        x = self.wte(ids) + self.wpe(torch.arange(length, device=ids.device))
        q, k, v = (t.view(batch, length, 2, 8).transpose(1, 2) for t in self.qkv(self.ln_1(x)).split(16, dim=-1))
        scores = q @ k.transpose(-2, -1) / 8**0.5
        keep = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
        weights = scores.masked_fill(~keep, float("-inf")).softmax(-1)
        x = x + self.proj((weights @ v).transpose(1, 2).reshape(batch, length, 16))
        x = x + self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))
        return self.ln_f(x) @ self.wte.weight.t()


class LSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 5, num_layers=1, batch_first=True)

    def forward(self, x):
        y, (h, c) = self.lstm(x)
        return y[:, -1], h, c


class Point:
    """A container type of this script: who loads the program has to register a type of the same serialized name."""

    def __init__(self, x, y):
        self.x, self.y = x, y


pytree.register_pytree_node(
    Point,
    lambda p: ([p.x, p.y], None),
    lambda children, _: Point(*children),
    serialized_type_name="espalier_corpus.Point",
    flatten_with_keys_fn=lambda p: ([(pytree.GetAttrKey("x"), p.x), (pytree.GetAttrKey("y"), p.y)], None),
)


class Container(nn.Module):
    def forward(self, x):
        return Point(x + 1, [x.sum(), x.mean(0)])


class Numbers(nn.Module):
    """Numbers as inputs; results that are inputs and numbers."""

    def forward(self, x, n: int, s: float):
        return x * n + s, x, n, None


class DTypes(nn.Module):
    def __init__(self):
        super().__init__()
        self.brief = nn.Parameter(torch.randn(4, 4, dtype=torch.bfloat16))
        self.register_buffer("codes", torch.randint(-128, 127, (4, 4), dtype=torch.int8))
        self.register_buffer("phase", torch.randn(4, dtype=torch.complex64))
        self.register_buffer("bits", torch.tensor([True, False, True, True]))
        self.register_buffer("wide", torch.randn(4, dtype=torch.float64))
        self.register_buffer("one", torch.tensor(1.5))
        self.register_buffer("empty", torch.empty(0, 3))

    def forward(self, x):
        y = x.to(torch.bfloat16) @ self.brief
        z = self.codes.to(torch.float32) * x
        w = torch.where(self.bits, x * self.one, x)
        return y, z, x * self.phase, w + self.wide, self.codes // 2, self.empty, float("inf") * x


def spec(module, inputs, kwargs=None, *, dynamic=None, more=(), train=False, skip_decomposition=None, notes=""):
    """`inputs()` and `more[i]()` make positional arguments; `dynamic` is dynamic_shapes for model_dyn.pt2."""
    return dict(locals())


def make_models():
    r, ids = torch.randn, lambda high, *shape: torch.randint(high, shape)
    return {
        "mlp": spec(
            MLP, lambda: (r(3, 8),), dynamic=({0: BATCH},), more=[lambda: (r(5, 8),), lambda: (r(32, 8),)]
        ),
        "conv_bn_train": spec(
            ConvNet, lambda: (r(4, 3, 8, 8),), train=True, dynamic=({0: BATCH},), more=[lambda: (r(2, 3, 8, 8),)],
            notes="batch norm in training: mutated buffers",
        ),
        "cond": spec(
            Cond, lambda: (r(3, 6).abs(),), dynamic=({0: BATCH},), more=[lambda: (-r(4, 6).abs(),), lambda: (r(9, 6).abs(),)],
            notes="higher-order cond; the first further set takes the other branch",
        ),
        "tied_constants": spec(Tied, lambda: (ids(11, 2, 4),), notes="tied and frozen parameters, constants, unsaved buffer"),
        "mutation": spec(Mutation, lambda: (r(2, 3), r(3, 4)), notes="mutated buffers and user input"),
        "nested": spec(
            Nested,
            lambda: ((r(3, 4), [r(3, 4), r(2)]), {"a": r(3, 4), "b": r(3, 4)}),
            {"scale": 1.5, "bias": None, "mode": "add", "flag": True},
            notes="nested containers; keyword arguments that are constants; results with None and an integer",
        ),
        "item": spec(
            Item, lambda: (r(3, 4), torch.tensor(5)), dynamic=({0: BATCH}, None),
            more=[lambda: (r(6, 4), torch.tensor(16)), lambda: (r(2, 4), torch.tensor(1))], notes="unbacked size with checks",
        ),
        "derived": spec(
            Derived, lambda: (r(3, 2), r(4, 2), r(6, 2)), dynamic=({0: BATCH}, {0: BATCH + 1}, {0: 2 * BATCH}),
            more=[lambda: (r(2, 2), r(3, 2), r(4, 2)), lambda: (r(8, 2), r(9, 2), r(16, 2))], notes="derived dimensions",
        ),
        "set_grad": spec(SetGrad, lambda: (r(3, 5),), notes="a no_grad region"),
        "nested_cond": spec(
            NestedCond, lambda: (r(3, 4).abs(), r(3, 4)), dynamic=({0: BATCH}, {0: BATCH}),
            more=[lambda: (r(4, 4).abs() + 2, r(4, 4)), lambda: (-r(2, 4).abs(), r(2, 4))],
            notes="higher-order cond in a branch; each of the three ways is taken by one input set",
        ),
        "while_loop": spec(
            WhileLoop, lambda: (r(3).abs() + 0.1, torch.tensor(50.0)), notes="higher-order while_loop",
        ),
        "map_scan": spec(MapScan, lambda: (r(5, 3), r(3)), notes="higher-order map and scan"),
        "autocast": spec(Autocast, lambda: (r(2, 4),), notes="a region under autocast"),
        "custom_operator": spec(
            CustomOperator, lambda: (r(2, 4),), notes="an operator that PyTorch does not have; auto_functionalized_v2",
        ),
        "effects": spec(Effects, lambda: (r(3),), notes="higher-order print; with_effects when decomposed"),
        "gpt_block": spec(
            GPTBlock, lambda: (ids(50, 2, 7),), dynamic=({0: BATCH, 1: Dim("length", min=2, max=32)},),
            more=[lambda: (ids(50, 4, 12),), lambda: (ids(50, 2, 32),)],
        ),
        "lstm": spec(LSTM, lambda: (r(2, 3, 4),)),
        "container": spec(Container, lambda: (r(3, 2),), notes="result of a registered container type"),
        "numbers": spec(Numbers, lambda: (r(3, 2), 3, 0.5), notes="integer and float inputs, results that are inputs"),
        "dtypes": spec(DTypes, lambda: (r(4, 4),), notes="bfloat16, int8, complex, bool, double, scalar and empty tensors"),
    }


def is_constant(s):
    return type(s.arg).__name__ == "ConstantArgument"


def flat(values, specs, kind):
    leaves = pytree.tree_leaves(values, is_leaf=lambda x: x is None)
    specs = [s for s in specs if s.kind.name in kind]
    assert len(leaves) == len(specs), f"{len(leaves)} leaves, {len(specs)} specs"
    return [leaf for leaf, s in zip(leaves, specs) if not is_constant(s)]


def user_inputs(program, args, kwargs):
    return flat((args, kwargs), program.graph_signature.input_specs, ("USER_INPUT",))


def user_outputs(program, result):
    return flat(result, program.graph_signature.output_specs, ("USER_OUTPUT",))


def detached(values):
    return [v.detach().clone() if isinstance(v, torch.Tensor) else v for v in values]


def write(name, model, folder):
    """Exports one model into `folder`; every file but meta.json is there when it returns."""
    torch.manual_seed(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16))
    kwargs = model["kwargs"] or {}
    net = model["module"]().train(model["train"])
    args = model["inputs"]()
    started = copy.deepcopy((net, args))  # a run may change buffers and inputs, an export must not

    def run(values):
        eager, values = copy.deepcopy(started[0]), copy.deepcopy(values)
        result = eager(*values, **kwargs)
        return eager, values, result

    def save(program, label):
        # files of the user's own, which are to go from file to file
        extra = {"notes.txt": f"{folder.name}{label}", "more/data.txt": "ü" * 40}
        torch.export.save(program, str(folder / f"model{label}.pt2"), extra_files=extra)
        (folder / f"graph{label}.txt").write_text(str(program))

    program = torch.export.export(copy.deepcopy(net), copy.deepcopy(args), kwargs)
    save(program, "")
    eager, changed, result = run(args)
    torch.save(detached(user_inputs(program, args, kwargs)), folder / "inputs.pt")
    torch.save(detached(user_outputs(program, result)), folder / "outputs.pt")
    before, after = dict(started[0].named_buffers()), dict(eager.named_buffers())
    state = {key: value.clone() for key, value in after.items() if not torch.equal(value, before[key])}
    if state:
        torch.save(state, folder / "state_after.pt")
    given, left = user_inputs(program, args, kwargs), user_inputs(program, changed, kwargs)
    if any(isinstance(a, torch.Tensor) and not torch.equal(a, b) for a, b in zip(given, left)):
        torch.save(detached(left), folder / "inputs_after.pt")

    decomposed = torch.export.export(copy.deepcopy(net), copy.deepcopy(args), kwargs).run_decompositions()
    save(decomposed, "_decomp")
    sets = 0
    if model["dynamic"]:
        dynamic = torch.export.export(
            copy.deepcopy(net), copy.deepcopy(args), kwargs, dynamic_shapes=model["dynamic"]
        )
        save(dynamic, "_dyn")
        for sets, more in enumerate(model["more"], 1):
            values = more()
            _, _, result = run(values)
            torch.save(detached(user_inputs(dynamic, values, kwargs)), folder / f"inputs_dyn{sets}.pt")
            torch.save(detached(user_outputs(dynamic, result)), folder / f"outputs_dyn{sets}.pt")
    operators = {}
    for node in program.graph.nodes:
        if node.op == "call_function":
            operators[str(node.target)] = operators.get(str(node.target), 0) + 1
    return {
        "name": name,
        "torch": torch.__version__,
        "notes": model["notes"],
        "nodes": len(program.graph.nodes),
        "decomp_nodes": len(decomposed.graph.nodes),
        "input_sets": 1 + sets,
        "state_changed": sorted(state),
        "ops": dict(sorted(operators.items())),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="where to make NAME/model.pt2 and its neighbours")
    parser.add_argument("names", nargs="*", help="only these models")
    parser.add_argument("--force", action="store_true", help="make anew what is up to date")
    parser.add_argument("--stamp", type=pathlib.Path, help="a file to touch when all is made, for build systems")
    options = parser.parse_args()
    stamp = hashlib.sha256(b"".join(
        pathlib.Path(f).read_bytes() for f in (__file__, operators.__file__)) + torch.__version__.encode()).hexdigest()
    models = make_models()
    if unknown := set(options.names) - set(models):
        parser.error(f"no such model: {', '.join(sorted(unknown))}; there are {', '.join(models)}")
    failed = 0
    for name in options.names or models:
        folder = options.folder / name
        meta = folder / "meta.json"
        if not options.force and meta.exists() and json.loads(meta.read_text()).get("stamp") == stamp:
            continue
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        start = time.perf_counter()
        try:
            facts = write(name, models[name], folder)
        except Exception as error:
            failed += 1
            print(f"FAIL {name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            continue
        meta.write_text(json.dumps({**facts, "stamp": stamp}, indent=1) + "\n")
        print(f"made {name}: {facts['nodes']} nodes in {time.perf_counter() - start:.1f} s", flush=True)
    if options.stamp and not failed:
        options.stamp.touch()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
