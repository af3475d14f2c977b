# SPDX-License-Identifier: BSL-1.0
"""What including Espalier costs: CPU seconds and peak memory of the compiler on a source that includes a header and
nothing else, without optimisation. bench/run.py shows them beside LibTorch's own torch/torch.h. And what one more costs of
a pipeline's passes, of a rewriter's rules, and of types that a vector, a span, a hash map, an optional or a pointer holds:
seconds each, from generated sources of 2 and of n."""
import os
import re
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import find_torch  # noqa: E402

TORCH = "torch/torch.h"


SPECIAL = {"boost_graph.hpp", "hana.hpp"}  # in no umbrella: who includes them wants Boost.Graph or Boost.Hana


def layer(*names):
    """All headers of some layers (and what they include)."""
    return [f"espalier/{n}/{h.name}" for n in names for h in sorted((ROOT / "include/espalier" / n).glob("*.hpp"))
            if h.name not in SPECIAL]


def standard_of(*names):
    """The standard headers that the headers of some layers include."""
    text = "".join(h.read_text() for n in names for h in (ROOT / "include/espalier" / n).rglob("*.hpp") if h.name not in SPECIAL)
    return sorted(set(re.findall(r"^#include <([a-z_]+)>$", text, re.M)))


GROUND = "support schema symbolic meta ir signature pipeline rewrite passes archive".split()


@dataclass
class Unit:
    """A translation unit to compile: `headers` included, or the file `source`."""
    name: str
    headers: tuple = ()
    source: str = ""
    torch: bool = False


UNITS = (
    Unit("compile the ground floor's standard headers", tuple(standard_of(*GROUND))),
    Unit("compile ir + schema", tuple(layer("schema", "ir"))),
    Unit("compile archive", tuple(layer("archive"))),
    Unit("compile espalier/graph.hpp", ("espalier/graph.hpp",)),
    Unit(f"compile {TORCH}", (TORCH,), torch=True),
    Unit("compile espalier/espalier.hpp", ("espalier/espalier.hpp",), torch=True),
    Unit("compile examples/readme.cpp", source="examples/readme.cpp", torch=True),
)


def pipeline_of(n):
    """A pipeline of n passes, run."""
    yield "#include <espalier/ir/graph.hpp>\n#include <espalier/pipeline/pipeline.hpp>\nnamespace es = espalier;"
    for i in range(n):
        yield (f"struct p{i} : es::pass {{ static constexpr std::string_view name = \"p{i}\"; "
               "using destroys = es::properties<>; static es::pass_result run(es::graph_storage&) { return {}; } };")
    yield "es::pass_result f(es::graph<es::aten_ir>& g) { return (" + " | ".join(f"p{i}{{}}" for i in range(n)) + ").run(g); }"


def rules_of(n):
    """A rewriter of n rules, each with a pattern two operators deep, run."""
    ops = "sin cos exp sqrt erf neg abs relu floor ceil round sign trunc sigmoid log".split()
    yield "#include <espalier/rewrite/driver.hpp>\n#include <espalier/schema/aten.hpp>\nnamespace es = espalier;"
    yield "namespace aten = es::aten;\nconstexpr auto x = es::capture<\"x\">;"
    rules = (f"es::rewrite<\"r{i}\">(es::pattern<aten::{ops[i % len(ops)]}>(es::pattern<aten::{ops[i // len(ops)]}>(x)), "
             "[](auto& r, const auto& m) { return r.template call<aten::tanh>(m[x]); })" for i in range(n))
    yield ("es::pass_result f(es::graph_storage& g, es::pass_context& c) { return es::rewrite_greedily(g, c, es::rule_set("
           + ",\n".join(rules) + ")); }")


def vectors_of(header, vector):
    """n types of elements of vectors that are filled, read and walked over."""
    def lines(n):
        yield f"#include <{header}>"
        for i in range(n):
            yield (f"struct t{i} {{ int x; }}; struct s{i} {{ {vector}<t{i}> v; void add(int x) {{ v.push_back(t{i}{{x}}); }} "
                   "int sum() const { int s = 0; for (auto& e : v) s += e.x; return s + v[0].x; } };")
    return lines


def spans_of(header, span):
    """n types of which a vector becomes a span."""
    def lines(n):
        yield f"#include <{header}>\n#include <espalier/support/vector.hpp>"
        for i in range(n):
            yield (f"struct t{i} {{ int x; }}; inline std::size_t size({span}<const t{i}> s) {{ return s.size(); }} "
                   f"inline std::size_t size(const espalier::vector<t{i}>& v) {{ return size({span}<const t{i}>(v)); }}")
    return lines


def maps_of(header, hash_map):
    """n types of values of hash maps that are filled and asked."""
    def lines(n):
        yield f"#include <{header}>\n#include <string>"
        for i in range(n):
            yield (f"struct t{i} {{ int x; }}; struct s{i} {{ {hash_map}<std::string, t{i}> m; void put(const std::string& k) {{ m[k].x = 1; }} "
                   "int get(const std::string& k) const { auto at = m.find(k); return at == m.end() ? 0 : at->second.x; } };")
    return lines


def optionals_of(header, optional):
    """n types of optionals that are given back and read."""
    def lines(n):
        yield f"#include <{header}>"
        for i in range(n):
            yield (f"struct t{i} {{ int x; }}; inline {optional}<t{i}> given{i}(int x) {{ if (x) return t{i}{{x}}; return std::nullopt; }} "
                   f"inline int read{i}(int x) {{ auto t = given{i}(x); return t ? t->x : 0; }}")
    return lines


