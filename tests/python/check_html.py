#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Opens the pages that es-opt --html writes in a headless browser, works on them as a reader would, and compares what is seen
with what Python's torch.export knows of the programs: rows, types of operands, modules, search, folding, links, and the marks of
two graphs side by side.

usage: check_html.py ES_OPT CORPUS   (CORPUS: the folder that tests/corpus/make_corpus.py fills)
Exits with 77, and says why, where no browser is installed."""

import html
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import torch

import programs

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless_shell")
SKIPPED = 77

# Appended to a page: works on it, and leaves what it saw as JSON in the document, which the browser then prints.
READER = """<script>
const rows = [...document.querySelectorAll(".row")], seen = {};
const visible = () => rows.filter(r => r.checkVisibility()).map(r => r.id);
const look = name => seen[name] = {rows: visible(), count: document.getElementById("count").textContent};
const write = text => { search.value = text; search.dispatchEvent(new Event("input")); };
const press = id => document.getElementById(id).click();
const modules = e => { const out = []; for (let d = e.closest("details"); d; d = d.parentElement.closest("details"))
  out.unshift(d.querySelector("summary").textContent); return out; };
seen.title = document.title;
seen.sides = [...document.querySelectorAll("section")].map(s => [...s.querySelectorAll("h2")].map(h => h.textContent));
seen.all = rows.map(r => ({id: r.id, name: r.querySelector(".name").textContent, op: r.querySelector(".op").textContent,
  type: [...r.children].filter(c => c.className == "type").map(c => c.textContent.slice(2)).join(""),
  operands: [...r.querySelectorAll("a")].map(a => [a.textContent, (a.nextSibling ? a.nextSibling.textContent : "").slice(2)]),
  modules: modules(r), mark: ["added", "removed", "modified"].filter(c => r.classList.contains(c)),
  color: getComputedStyle(r).backgroundColor}));
