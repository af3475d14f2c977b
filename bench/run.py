#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Run the benchmarks and their peers group by group. When a group is finished, its table (Markdown) is printed, and all
rows so far are written as JSON and as plots. With --only, rows of other groups stay as an earlier run wrote them.

    run.py --programs build-release/bench --out build/bench/results.json [--only NAME]... [--quick]

Times are medians of repetitions, CPU time of one thread, ours and the peers' in the same run. `ratio` is each
peer's figure divided by ours: above 1, ours is faster. `limit` is what moving the bytes that a row touches costs this
machine. `calls left` is what a pass leaves of a graph. docs/benchmarks.md tells what each row is.
"""
import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import compile_time
import plot

ROOT = Path(__file__).resolve().parent.parent
PEERS = Path(__file__).resolve().parent / "peers"
FX, EXPORT, JIT, META, FAKE = "torch.fx", "torch.export", "torch::jit trace", "meta kernels", "FakeTensor"
MLIR, JIT_PASSES, ONNX, BY_HAND = "MLIR", "torch::jit", "onnxoptimizer", "loop by hand"


@dataclass
class Group:
    """One benchmark program. `rows` are patterns of its benchmarks' names; one that matches no row is a C++ peer:
    `twins` says of which row, by replacing a prefix."""
    program: str
    unit: str
    scale: float = 1.0  # from nanoseconds an item to the unit
    rows: tuple = ()
    twins: dict = field(default_factory=dict)  # {(prefix of the peer, prefix of the row): peer's name}
    units: dict = field(default_factory=dict)    # {prefix of a row: another unit}
    scripts: dict = field(default_factory=dict)  # {Python script: the peer that it measures}
    peers: dict = field(default_factory=dict)    # {C++ program: the peer that it measures}, rows by the same names
    writes_files: bool = False      # for the scripts
    peer_tells_total: bool = False  # of the whole model: both are divided by the operators of our graph


GROUPS = {
    "graph": Group("graph", "ns/node", rows=("graph_",), scripts={"fx.py": FX}),
    "passes": Group("passes", "ns/node",
                    rows=("cse_", "dce_", "canonicalize_", "fifty_rules_", "sort_", "sink_", "hoist_", "split_", "verify_", "hash_",
                          "print_", "diff_", "edit", "pipeline_"),
                    units={"edit": "ns/edit", "pipeline_": "ns/pass"}, twins={("by_hand_", "pipeline_"): BY_HAND},
                    scripts={"mlir.py": MLIR, "fx_passes.py": FX, "onnx_optimizer.py": ONNX},
                    peers={"jit_passes": JIT_PASSES}, writes_files=True),
    "tracing": Group("tracing", "ns/operator", rows=("export_program_", "export_cold_", "record_"),
                     twins={("jit_trace_", "export_program_"): JIT, ("jit_trace_", "record_"): JIT},
                     scripts={"torch_export.py": EXPORT}, peer_tells_total=True),
    "archive": Group("archive", "us/node", 1e-3, rows=("save_", "load_"), units={"save_weight": "us", "load_weight": "us"},
                     scripts={"torch_archive.py": EXPORT}, writes_files=True),
    "rules": Group("rules", "ns/call", rows=("rule_",), twins={("meta_kernel_", "rule_"): META},
                   scripts={"fake_tensor.py": FAKE}),
    "fusion": Group("fusion", "ms/run", 1e-6, rows=("fused_",), twins={("unfused_", "fused_"): "unfused"}),
    "compile": Group("", "s"),
}


# What is to reach: a row's pattern, what is compared, and the limit. `ours` is in the row's unit.
@dataclass
class Target:
    row: str
    text: str
    reached: object  # function of a row


def peer_ratio(name, least):
    return lambda row: row["peers"][name] / row["ours"] >= least if name in row["peers"] else None


def all_of(*conditions):
    def reached(row):
        found = [c(row) for c in conditions]
        return False if False in found else None if None in found else True
    return reached


TARGETS = [
    Target(r"cse_random 100000$", "10x MLIR, 20x torch::jit", all_of(peer_ratio(MLIR, 10), peer_ratio(JIT_PASSES, 20))),
    Target(r"dce_random 100000$", "100x torch::jit", peer_ratio(JIT_PASSES, 100)),
    Target(r"canonicalize_random 100000$", "5x MLIR", peer_ratio(MLIR, 5)),
    Target(r"fifty_rules_pairs\b", "2 M nodes/s: 500 ns", lambda row: row["ours"] <= 500),
    Target(r"pipeline_trivial\b", "the loop by hand, 5 % more", peer_ratio(BY_HAND, 1 / 1.05)),
    Target(r"graph_iterate\b", "200 M nodes/s: 5 ns", lambda row: row["ours"] <= 5),
    Target(r"graph_create\b", "10 M nodes/s: 100 ns", lambda row: row["ours"] <= 100),
    Target(r"record_mlp\b", "4x the JIT tracer", peer_ratio(JIT, 4)),
    Target(r"export_program_\w+\b", "300x Python", peer_ratio(EXPORT, 300)),
    Target(r"(save|load)_mlp\b", "100x Python", peer_ratio(EXPORT, 100)),
    Target(r"slope of export_program_mlp", "<= 1.05", lambda row: row["ours"] <= 1.05),
    Target(r"flatness of \w+", "<= 2", lambda row: row["ours"] <= 2),
] + [Target(re.escape(r.name) + "$", r.text, r.reached) for r in compile_time.TARGETS]


# --- measuring --------------------------------------------------------------------------------------------------------

def say(text):
    print(text, file=sys.stderr, flush=True)


def run_program(path, quick, repetitions=7):
    """{benchmark: (nanoseconds an item, counters)}, medians. Nothing of a program that fails."""
    command = [str(path), "--benchmark_format=json", f"--benchmark_repetitions={3 if quick else repetitions}",
               "--benchmark_report_aggregates_only=true", "--benchmark_min_time=" + ("0.02" if quick else "0.1")]
    if quick:  # leave out what takes seconds
        command.append("--benchmark_filter=-/(1000000|10000000)(/iterations:1)?$")
    done = subprocess.run(command, stdout=subprocess.PIPE, env=single_threaded())
    if done.returncode != 0:
        say(f"run.py: {path.name} failed; its rows are left out")
        return {}
    out = {}
    for b in json.loads(done.stdout)["benchmarks"]:
        if b.get("error_occurred"):
            raise SystemExit(f"run.py: {path.name}: {b['name']}: {b['error_message']}")
        if b.get("aggregate_name") == "median":
            out[b["run_name"]] = (1e9 / b["items_per_second"], b)
    return out


def single_threaded():
    return dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")


def run_script(name, quick, folder):
    command = [sys.executable, str(PEERS / name), *(["--quick"] if quick else []), *(["--folder", folder] if folder else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=single_threaded())
    if done.returncode != 0:
        say(f"run.py: {name} failed; its peers are left out\n" + done.stderr.strip()[-800:])
    elif done.stderr.strip():
        say(f"run.py: {name}: {done.stderr.strip()[-800:]}")
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {(r["bench"], r["size"]): r for r in rows}


def split_name(name):
    bench, _, size = name.partition("/")
    return bench, size.split("/")[0]


def measure(group, programs, quick):
    rows, items = {}, {}
    path = programs / f"bench_{group.program}"
    if not path.is_file():
        say(f"run.py: there is no {path}: these rows are left out (LibTorch was not found when it was configured?)")
        return []
    say(f"run {path.name}")
    found = run_program(path, quick)
    copied_byte = found.get("copy_bandwidth", (None,))[0]  # nanoseconds to read and to write one
    for name, (ns, b) in found.items():
        bench, size = split_name(name)
        if bench.startswith(group.rows):
            unit = next((u for prefix, u in group.units.items() if bench.startswith(prefix)), group.unit)
            rows[bench, size] = row = {"bench": bench, "size": size, "unit": unit, "ours": ns * group.scale, "peers": {}}
            if copied_byte and "touched_bytes" in b:
                row["limit"] = b["touched_bytes"] * copied_byte / 2 * group.scale
            items[bench, size] = b.get("operators", 1)
            if "bytes_per_node" in b:
                row["bytes_per_node"] = b["bytes_per_node"]
            if "calls_left" in b:
                row["calls_left"] = {"ours": int(b["calls_left"])}
    for (theirs, ours), peer in group.twins.items():
        for name, (ns, _) in found.items():
            bench, size = split_name(name)
            row = rows.get((ours + bench.removeprefix(theirs), size)) if bench.startswith(theirs) else None
            if row:
                row["peers"][peer] = ns * group.scale
    for program, peer in group.peers.items():
        if not (programs / f"bench_{program}").is_file():
            say(f"run.py: there is no {programs / f'bench_{program}'}: {peer} is left out")
            continue
        say(f"run bench_{program}")
        for name, (ns, b) in run_program(programs / f"bench_{program}", quick, 3).items():
            if row := rows.get(split_name(name)):
                row["peers"][peer] = ns * group.scale
                if "calls_left" in b:
                    row["calls_left"][peer] = int(b["calls_left"])
    with tempfile.TemporaryDirectory() as folder:
        if group.writes_files:
            subprocess.run([str(path), "--write", folder], check=True)
        for script, peer in group.scripts.items():
            say(f"run peers/{script}")
            for key, told in run_script(script, quick, folder if group.writes_files else None).items():
                if row := rows.get(key):
                    row["peers"][peer] = told["value"] * group.scale / (items[key] if group.peer_tells_total else 1)
                    if "calls_left" in told:
                        row["calls_left"][peer] = told["calls_left"]
    return list(rows.values())


# --- what follows from the rows ----------------------------------------------------------------------------------------

def by_size(rows, bench):
    return sorted((int(r["size"]), r["ours"]) for r in rows if r["bench"] == bench)


def slope(points):
    """Of log(time) over log(size), least squares; a point is (size, time an item)."""
    x = [math.log(n) for n, _ in points]
    y = [math.log(n * t) for n, t in points]
    mx, my = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mx) * (b - my) for a, b in zip(x, y)) / sum((a - mx) ** 2 for a in x)


def derived(rows):
    out = []
    for bench in ("export_program_mlp", "export_cold_mlp", "export_program_transformer", "record_mlp"):
        points = by_size(rows, bench)
        if len(points) > 1:
            peers = {}
            for peer in (JIT, EXPORT):
                p = [(int(r["size"]), r["peers"][peer]) for r in rows if r["bench"] == bench and peer in r["peers"]]
                if len(p) > 1:
                    peers[peer] = slope(p)
            out.append({"bench": f"slope of {bench}", "size": f"{points[0][0]}..{points[-1][0]}", "unit": "log-log",
                        "ours": slope(points), "peers": peers})
    for bench in ("graph_create", "graph_iterate", "graph_operands", "graph_clone", "graph_erase", "cse_randoms", "dce_randoms",
                  "canonicalize_randoms", "fifty_rules_pairs", "load_weight_unread"):
        points = by_size(rows, bench)
        if len(points) > 1:
            times = [t for _, t in points]
            out.append({"bench": f"flatness of {bench}", "size": f"{points[0][0]}..{points[-1][0]}", "unit": "max/min",
                        "ours": max(times) / min(times), "peers": {}})
    sizes = [(r["size"], r["bytes_per_node"]) for r in rows if r["bench"] == "graph_create"]
    out += [{"bench": "graph memory", "size": s, "unit": "bytes/node", "ours": b, "peers": {}} for s, b in sizes]
    for r in rows:
        r.pop("bytes_per_node", None)
    return out


# --- showing ------------------------------------------------------------------------------------------------------------

def number(x):
    if x == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(x))))
    return f"{x:,.{digits}f}"


def target_of(row):
    """(text, True, False or None where the peer was not measured)"""
    for t in TARGETS:
        if re.match(t.row, f"{row['bench']} {row['size']}".strip()):
            return t.text, t.reached(row)
    return "", None


def calls_left(counts):
    """Ours, and the peers that leave another number of calls."""
    others = [f"{k} {n:,}" for k, n in counts.items() if n != counts["ours"]]
    return ", ".join([f"{counts['ours']:,}", *others])


def table(rows):
    head = ["bench", "size", "unit", "ours", "limit", "peers", "ratio", "calls left", "target", "reached"]
    lines = [head]
    for r in rows:
        text, reached = target_of(r)
        compared = r["unit"] not in ("log-log", "max/min", "MB", "bytes/node")
        lines.append([r["bench"], r["size"], r["unit"], number(r["ours"]), number(r["limit"]) if "limit" in r else "",
                      ", ".join(f"{k} {number(v)}" for k, v in r["peers"].items()),
                      ", ".join(number(v / r["ours"]) + "x" for v in r["peers"].values()) if compared else "",
                      calls_left(r["calls_left"]) if "calls_left" in r else "",
                      text, {True: "yes", False: "NO", None: "" if not text else "not measured"}[reached]])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    numeric = {3, 4, 6}
    out = ["| " + " | ".join(c.rjust(w) if i in numeric else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths))) + " |"
           for line in lines]
    rule = ["-" * (w - 1) + ":" if i in numeric else "-" * w for i, w in enumerate(widths)]
    out.insert(1, "| " + " | ".join(rule) + " |")
    return "\n".join(out)


def earlier(path):
    """The rows that an earlier run wrote; none of those that do not tell their group."""
    if not path.is_file():
        return []
    return [r for r in json.loads(path.read_text()) if r.get("group") in GROUPS]


def write(rows, path):
    """The file is there whole, whenever the run is stopped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(rows, indent=1) + "\n")
    part.replace(path)
    say(f"written: {path}, and {plot.write(rows, path.parent)} plots beside it")


