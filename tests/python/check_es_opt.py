#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Drives es-opt over all of its options, right and wrong ones: exit status, what is printed where, and that the outputs it
saves are those that Python computes on the same inputs.

usage: check_es_opt.py ES_OPT CORPUS MY_OPT   (CORPUS: the folder that tests/corpus/make_corpus.py fills)"""

import argparse
import hashlib
import json
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile

import torch
from torch._higher_order_ops.associative_scan import associative_scan
from torch.export.pt2_archive._package import load_pt2, package_pt2

import programs

ERROR_OF_OWN = re.compile(r"\Amy-opt: the pass changes the results: output 0 is .* \(at pass 'gelu-tanh', stage 3 of .*: first at node '\w+', ")
ERROR = re.compile(r"\A(?:es|my)-opt: .+ \(at .+\); .+\n\Z|\A(?:es|my)-opt: [^\n]+; [^\n]+\n\Z")


class Checks:
    def __init__(self, es_opt, corpus, folder):
        self.es_opt, self.corpus, self.folder = es_opt, corpus, folder
        self.passed = self.failed = 0

    def run(self, *arguments):
        return subprocess.run([str(self.es_opt), *map(str, arguments)], capture_output=True, text=True, cwd=self.folder)

    def expect(self, what, condition, detail=""):
        self.passed += bool(condition)
        self.failed += not condition
        if not condition:
            print(f"FAIL {what}" + (f"\n     {detail}" if detail else ""), flush=True)
        return condition

    def works(self, *arguments, stderr=""):
        done = self.run(*arguments)
        what = "es-opt " + " ".join(map(str, arguments))
        self.expect(f"{what}: status 0", done.returncode == 0, done.stderr)
        if stderr is not None:
            self.expect(f"{what}: nothing on stderr", done.stderr == stderr, done.stderr)
        return done.stdout if stderr is not None else done.stderr

    def refused(self, *arguments, says):
        """Status other than 0; one line on stderr, with the cause and, after a semicolon, a cure."""
        done = self.run(*arguments)
        what = "es-opt " + " ".join(map(str, arguments))
        self.expect(f"{what}: a status that is not 0", done.returncode not in (0, -6, -11), str(done.returncode))
        self.expect(f"{what}: one line with a cure on stderr", ERROR.match(done.stderr), repr(done.stderr))
        self.expect(f"{what}: says '{says}'", says in done.stderr, repr(done.stderr))

    def model(self, name):
        own = self.folder / name
        return own if own.exists() else self.corpus / name


def check_printing(c):
    mlp = c.model("mlp/model.pt2")
    usage = c.works("--help")
    for option in ("--passes", "--print", "--text", "--dot", "--inspect", "--verify", "--run", "--save-outputs", "--timing", "-o", "--list",
                   "--diff", "--html", "--cpp", "--model-explorer", "--verify-each", "--validate", "--bisect", "--print-after", "--reproducer",
                   "--run-reproducer", "--stats", "--remarks", "--model", "--tolerance", "--validate-nodes", "--print-after-failure"):
        c.expect(f"--help tells of {option}", option in usage)
    c.expect("-h is --help", c.works("-h") == usage)
    c.expect("--print reads like Python", "torch.ops.aten.linear.default(input, p_0_weight, p_0_bias)" in c.works(mlp, "--print"))
    text = c.works(mlp, "--text")
    c.expect("--text is the textual form", "aten.linear.default(%input, %p_0_weight, %p_0_bias)" in text, text)
    dot = c.works(mlp, "--dot")
    c.expect("--dot is Graphviz", dot.startswith("digraph") and dot.rstrip().endswith("}") and "->" in dot)
    about = c.works(mlp, "--inspect")
    c.expect("--inspect tells kind, producer and sizes", all(w in about for w in ("kind:", torch.__version__.split("+")[0], "schema", "nodes", "weights:")), about)
    c.expect("--verify says nothing of a good file", c.works(mlp, "--verify") == "")
    c.expect("options may come before the file", c.works("--text", mlp) == text)
    both = c.works(mlp, "--text", "--print")
    c.expect("two forms at once", text in both and "torch.ops.aten.linear" in both)
    c.expect("without options nothing is printed", c.works(mlp) == "")


def check_passes(c):
    gpt = c.model("gpt_block/model_decomp.pt2")
    before = c.works(gpt, "--text")
    c.works(gpt, "--passes", "dce,cse,raise", "--verify", "-o", "passed.pt2")
    after = c.works("passed.pt2", "--text")
    c.expect("a pass changes the file", after != before)
    c.expect("the same passes print the same", c.works(gpt, "--passes", "dce,cse,raise", "--text") == after)
    c.expect("passes find nothing the second time", c.works("passed.pt2", "--passes", "dce,cse,raise", "--text") == after)
    inputs = programs.load_values(gpt.parent / "inputs.pt")
    results = programs.call(programs.load(c.folder / "passed.pt2"), inputs)
    wrong = programs.difference(results, programs.load_values(gpt.parent / "outputs.pt"), programs.TOLERANCE)
    c.expect("Python runs what the passes left", not wrong, str(wrong))
    times = c.works(gpt, "--passes", "dce,cse", "--verify", "--run", "--timing", "-o", "timed.pt2", stderr=None)
    for step in ("load", "verify", "pass dce", "pass cse", "run", "save"):
        c.expect(f"--timing tells of {step}", re.search(rf"^ *\d+\.\d+ ms  {step}$", times, re.M), times)
    c.works(gpt, "-o", "copy.pt2")
    c.works("copy.pt2", "-o", "copy2.pt2")
    digest = [hashlib.sha256((c.folder / f).read_bytes()).digest() for f in ("copy.pt2", "copy2.pt2")]
    c.expect("a copy of a copy is the same bytes", digest[0] == digest[1])
    c.works("copy.pt2", "-o", "copy.pt2")
    c.expect("a file may be written over itself", hashlib.sha256((c.folder / "copy.pt2").read_bytes()).digest() == digest[0])


def same_as_python(c, name, inputs, *arguments):
    """The outputs that es-opt saves are what Python computes on the same inputs."""
    model = c.model(name)
    c.works(model, "--run", *arguments, "--save-outputs", "out.pt")
    ours = torch.load(c.folder / "out.pt")
    theirs = programs.call(programs.load(model), inputs)
    wrong = programs.difference(ours, theirs, programs.TOLERANCE)
    c.expect(f"{name}: outputs are Python's", not wrong, str(wrong))
    c.expect(f"{name}: outputs are a list", isinstance(ours, list), str(type(ours)))


def check_running(c):
    torch.manual_seed(7)
    samples = programs.load_values(c.model("mlp/inputs.pt"))
    same_as_python(c, "mlp/model.pt2", samples)  # the archive's sample inputs
    given = {
        "mlp/model.pt2": [torch.randn(3, 8)],
        "mlp/model_dyn.pt2": [torch.randn(17, 8)],
        "conv_bn_train/model.pt2": [torch.randn(4, 3, 8, 8)],
        "numbers/model.pt2": [torch.randn(3, 2)],
        "item/model.pt2": [torch.randn(3, 4), torch.tensor(7)],
        "gpt_block/model_dyn.pt2": [torch.randint(50, (5, 9))],
        "cond/model.pt2": [-torch.randn(3, 6).abs()],
        "while_loop/model.pt2": [torch.rand(3), torch.tensor(100.0)],
        "map_scan/model_decomp.pt2": [torch.randn(5, 3), torch.randn(3)],
        "autocast/model.pt2": [torch.randn(2, 4)],
        "set_grad/model.pt2": [torch.randn(3, 5)],
        "dtypes/model.pt2": [torch.randn(4, 4)],
        "nested/model.pt2": programs.load_values(c.model("nested/inputs.pt")),
    }
    for name, inputs in given.items():
        torch.save(inputs, c.folder / "in.pt")
        same_as_python(c, name, inputs, "in.pt")
    torch.save(tuple(given["mlp/model.pt2"]), c.folder / "in.pt")
    same_as_python(c, "mlp/model.pt2", given["mlp/model.pt2"], "in.pt")  # a tuple will do
    shown = c.works(c.model("mlp/model.pt2"), "--run")
    c.expect("--run tells what came out", "f32[3, 4]" in shown, shown)


def check_watching(c):
    """Options that look at a pipeline while it runs."""
    gpt = c.model("gpt_block/model.pt2")
    names = re.findall(r"^(\w+): ", c.works("--list"), re.M)
    c.expect("--list names the passes", {"dce", "cse", "raise", "canonicalize"} <= set(names), str(names))
    c.expect("--list tells contracts", "establishes no_dead_code" in c.works("--list"))
    table = c.works("--list", "--markdown")
    c.expect("--list --markdown is the table of docs/passes.md", table in (pathlib.Path(__file__).parents[2] / "docs/passes.md").read_text(), table)
    c.expect("--help describes the passes", re.search(r"^  dce +erases what nobody uses$", c.works("--help"), re.M))
    c.works(gpt, "--passes", "lower_spellings", "-o", "lowered.pt2")
    shown = c.works("lowered.pt2", "--passes", "cse | raise | fix(cse | dce)", "--print-after-change", "--verify-each")
    c.expect("--print-after-change prints what changed", "after stage 2 'raise'" in shown and "torch.ops.aten" in shown, shown[:300])
    c.expect("... and nothing else", "after stage 1 'cse'" not in shown)
    c.expect("--print-after prints one", c.works("lowered.pt2", "--passes", "cse,raise", "--print-after", "raise").count("// -----") == 1)
    shown = c.works("lowered.pt2", "--passes", "raise", "--validate")
    c.expect("--validate tells the gap", re.search(r"^pass raise: the outputs are \S+ times the tolerance apart$", shown, re.M), shown)
    c.expect("... and how many nodes it compared", re.search(r"^  [1-9]\d* nodes compared by name, \d+ not, ", shown, re.M), shown)
    mutation = c.model("mutation/model.pt2")
    shown = c.works(mutation, "--passes", "unlift", "--validate")
    c.expect("--validate follows state that is written in place", "pass unlift: the outputs are 0 times" in shown, shown)
    half = "convert_dtype<f32, f16>"
    for name in ("mlp/model_decomp", "gpt_block/model_decomp"):
        shown = c.works(c.model(name + ".pt2"), "--passes", half, "--validate")
        c.expect(f"{name}: --validate judges by the coarser type", re.search(r"^pass convert_dtype: the outputs are 0\.\d+ times", shown, re.M), shown)
        shown = c.works(c.model(name + ".pt2"), "--passes", half, "--bisect")
        c.expect(f"{name}: --bisect too", "the check holds after every pass" in shown, shown)
    c.refused(c.model("mlp/model_decomp.pt2"), "--passes", "device_move<meta>", "--validate", says="which holds no numbers to compare")
    shown = c.works("lowered.pt2", "--passes", "raise,dce", "--bisect")
    c.expect("--bisect finds nobody guilty", "the check holds after every pass" in shown, shown)
    mlp = c.model("mlp/model_decomp.pt2")
    shown = c.works(mlp, "--passes", "constant_fold<parameters> | dce", "--stats", "--validate", "--verify-each", "-o", "folded.pt2")
    c.expect("--stats counts nodes and what passes did", re.match(r"\d+ nodes\ncount  pass .*\n +2  constant_fold  folded\n", shown), shown)
    c.expect("folding changes no bit", "pass constant_fold: the outputs are 0 times" in shown, shown)
    c.expect("--bisect follows inputs that change", "the check holds" in c.works(mlp, "--passes", "constant_fold<parameters>", "--bisect"))
    wide = c.works(mlp, "--passes", "convert_dtype<f32, f64>", "--run", "-o", "wide.pt2")
    c.expect("convert_dtype takes the example inputs along", "f64[3, 4]" in wide, wide)
    inputs = [x.double() if x.is_floating_point() else x for x in programs.load_values(mlp.parent / "inputs.pt")]
    wrong = programs.difference(programs.call(programs.load(c.folder / "wide.pt2"), inputs),
                                [x.double() for x in programs.load_values(mlp.parent / "outputs.pt")], programs.TOLERANCE)
    c.expect("Python runs the program of another type", not wrong, str(wrong))
    c.works(mlp, "--passes", "device_move<meta>", "--verify")
    c.refused(mlp, "--passes", "device_move", says="write device_move<cuda:0>")
    c.refused(mlp, "--passes", "constant_fold<everything>", says="choose among parameters")
    c.refused(mlp, "--passes", "constant_fold<max_bytes=many>", says="'max_bytes=many' needs a whole number (at column 1 of pipeline")
    c.refused(mlp, "--passes", "dce<3>", says="takes no arguments")
    report = c.works(mlp, "--passes", "split<aten.addmm, aten.permute, min_nodes=2, prefix=npu>", "--remarks", "-o", "cut.pt2")
    c.expect("--remarks prints the report of split", "Remark of pass split:\nRegions: " in report and "aten.relu.default" in report, report)
    wrong = programs.difference(programs.call(programs.load(c.folder / "cut.pt2"), programs.load_values(mlp.parent / "inputs.pt")),
                                programs.load_values(mlp.parent / "outputs.pt"), programs.TOLERANCE)
    c.expect("Python runs what split cut", not wrong, str(wrong))
    check_parts(c)
    c.refused(mlp, "--passes", "split", says="no operator is named (at column 1 of pipeline 'split': pass 'split'); write split<")
    c.refused(mlp, "--passes", "split<aten.adm>", says="ATen has no such operator")
    c.refused(mlp, "--remarks", says="without --passes")
    c.expect("--diff of a file with itself", c.works(gpt, "--diff", gpt) == "no difference\n")
    c.expect("--diff of two", re.search(r"^ *[-+<>] ", c.works(gpt, "--diff", "lowered.pt2"), re.M))
    c.refused(gpt, "--passes", "dce |", says="the name of a pass is missing")
    c.refused(gpt, "--passes", "fix(dce", says="')' is missing")
    c.refused(gpt, "--verify-each", says="without --passes")
    c.refused(gpt, "--passes", "dce", "--print-after", "fuse", says="no pass is called 'fuse'")
    c.refused(gpt, "--passes", "dce | sort", "--print-after", "cse", says="--print-after cse, which 'dce | sort' does not have")
    c.expect("--print-after finds what is in a part", "after stage 1 'cse'" in c.works(gpt, "--passes", "dce | fix(cse | dce)", "--print-after", "cse"))
    times = c.works("lowered.pt2", "--passes", "sort | fix(raise | dce)", "--timing", stderr=None)
    c.expect("--timing is a tree", re.search(r"ms  pass sort\n *\S+ ms  pass fix\n *\S+ ms    pass raise \(2 runs\)\n *\S+ ms    pass dce", times), times)
    for word, near in (("canonicalise", "'canonicalize'"), ("DCE", "'dce'"), ("constant-fold<parameters>", "'constant_fold'"),
                       ("fixx", "fix(...), or fix<N>(...)"), ("asume<functional>", "assume<PROPERTY>")):
        c.refused(gpt, "--passes", f"cse | {word}", says=f"; write {near}; es-opt --list lists the passes")
    c.refused(gpt, "--passes", "renamd<tidy>(cse)", says="; write renamed<NAME>(...)")
    c.refused(gpt, "--passes", "dce", "--print-after", "dcee", says="write 'dce'; es-opt --list lists the passes")
    c.refused(gpt, "--passes", "dce | quantise", says="no pass is called 'quantise' (at column 7 of pipeline 'dce | quantise'); es-opt --list lists the passes")
    c.refused(gpt, "--passes", "check<functionl>", says="; write 'functional'; es-opt --list lists the properties of each pass")
    c.refused(gpt, "--passes", "check<nonsense>", says="no pass speaks of a property 'nonsense' (at column 1 of pipeline 'check<nonsense>'); es-opt --list lists")
    c.refused(mlp, "--passes", "device_move<xla:0>", says="(at pass 'device_move', stage 1 of 'device_move<xla:0>': tensor '")
    c.expect("... in a sentence", len(c.run(mlp, "--passes", "device_move<xla:0>").stderr) < 300)
    done = c.run(c.model("mutation/model.pt2"), "--passes", "check<functional>", "--print-after-failure")
    c.expect("--print-after-failure prints what the failing pass left", done.returncode == 1 and "failed in stage 1 'check'" in done.stdout
             and "torch.ops.aten" in done.stdout, done.stdout)
    c.expect("... and nothing on success", c.works(mlp, "--passes", "dce", "--print-after-failure") == "")


def check_parts(c):
    """Passes on the subgraphs of a program, and on regions of it."""
    cond = c.model("cond/model.pt2")
    pipeline = "on_subgraphs(lower_spellings | cse)"
    c.works(cond, "--passes", pipeline, "--verify-each", "--validate", "-o", "parts.pt2")
    values = programs.load_values(cond.parent / "inputs.pt")
    wrong = programs.difference(programs.call(programs.load(c.folder / "parts.pt2"), values), programs.call(programs.load(cond), values), programs.TOLERANCE)
    c.expect("Python runs what was done to subgraphs", not wrong, str(wrong))
    gpt = c.model("gpt_block/model_decomp.pt2")
    c.works(gpt, "--passes", "lower_spellings", "-o", "spelt.pt2")
    both = [c.works("spelt.pt2", "--passes", p, "--text") for p in ("raise", "on_regions<aten.*>(raise)", "on_regions<aten.relu>(raise)")]
    c.expect("a pass on regions changes what they hold", both[0] != both[2] and both[1] != both[2])
    c.works("spelt.pt2", "--passes", "on_regions<aten.*, not:aten.embedding, min_nodes=2>(raise | cse) | dce", "--verify", "--verify-each", "--validate",
            "-o", "parts.pt2")
    values = programs.load_values(gpt.parent / "inputs.pt")
    wrong = programs.difference(programs.call(programs.load(c.folder / "parts.pt2"), values), programs.load_values(gpt.parent / "outputs.pt"), programs.TOLERANCE)
    c.expect("Python runs what was done to regions", not wrong, str(wrong))
    shown = c.works("spelt.pt2", "--passes", "on_regions<aten.*>(raise)", "--bisect")
    c.expect("--bisect judges parts by the whole", "the check holds after every pass" in shown, shown)
    for name in ("constant_fold", "convert_dtype<f32, f16>", "rename_placeholders"):
        text = f"dce | on_subgraphs(cse | {name})"
        c.refused(cond, "--passes", text, says=f"pass '{name.split('<')[0]}' takes a whole program, of which a subgraph or a region has only nodes "
                                               f"(at column 26 of pipeline '{text}'); run it outside of on_subgraphs(...)")
    c.refused(cond, "--passes", "on_subgraphs(unlift)", says="pass 'unlift' takes a whole program")
    c.refused(cond, "--passes", "on_regions(cse)", says="write on_regions<OPERATOR, ...>(...)")
    c.refused(cond, "--passes", "when(cse)", says="'when(' takes more than a name can say")


def check_own(c):
    """The es-opt of examples/my-opt: passes of one's own, which change the numbers; --validate and --bisect see it."""
    class Act(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lin, self.out = torch.nn.Linear(6, 6), torch.nn.Linear(6, 6)

        def forward(self, x):
            return self.out(torch.nn.functional.gelu(self.lin(x))), torch.relu(10 * x)

    torch.manual_seed(1)
    program = torch.export.export(Act(), (torch.randn(3, 6),))
    torch.export.save(program, c.folder / "act.pt2")
    c.expect("--list has both, with options and a description", all(w in c.works("--list") for w in (
        "gelu-tanh: takes GELU's approximation by tanh for the exact one", "cap-relu<[max=CAP]>: caps what a ReLU lets through")))
    c.expect("--help too", re.search(r"^  cap-relu +caps what a ReLU lets through$", c.works("--help"), re.M))
    c.works("act.pt2", "--passes", "gelu-tanh | cap-relu<max=4> | dce", "-o", "own.pt2")
    x = torch.randn(5, 6)[:3]
    y, z = programs.call(programs.load(c.folder / "own.pt2"), [x])
    was, z_was = programs.call(program, [x])
    c.expect("its passes do what they say", 0 < (y - was).abs().max() < 1e-2 and torch.equal(z, z_was.clamp(max=4)) and z_was.max() > 4)
    c.refused("act.pt2", "--passes", "cap-relu<least=4>", says="'least=4' is no option of it (at column 1 of pipeline 'cap-relu<least=4>': pass 'cap-relu'); write")

    done = c.run("act.pt2", "--passes", "cse | cap-relu<max=1e9> | gelu-tanh | dce", "--validate")
    c.expect("--validate sees that numbers change", done.returncode == 1 and ERROR_OF_OWN.match(done.stderr), done.stderr)
    c.expect("... and tells the pass that keeps them", "pass cap-relu: the outputs are 0 times" in done.stdout, done.stdout)
    gaps = re.search(r"^pass gelu-tanh: .*\n  \d+ nodes compared by name, \d+ not, (\d+) differ:\n((?:  \w+: \S+\n)+)", done.stdout, re.M)
    c.expect("... and the gap of each node", gaps, done.stdout)
    if gaps:
        worst = re.findall(r"  (\w+): (\S+)\n", gaps[2])
        c.expect("... the worst first", [float(g) for _, g in worst] == sorted((float(g) for _, g in worst), reverse=True), gaps[2])
        c.expect("... of what hangs on it alone", {"linear_1"} <= {n for n, _ in worst} <= {"gelu", "linear_1"}, gaps[2])
        c.expect("... all that differ", len(worst) == int(gaps[1]), gaps[0])
    done = c.run("act.pt2", "--passes", "gelu-tanh", "--validate", "--validate-nodes", "0")
    c.expect("--validate-nodes limits them", re.search(r"^  and \d nearer ones \(--validate-nodes all\)$", done.stdout, re.M), done.stdout)
    c.expect("--tolerance lets it through", "pass gelu-tanh: the outputs are 0." in c.works("act.pt2", "--passes", "gelu-tanh", "--validate", "--tolerance", "0.1"))
    c.expect("... or nothing", c.run("act.pt2", "--passes", "gelu-tanh", "--validate", "--tolerance", "0,1e-9").returncode == 1)
    shown = c.works("act.pt2", "--passes", "cse | cap-relu<max=1e9> | gelu-tanh | dce", "--bisect")
    c.expect("--bisect finds the pass and the rewrite", shown == "pass 'gelu-tanh' at position 3, rule 'gelu-tanh', rewrite 2\n", shown)
    shown = c.works("act.pt2", "--passes", "cse | fix(cap-relu<max=2> | dce)", "--bisect")
    c.expect("... in a part of the pipeline", shown == "pass 'cap-relu' at position 1, rule 'cap-relu', rewrite 1\n", shown)
    c.expect("... and nobody with a tolerance", "the check holds" in c.works("act.pt2", "--passes", "gelu-tanh", "--bisect", "--tolerance", "0.1"))
    torch.save([torch.full((3, 6), -9.0)], c.folder / "negative.pt")
    c.expect("... or on other inputs", c.works("act.pt2", "--passes", "cap-relu<max=2>", "--bisect", "--run", "negative.pt").startswith("the check holds"))


def check_models(c):
    """An archive of several models: all actions work on the one that is named, and a save keeps the others."""
    mlp, gpt = c.model("mlp/model.pt2"), c.model("gpt_block/model.pt2")
    small, large = programs.load(mlp), programs.load(gpt)
    package_pt2(c.folder / "two.pt2", exported_programs={"small": small, "large": large},
                extra_files={"note.txt": "kept"})
    for arguments in ((), ("--text",), ("--inspect", "--verify"), ("--run",), ("-o", "out.pt2")):
        c.refused("two.pt2", *arguments, says="the archive holds several programs: small, large (at two.pt2); name one of them: --model NAME")
    for arguments in (("--text",), ("--inspect",)):
        c.refused("two.pt2", "--model", "tiny", *arguments, says="no program 'tiny', but: small, large (at two.pt2); name one of them: --model NAME")
    c.refused(mlp, "--model", "tiny", says="no program 'tiny', but: model")
    texts = {}
    for name, program in (("small", small), ("large", large)):
        torch.export.save(program, c.folder / "alone.pt2")
        texts[name] = c.works("alone.pt2", "--text")
        c.expect(f"--model {name} is printed", c.works("two.pt2", "--model", name, "--text") == texts[name])
    c.expect("--diff takes the model of that name", c.works("two.pt2", "--model", "large", "--diff", "two.pt2") == "no difference\n")
    c.expect("--diff takes the only model", c.works("two.pt2", "--model", "large", "--diff", gpt) == "no difference\n")
    c.refused(mlp, "--diff", "two.pt2", says="name one of them: --model NAME")

    values = programs.load_values(mlp.parent / "inputs.pt")
    torch.save(values, c.folder / "in.pt")
    c.works("two.pt2", "--model", "small", "--run", "in.pt", "--save-outputs", "out.pt")
    wrong = programs.difference(torch.load(c.folder / "out.pt"), programs.call(small, values), programs.TOLERANCE)
    c.expect("--model small is run", not wrong, str(wrong))

    c.works("two.pt2", "--model", "small", "--passes", "lower_spellings", "--verify", "-o", "lowered.pt2")
    after = load_pt2(c.folder / "lowered.pt2")
    c.expect("Python finds both models", sorted(after.exported_programs) == ["large", "small"], str(list(after.exported_programs)))
    c.expect("... and the user's file", after.extra_files == {"note.txt": "kept"}, str(after.extra_files))
    c.expect("the named one changed", "aten.addmm" in str(after.exported_programs["small"].graph))
    c.expect("the other one did not", c.works("lowered.pt2", "--model", "large", "--text") == texts["large"])
    for name, folder, program in (("small", mlp.parent, small), ("large", gpt.parent, large)):
        values = programs.load_values(folder / "inputs.pt")
        wrong = programs.difference(programs.call(after.exported_programs[name], values), programs.call(program, values), programs.TOLERANCE)
        c.expect(f"Python runs '{name}' of the copy", not wrong, str(wrong))


def check_reproducers(c):
    """What a failing pass was given is kept with the rest of the pipeline, Python can load it, and it fails in the same way."""
    model = c.model("mutation/model.pt2")  # writes to a buffer: not functional
    pipeline = "cse | dce | check<functional> | sort"
    c.refused(model, "--passes", pipeline, "--verify-each", "--reproducer", "broken.pt2", says="es-opt broken.pt2 --run-reproducer")
    c.refused("broken.pt2", "--run-reproducer",
              says="does not have the property 'functional' (at pass 'check', stage 1 of 'check<functional> | sort': check<functional>)")
    about = {"espalier_reproducer.json": ""}
    loaded = torch.export.load(str(c.folder / "broken.pt2"), extra_files=about)
    c.expect("Python loads a reproducer", len(list(loaded.graph.nodes)) == len(list(programs.load(model).graph.nodes)))
    about = json.loads(about["espalier_reproducer.json"])
    c.expect("the record tells what ran", (about["pipeline"], about["position"], about["verify_each"]) == ("check<functional> | sort", 2, True), str(about))
    c.works(model, "--passes", "cse | dce", "--reproducer", "none.pt2")
    c.expect("success leaves no reproducer", not list(c.folder.glob("*none.pt2*")))
    c.refused(model, "--passes", pipeline, "--reproducer", "no/such/folder/r.pt2", says="no reproducer could be written")
    c.refused(model, "--run-reproducer", says="holds no pipeline to run")
    c.refused("broken.pt2", "--run-reproducer", "--passes", "dce", says="give one of them")
    c.refused(model, "--reproducer", "r.pt2", says="without --passes")
    c.refused(model, "--passes", "canonicalize | check<functional>", "--reproducer", "half.pt2", says="es-opt half.pt2 --run-reproducer")
    record = c.folder / "half.pt2"
    edit(record, "extra/espalier_reproducer.json", lambda text: text.replace("check<functional>", "dce"))
    c.works(record, "-o", "kept.pt2")
    c.works("kept.pt2", "--run-reproducer", "-o", "done.pt2")
    c.refused("done.pt2", "--run-reproducer", says="holds no pipeline to run")  # what came out is no reproducer


def edit(path, record, change):
    """Changes the text of one record of an archive."""
    with zipfile.ZipFile(path) as archive:
        records = [(entry, archive.read(entry)) for entry in archive.namelist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in records:
            if name.endswith("/" + record):
                old, data = data, change(data.decode()).encode()
                assert old != data, f"nothing of {record} was changed"
            archive.writestr(name, data)


WRAPPER = """
#include <torch/library.h>
static std::vector<at::Tensor> call_NAME(std::vector<at::Tensor> inputs) {
  std::vector<c10::IValue> values(inputs.begin(), inputs.end());
  std::vector<at::Tensor> out;
  for (auto& v : NAME(values))
    out.push_back(v.toTensor());
  return out;
}
TORCH_LIBRARY(printed_NAME, m) { m.def("call(Tensor[] inputs) -> Tensor[]", &call_NAME); }
"""


def check_viewers(c):
    """The graph as a page (which check_html.py opens in a browser), and as Model Explorer's JSON."""
    gpt = c.model("gpt_block/model.pt2")
    nodes = sum("getitem" not in str(n.target) for n in programs.load(gpt).graph.nodes)  # ours have results instead
    c.works(gpt, "--html", "gpt.html", "--model-explorer", "gpt.json")
    page = (c.folder / "gpt.html").read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    c.expect("--html holds every node", len(data["sides"][0]["graphs"][0]["nodes"]) == nodes)
    c.expect("--html refers to nothing outside", "http" not in page.replace("http-equiv", ""))
    graph = json.loads((c.folder / "gpt.json").read_text())["graphs"][0]
    c.expect("--model-explorer holds every node", len(graph["nodes"]) == nodes)


# Programs whose printed C++ is compiled and run, on all inputs that the corpus has for them: both branches, no step and many.
PRINTED = ("mlp/model", "gpt_block/model_decomp", "cond/model_dyn", "nested_cond/model_dyn", "while_loop/model", "map_scan/model",
           "set_grad/model", "autocast/model", "running/model")


class Running(torch.nn.Module):
    """Of the models that are printed, one that the corpus has not."""

    def forward(self, x, y):
        return associative_scan(lambda a, b: (a[0] * b[0] + a[0] + b[0], a[1] + b[1]), (x, y), 0, combine_mode="pointwise")


def save_running(folder):
    folder.mkdir()
    inputs = torch.randn(5, 3), torch.randn(5, 3)
    torch.export.save(torch.export.export(Running(), inputs, strict=False), folder / "model.pt2")
    torch.save(list(inputs), folder / "inputs.pt")


def check_cpp(c):
    root = pathlib.Path(torch.__file__).parent
    text = ""
    save_running(c.folder / "running")
    c.expect("the printed C++ has an associative_scan", "associative_scan" in c.works("running/model.pt2", "--text"))
    for name in PRINTED:
        c.works(c.model(name + ".pt2"), "--cpp", "printed.cpp")
        word = name.split("/")[0]
        text += re.sub(r"\bforward\(", f"{word}(", (c.folder / "printed.cpp").read_text()) + WRAPPER.replace("NAME", word)
    source, library = c.folder / "printed.cpp", c.folder / "printed.so"
    source.write_text(text)
    built = subprocess.run(["g++", "-std=c++20", "-O0", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-isystem", f"{root}/include",
                            "-isystem", f"{root}/include/torch/csrc/api/include", str(source), "-o", str(library), f"-L{root}/lib",
                            "-ltorch_cpu", "-lc10"], capture_output=True, text=True)
    if not c.expect("the printed C++ compiles", built.returncode == 0, built.stderr[:2000]):
        return
    torch.ops.load_library(str(library))
    for name in PRINTED:
        model = c.model(name + ".pt2")
        program = programs.load(model)
        function = getattr(torch.ops, f"printed_{name.split('/')[0]}").call
        more = sorted(model.parent.glob("inputs_dyn*.pt")) if name.endswith("_dyn") else []
        c.expect(f"{name}: the corpus has further inputs", more or not name.endswith("_dyn"))
        for values in [model.parent / "inputs.pt", *more]:
            inputs = programs.load_values(values)
            given, rest = [], iter(inputs)
            for spec in program.graph_signature.input_specs:
                given.append(next(rest) if spec.kind.name == "USER_INPUT" else program.state_dict[spec.target]
                             if spec.target in program.state_dict else program.constants[spec.target])
            wrong = programs.difference(list(function(given)), programs.call(program, inputs), programs.TOLERANCE)
            c.expect(f"{name}, {values.name}: the printed C++ computes what Python computes", not wrong, str(wrong))


def check_refusals(c):
    mlp = c.model("mlp/model.pt2")
    c.refused(says="no input file")
    c.refused(mlp, "--nonsense", says="unknown option --nonsense")
    c.refused(mlp, mlp, says="a second input file")
    c.refused(mlp, "--passes", says="--passes needs a value")
    c.refused(mlp, "--passes", "dce,fuse", says="no pass is called 'fuse'")
    c.refused(mlp, "-o", says="-o needs a value")
    c.refused(mlp, "--run", "--save-outputs", says="--save-outputs needs a value")
    c.refused(mlp, "--save-outputs", "x.pt", says="--save-outputs without --run")
    for option in ("--html", "--cpp", "--passes", "-o", "--print-after", "--tolerance"):
        c.refused(mlp, "--passes", "dce", option, "a.x", option, "b.x", says=f"option {option} is given twice")
    c.refused(mlp, "--run", "--run", says="option --run is given twice")
    c.refused(mlp, "--cpp", "x.txt", "--html", "./x.txt", says="--html and --cpp write the same file: x.txt")
    c.refused(mlp, "-o", "x.pt2", "--run", "--save-outputs", c.folder / "x.pt2", says="--save-outputs and -o write the same file")
    shutil.copy(mlp, c.folder / "mine.pt2")
    c.refused("mine.pt2", "--html", "mine.pt2", says="--html writes over a file that is read: mine.pt2")
    c.refused(mlp, "--diff", "mine.pt2", "--html", "./mine.pt2", says="--html writes over a file that is read")
    c.expect("none of them wrote", not [f for f in ("a.x", "b.x", "x.txt", "x.pt2") if (c.folder / f).exists()])
    c.works(mlp, "--cpp", "/dev/null", "--html", "/dev/null")
    for bad in ("x", "1e-3,", "nan", "1,2,3"):
        c.refused(mlp, "--passes", "dce", "--validate", "--tolerance", bad, says=f"'{bad}' is no tolerance")
    c.refused(mlp, "--passes", "dce", "--tolerance", "1", says="--tolerance without --validate or --bisect")
    c.refused(mlp, "--passes", "dce", "--validate", "--validate-nodes", "some", says="'some' is no number of nodes")
    c.refused(mlp, "--passes", "dce", "--validate-nodes", "5", says="--validate-nodes without --validate")
    c.refused(mlp, "--print-after-failure", says="without --passes")
    for option in ("--save-outputs", "-o", "--html", "--diff", "--cpp", "--model-explorer", "--reproducer", "--print-after", "--model", "--passes"):
        c.refused(mlp, "--run", "--passes", "dce", option, "", says=f"option {option} needs a value, and the one given is empty")
        c.refused(mlp, "--run", "--passes", "dce", option, "--print", says=f"option {option} needs a value, and '--print' is none")
    c.refused(mlp, "-o", "-", says="'-' is none")
    c.refused(mlp, "--run", "", says="option --run needs a value, and the one given is empty")
    c.refused("", mlp, says="an argument is empty")
    c.expect("nothing was written to a file named as an option", not list(c.folder.glob("-*")))
    c.works(mlp, "-o", "./--print")
    c.expect("... unless it was meant", (c.folder / "--print").exists())
    for arguments in ((mlp, "--print"), (mlp, "--inspect"), ("--help",), ("--list",)):
        with open("/dev/full", "w") as full:
            done = subprocess.run([str(c.es_opt), *map(str, arguments)], stdout=full, stderr=subprocess.PIPE, text=True, cwd=c.folder)
        c.expect(f"{arguments[-1]} into a full disk is an error", done.returncode == 1)
        c.expect("... of one line, with a cure", ERROR.match(done.stderr) and "cannot write to standard output" in done.stderr, repr(done.stderr))
    renamed = c.folder / "an-opt"
    renamed.symlink_to(c.es_opt)
    c.expect("usage has the name that was called", subprocess.run([renamed, "-h"], capture_output=True, text=True).stdout.startswith("usage: an-opt IN"))
    done = subprocess.run([renamed, "--nonsense"], capture_output=True, text=True)
    c.expect("errors have it too", done.stderr == "an-opt: unknown option --nonsense (at command line); an-opt --help lists the options\n", done.stderr)
    c.refused("absent.pt2", says="absent.pt2")
    c.refused(c.folder, says=str(c.folder))
    c.refused(mlp, "--run", "absent.pt", says="absent.pt")
    c.refused(mlp, "-o", "no/such/folder/x.pt2", says="no/such/folder")
    c.refused(mlp, "--run", "--save-outputs", "no/such/folder/x.pt", says="no/such/folder")
    c.refused(c.model("custom_operator/model.pt2"), "--run", says="espalier_corpus::shift_")
    c.refused(c.model("custom_operator/model_decomp.pt2"), "--run", says="espalier_corpus::shift_")

    torch.save({"x": torch.randn(3, 8)}, c.folder / "dict.pt")
    c.refused(mlp, "--run", "dict.pt", says="not a list")
    torch.save([torch.randn(3, 9)], c.folder / "wide.pt")
    c.refused(mlp, "--run", "wide.pt", says="dimension 1 of 'input' is 9, but the program was exported for 8")
    torch.save([torch.randn(3, 8)] * 2, c.folder / "two.pt")
    c.refused(mlp, "--run", "two.pt", says="takes 1")
    torch.save([torch.randn(40, 8)], c.folder / "many.pt")
    c.refused(c.model("mlp/model_dyn.pt2"), "--run", "many.pt", says="between 2 and 32")
    (c.folder / "text.pt").write_text("no pickle")
    c.refused(mlp, "--run", "text.pt", says="no zip archive (at text.pt: torch.save file); write it with torch.save(")
    torch.save([torch.randn(3, 8)], c.folder / "old.pt", _use_new_zipfile_serialization=False)
    c.refused(mlp, "--run", "old.pt", says="from before PyTorch 1.6 (at old.pt: torch.save file); save it again in Python: torch.save(torch.load(")

    misspelt = c.folder / "misspelt.pt2"
    shutil.copy(mlp, misspelt)
    edit(misspelt, "models/model.json", lambda text: text.replace("aten.linear.default", "aten.lineal.default"))
    c.refused(misspelt, "--verify", says="(at node 'linear' (aten::lineal)); write aten::linear, or")
    c.refused(misspelt, "-o", "misspelt2.pt2", says="ATen has no such operator")
    c.expect("what Python would not load is not saved", not (c.folder / "misspelt2.pt2").exists())
    c.expect("it can be looked at", "aten.lineal" in c.works(misspelt, "--text"))
    c.works(c.model("custom_operator/model.pt2"), "--verify")  # another namespace's

    whole = mlp.read_bytes()
    (c.folder / "cut.pt2").write_bytes(whole[: len(whole) // 2])
    c.refused("cut.pt2", says="cut.pt2")
    c.refused("cut.pt2", "--inspect", says="cut.pt2")
    (c.folder / "empty.pt2").write_bytes(b"")
    c.refused("empty.pt2", says="empty.pt2")
    (c.folder / "text.pt2").write_text("no archive")
    c.refused("text.pt2", says="text.pt2")
    torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.randn(2)), str(c.folder / "script.pt2"))
    c.refused("script.pt2", says="TorchScript")
    kept = c.folder / "kept.pt2"
    kept.write_bytes(whole)
    c.refused("cut.pt2", "-o", kept, says="cut.pt2")
    c.expect("a refused run leaves the old output whole", kept.read_bytes() == whole)


def check_whole_files(c):
    """What es-opt writes is there whole, or what was there before is."""
    mlp = c.model("mlp/model.pt2")

    def full():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    for option in ("--html", "--cpp", "--model-explorer", "--save-outputs", "-o"):
        old = c.folder / f"old{option}"
        arguments = (mlp, "--run", option, f"./{old.name}")
        old.write_text("what was there")
        files = sorted(c.folder.iterdir())
        done = subprocess.run([str(c.es_opt), *map(str, arguments)], capture_output=True, text=True, cwd=c.folder, preexec_fn=full)
        c.expect(f"{option} on a full disk is an error", done.returncode == 1 and "writing failed after" in done.stderr and ERROR.match(done.stderr), done.stderr)
        c.expect("... leaves the old file", old.read_text() == "what was there")
        c.expect("... and nothing beside it", sorted(c.folder.iterdir()) == files)
        c.refused(mlp, "--run", option, "/dev/full", says="No space left on device (at /dev/full)")
        c.refused(mlp, "--run", option, "no/such/folder/x", says="no/such/folder/x")
        c.works(*arguments)
        c.expect("... and replaces it where there is space", old.read_bytes() != b"what was there" and sorted(c.folder.iterdir()) == files)
    c.expect("a device takes what is written", c.works(mlp, "--cpp", "/dev/stdout") == (c.folder / "old--cpp").read_text())
    log = c.folder / "log.txt"
    log.write_text("before\n")
    with log.open("a") as to:
        done = subprocess.run([str(c.es_opt), str(mlp), "--text", "--cpp", "/dev/stdout"], stdout=to, stderr=subprocess.PIPE, text=True)
    c.expect("standard output that is a file keeps what others wrote there",
             log.read_text() == "before\n" + c.works(mlp, "--text") + (c.folder / "old--cpp").read_text(), done.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("es_opt", type=pathlib.Path)
    parser.add_argument("corpus", type=pathlib.Path)
    parser.add_argument("my_opt", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        c = Checks(options.es_opt.resolve(), options.corpus.resolve(), pathlib.Path(folder))
        for check in (check_printing, check_passes, check_running, check_watching, check_models, check_reproducers, check_viewers,
                      check_cpp, check_refusals, check_whole_files):
            check(c)
        c.es_opt = options.my_opt.resolve()
        check_own(c)
    print(f"{'FAIL' if c.failed else 'ok  '} es-opt: {c.passed} checks passed, {c.failed} failed")
    return 1 if c.failed or not c.passed else 0


if __name__ == "__main__":
    sys.exit(main())