def owners_of(header, make):
    """n types of objects that a pointer owns."""
    def lines(n):
        yield f"#include <{header}>"
        for i in range(n):
            yield (f"struct t{i} {{ int x; }}; inline auto made{i}() {{ return {make.format(f't{i}')}; }} "
                   f"inline int read{i}() {{ return made{i}()->x; }}")
    return lines


@dataclass
class Generated:
    """A source that grows: what one more of it costs at some sizes, ours and of peers."""
    name: str
    ours: object
    sizes: tuple = (8, 32, 128)
    peers: dict = field(default_factory=dict)


GENERATED = (
    Generated("compile one more pass of a pipeline", pipeline_of),
    Generated("compile one more rule of a rewriter", rules_of),
    Generated("compile one more vector", vectors_of("espalier/support/vector.hpp", "espalier::vector"), (64,),
              {"std::vector": vectors_of("vector", "std::vector")}),
    Generated("compile one more span", spans_of("espalier/support/span.hpp", "espalier::span"), (64,),
              {"std::span": spans_of("span", "std::span")}),
    Generated("compile one more hash map", maps_of("espalier/support/hash_map.hpp", "espalier::hash_map"), (64,),
              {"std::unordered_map": maps_of("unordered_map", "std::unordered_map")}),
    Generated("compile one more optional", optionals_of("espalier/support/optional.hpp", "espalier::optional"), (64,),
              {"std::optional": optionals_of("optional", "std::optional")}),
    Generated("compile one more owned pointer", owners_of("espalier/support/owned_ptr.hpp", "espalier::owned_ptr(new {0}())"), (64,),
              {"std::unique_ptr": owners_of("memory", "std::make_unique<{0}>()")}),
)


@dataclass
class Target:
    name: str
    text: str
    reached: object


def over_torch(seconds):
    return lambda row: row["ours"] <= row["peers"][TORCH] + seconds if TORCH in row["peers"] else None


TARGETS = (
    Target("compile ir + schema", "< 1 s", lambda row: row["ours"] < 1),
    Target("compile espalier/graph.hpp", "< 2 s", lambda row: row["ours"] < 2),
    Target("memory of compile espalier/graph.hpp", "< 300 MB", lambda row: row["ours"] < 300),
    Target("compile espalier/espalier.hpp", f"{TORCH} + 3 s", over_torch(3)),
)


def compile_once(command):
    """(CPU seconds, peak MB) of a command, its children included."""
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(command, stdout=log, stderr=log)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            log.seek(0)
            raise RuntimeError(log.read().decode(errors="replace")[:800])
    # ru_maxrss of the driver is the largest of itself and of the compiler proper, which it waits for
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measure_generated(compiler, quick, say):
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "unit.cpp"

        def seconds(lines):
            source.write_text("\n".join(lines))
            command = [*compiler, "-std=c++20", "-O0", "-c", f"-I{ROOT / 'include'}", str(source), "-o", f"{folder}/unit.o"]
            return sorted(compile_once(command)[0] for _ in range(1 if quick else 3))[0 if quick else 1]

        def one_more(lines, sizes):
            two = seconds(lines(2))
            return [(seconds(lines(n)) - two) / (n - 2) for n in sizes]

        for g in GENERATED:
            say(g.name)
            peers = {p: one_more(lines, g.sizes) for p, lines in g.peers.items()}
            rows += [{"bench": g.name, "size": str(n), "unit": "s", "ours": ours, "peers": {p: each[i] for p, each in peers.items()}}
                     for i, (n, ours) in enumerate(zip(g.sizes, one_more(g.ours, g.sizes)))]
    return rows


def measure(quick, say):
    compiler = os.environ.get("CXX", "g++").split()
    compiler = [c for c in compiler if c != "ccache"] or ["g++"]
    torch = find_torch.find()
    rows, torch_row = [], {}
    for unit in UNITS:
        if unit.torch and not torch:
            continue
        if unit.source and not (ROOT / unit.source).is_file():
            continue
        flags = ["-std=c++20", "-O0", "-c", f"-I{ROOT / 'include'}"]
        if unit.torch:
            flags += [f"-isystem{Path(torch) / 'include'}", f"-isystem{Path(torch) / 'include/torch/csrc/api/include'}"]
        say(unit.name)
        with tempfile.TemporaryDirectory() as folder:
            source = ROOT / unit.source if unit.source else Path(folder) / "unit.cpp"
            if unit.headers:
                source.write_text("".join(f"#include <{h}>\n" for h in unit.headers))
            times, memory = [], []
            try:
                for _ in range(1 if quick else 3 if unit.torch else 5):
                    t, m = compile_once([*compiler, *flags, str(source), "-o", str(Path(folder) / "unit.o")])
                    times.append(t)
                    memory.append(m)
            except RuntimeError as e:
                say(f"compile_time.py: {unit.name} does not compile; left out\n{e}")
                continue
        time, peak = sorted(times)[len(times) // 2], sorted(memory)[len(memory) // 2]
        if unit.name.endswith(TORCH):
            torch_row = {"s": time, "MB": peak}
            continue
        for unit_of, name, value in (("s", unit.name, time), ("MB", f"memory of {unit.name}", peak)):
            rows.append({"bench": name, "size": "", "unit": unit_of, "ours": value, "peers": {}})
    for r in rows:
        if torch_row:
            r["peers"] = {TORCH: torch_row[r["unit"]]}
    return rows + measure_generated(compiler, quick, say)