def main():
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=Path, default=ROOT / "build-release/bench", help="folder of the programs bench_NAME")
    parser.add_argument("--out", type=Path, default=ROOT / "build/bench/results.json", help="the rows as JSON")
    parser.add_argument("--only", action="append", choices=sorted(GROUPS), help="this group alone (may be repeated)")
    parser.add_argument("--quick", action="store_true", help="small sizes and few repetitions: minutes become seconds")
    args = parser.parse_args()

    kept = earlier(args.out) if args.only else []
    measured = []
    for name, group in GROUPS.items():
        if args.only and name not in args.only:
            continue
        rows = compile_time.measure(args.quick, say) if name == "compile" else measure(group, args.programs, args.quick)
        if not rows:
            continue
        rows += derived(rows)
        print(table(rows) + "\n", flush=True)
        measured += [{"group": name, **r} for r in rows]
        done = {r["group"] for r in measured}
        write(sorted(measured + [r for r in kept if r["group"] not in done], key=lambda r: list(GROUPS).index(r["group"])), args.out)
    if not measured:
        sys.exit("run.py: nothing was measured; build the programs first: ./dev bench")
    missed = [r["bench"] for r in measured if target_of(r)[1] is False]
    print(f"{len(measured)} rows; targets missed: {len(missed)}" + "".join("\n  " + m for m in missed))


if __name__ == "__main__":
    main()