look("first");
for (const text of SEARCHES) { write(text); look("open " + text); }
write("");
press("fold");
look("folded");
for (const text of SEARCHES) { write(text); look("folded " + text); }
write("");
look("cleared");
press("unfold");
look("unfolded");
const inner = document.querySelector("details details") || document.querySelector("details");
if (inner) { inner.querySelector("summary").click(); look("one"); seen.inside = [...inner.querySelectorAll(".row")].map(r => r.id); }
press("fold");
const link = rows.map(r => r.querySelector("a")).filter(a => a).at(-1);
link.click();
seen.jump = {to: link.textContent.replace(/\\[.*/, ""), here: [...document.querySelectorAll(".here")].map(r =>
  [r.querySelector(".name").textContent, r.checkVisibility()])};
rows[0].click();
seen.more = rows[0].nextSibling.checkVisibility() && rows[0].nextSibling.textContent;
const pre = document.createElement("pre");
pre.id = "seen";
pre.textContent = JSON.stringify(seen);
document.body.append(pre);
</script></body>"""


class Block(torch.nn.Module):
    def __init__(self, act):
        super().__init__()
        self.lin, self.act = torch.nn.Linear(4, 4), act

    def forward(self, x):
        return self.act(self.lin(x))


class Net(torch.nn.Module):
    def __init__(self, act, more):
        super().__init__()
        self.first, self.second, self.more = Block(torch.nn.ReLU()), Block(act), more

    def forward(self, x):
        y = self.second(self.first(x))
        return (y, torch.sin(x)) if self.more else (y,)


class Checks:
    def __init__(self, es_opt, browser, folder):
        self.es_opt, self.browser, self.folder = es_opt, browser, folder
        self.passed = self.failed = 0

    def expect(self, what, condition, detail=""):
        self.passed += bool(condition)
        self.failed += not condition
        if not condition:
            print(f"FAIL {what}" + (f"\n     {detail}" if detail != "" else ""), flush=True)

    def equal(self, what, got, wanted):
        self.expect(what, got == wanted, f"got    {got}\n     wanted {wanted}")

    def es(self, *arguments):
        return subprocess.run([str(self.es_opt), *map(str, arguments)], capture_output=True, text=True, check=True).stdout

    def seen(self, searches, *arguments):
        """What a reader sees of the page that es-opt writes."""
        page = self.folder / "page.html"
        self.es(*arguments, "--html", page)
        text = page.read_text()
        self.expect("a page ends like one", text.rstrip().endswith("</body></html>"))
        page.write_text(text.replace("</body>", READER.replace("SEARCHES", json.dumps(searches))))
        done = subprocess.run([self.browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={self.folder / 'profile'}",
                               "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120)
        found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.S)
        if not found:
            raise SystemExit(f"FAIL the browser shows no result: {done.stderr[-2000:]}")
        return json.loads(html.unescape(found[1]))


SHORT = {torch.float32: "f32", torch.int64: "i64", torch.bool: "b8", torch.float64: "f64"}


def type_of(node):
    meta = node.meta.get("val")
    return f"{SHORT[meta.dtype]}[{', '.join(map(str, meta.shape))}]" if isinstance(meta, torch.Tensor) else ""


def module_of(node):
    """The path of the module that made a node, without the root."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return stack[-1][0].removeprefix("L['self'].").replace(".", "/") if stack and node.op == "call_function" else ""


def operands_of(node):
    return [[a.name, type_of(a)] for a in node.all_input_nodes]


def check_one(c, model):
    """One graph: what is there, search, folding, links."""
    nodes = list(programs.load(model).graph.nodes)
    searches = ["linear", "second relu", "f32[2, 4]", "nothing of the kind"]
    seen = c.seen(searches, model)
    rows = seen["all"]
    c.equal("the title is the file", seen["title"], str(model))
    c.equal("one section with one heading", seen["sides"], [[f"graph — {len(nodes)} nodes"]])
    c.equal("a row a node, in order", [r["name"] for r in rows], [n.name for n in nodes])
    c.equal("types stand on results", [r["type"] for r in rows[:-1]], [type_of(n) for n in nodes[:-1]])
    c.equal("operands are named, with their types", [r["operands"] for r in rows], [operands_of(n) for n in nodes])
    c.equal("modules hold their rows", [r["modules"][-1] if r["modules"] else "" for r in rows], [module_of(n) for n in nodes])
    c.equal("modules nest", [r["modules"] for r in rows if r["name"] == "relu_1"], [["second", "second/act"]])

    ids = [r["id"] for r in rows]
    c.equal("all is unfolded at first", seen["first"]["rows"], ids)
    c.equal("all is counted", seen["first"]["count"], f"{len(nodes)} nodes")

    def text(n):
        target = str(n.target).replace("torch.ops.", "") if n.op == "call_function" else n.op
        return " ".join([n.name, target, type_of(n), module_of(n)]).lower()

    for s in searches:
        # of several words, each; what holds a comma is two words as well
        hits = [i for i, n in zip(ids, nodes) if all(w in text(n) for w in s.split())]
        c.equal(f"searching '{s}'", seen["open " + s], {"rows": hits, "count": f"{len(hits)} of {len(nodes)}"})
        c.equal(f"searching '{s}' opens what is folded", seen["folded " + s]["rows"], hits)
    c.expect("the searches find something, and not all", 0 < len(seen["open linear"]["rows"]) < len(ids) and seen["open second relu"]["rows"])
    outside = [i for i, n in zip(ids, nodes) if not module_of(n)]
    c.expect("something is outside of modules, and something inside", 0 < len(outside) < len(ids))
    c.equal("folding leaves what is in no module", seen["folded"]["rows"], outside)
    c.equal("after a search, what it opened is folded again", seen["cleared"]["rows"], outside)
    c.equal("unfolding shows all", seen["unfolded"]["rows"], ids)
    c.equal("a module folds alone", seen["one"]["rows"], [i for i in ids if i not in seen["inside"]])
    c.expect("and holds something", seen["inside"])
    c.equal("a link opens the modules of what it names", seen["jump"]["here"], [[seen["jump"]["to"], True]])
    c.expect("a click on a row tells its users", seen["more"] and seen["more"].startswith("used by "), str(seen["more"]))


def check_two(c, left, right):
    """Two graphs side by side."""
    told = c.es(left, "--diff", right)
    seen = c.seen([], left, "--diff", right)
    c.equal("two sections", [s[0] for s in seen["sides"]], ["before", "after"])
    nodes = [len(programs.load(m).graph.nodes) for m in (left, right)]
    c.equal("a row a node on each side", [sum(r["id"].startswith(f"{side}:") for r in seen["all"]) for side in (0, 1)], nodes)

    def marked(side, mark):
        return [r["name"] for r in seen["all"] if r["id"].startswith(f"{side}:") and mark in r["mark"]]

    for side, mark, sign in ((0, "removed", "-"), (0, "modified", "<"), (1, "added", r"\+"), (1, "modified", ">")):
        lines = re.findall(rf"^  {sign} (.*)$", told, re.M)
        names = marked(side, mark)
        c.expect(f"side {side}: as many rows are {mark} as --diff tells", len(names) == len(lines), f"{names}\n{told}")
        c.expect(f"side {side}: they are those that --diff tells", all(line.startswith(f"{n} = " if n != "output" else "return ") for n, line in zip(names, lines)), f"{names}\n{told}")
    c.expect("the other activation is marked on both sides", "relu_1" in marked(0, "removed") + marked(0, "modified")
             and "gelu" in marked(1, "added") + marked(1, "modified"))
    c.equal("the new node is added", marked(1, "added"), ["sin"])
    c.equal("what is the same is not marked", [r["mark"] for r in seen["all"] if r["name"] in ("linear", "relu")], [[]] * 4)
    c.equal("nothing is added on the left, nothing removed on the right", marked(0, "added") + marked(1, "removed"), [])
    plain = {r["color"] for r in seen["all"] if not r["mark"]}
    c.expect("marks are seen", all(r["color"] not in plain for r in seen["all"] if r["mark"]))
    c.equal("a graph beside itself has no marks", [r["mark"] for r in c.seen([], left, "--diff", left)["all"] if r["mark"]], [])


def check_subgraphs(c, model):
    """The graphs of branches stand below the graph that calls them."""
    program = programs.load(model)
    inner = [name for name, m in program.graph_module.named_modules() if name and isinstance(m, torch.fx.GraphModule)]
    seen = c.seen([], model)
    headings = [h.split(" — ")[0] for h in seen["sides"][0]]
    c.equal("a heading a graph", sorted(headings), sorted(["graph", *inner]))
    for number, heading in enumerate(headings[1:], 1):
        graph = program.graph_module.get_submodule(heading).graph
        c.equal(f"the rows of {heading}", [r["name"] for r in seen["all"] if r["id"].startswith(f"0:{number}:")], [n.name for n in graph.nodes])


def main():
    es_opt, corpus = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        print(f"no browser to open a page in: none of {', '.join(BROWSERS)} is installed; as root, apt-get install chromium")
        return SKIPPED
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        c = Checks(es_opt, browser, folder)
        torch.manual_seed(0)
        for file, net in (("one.pt2", Net(torch.nn.ReLU(), False)), ("two.pt2", Net(torch.nn.GELU(), True))):
            torch.export.save(torch.export.export(net, (torch.randn(2, 4),)), folder / file)
        check_one(c, folder / "one.pt2")
        check_two(c, folder / "one.pt2", folder / "two.pt2")
        check_subgraphs(c, corpus / "cond/model.pt2")
    print(f"{'FAIL' if c.failed else 'ok  '} pages in {pathlib.Path(browser).name}: {c.passed} checks passed, {c.failed} failed")
    return 1 if c.failed or not c.passed else 0


if __name__ == "__main__":
    sys.exit(main())
