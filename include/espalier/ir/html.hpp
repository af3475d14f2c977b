// SPDX-License-Identifier: BSL-1.0
// A graph as one HTML file without references: rows in program order under their modules, which fold; a
// search over names, operators and types, which opens the modules that hold a hit and folds them again
// afterwards; the operands of a row with their types, as links; and two graphs side by side with what
// differs. The data stands in the page once, as JSON, of which the page makes its rows when it opens.
#pragma once

#include <espalier/ir/diff.hpp>
#include <espalier/ir/model_explorer.hpp>
#include <espalier/support/hash_map.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace espalier {

/// How a page is made.
struct html_options {
  std::string title = "espalier";
};

namespace detail {

/// The page around the data. Plain script and style, so that it opens from a disk and lasts.
inline constexpr std::string_view html_head = R"html(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title></title><style>
:root{color-scheme:light dark;--line:#8884;--soft:#8882;--add:#2a83;--del:#c333;--mod:#da03;--link:#06c}
@media(prefers-color-scheme:dark){:root{--link:#6bf}}
body{margin:0;font:13px/1.5 ui-monospace,monospace}
header{position:sticky;top:0;padding:.5em 1em;background:Canvas;border-bottom:1px solid var(--line);z-index:1;display:flex;gap:1em;flex-wrap:wrap;align-items:center}
h1{font-size:14px;margin:0}
input{font:inherit;padding:.2em .5em;min-width:20em}
button{font:inherit}
main{display:flex}
section{flex:1;min-width:0;overflow-x:auto;padding:.5em 1em}
section+section{border-left:1px solid var(--line)}
h2{font-size:13px;margin:1em 0 .3em}
details{border-left:1px solid var(--line);margin-left:.3em;padding-left:.7em}
summary{cursor:pointer;color:GrayText}
.row{white-space:nowrap;padding:0 .3em;border-radius:3px}
.row:hover{background:var(--soft)}
.row.here{outline:2px solid var(--link)}
.row.added{background:var(--add)}.row.removed{background:var(--del)}.row.modified{background:var(--mod)}
.name{font-weight:bold}.op{color:var(--link)}.type,.const{color:GrayText}
a{color:inherit;text-decoration:underline dotted;cursor:pointer}
.more{display:none;white-space:pre-wrap;color:GrayText;padding-left:2em}
.row.open+.more{display:block}.row[hidden]+.more{display:none}
</style></head><body>
<header><h1></h1><input type="search" placeholder="search names, operators, types, modules" aria-label="search">
<button id="unfold">unfold all</button><button id="fold">fold all</button><span id="count"></span></header><main></main>
<script type="application/json" id="data">)html";

inline constexpr std::string_view html_tail = R"html(</script>
<script>
"use strict";
const data=JSON.parse(document.getElementById("data").textContent);
document.title=data.title;document.querySelector("h1").textContent=data.title;
const main=document.querySelector("main"),search=document.querySelector("input"),count=document.getElementById("count");
function el(tag,cls,text){const e=document.createElement(tag);if(cls)e.className=cls;if(text!==undefined)e.textContent=text;return e}
function jump(side,graph,id){
  const row=document.getElementById(`${side}:${graph}:${id}`);if(!row)return;
  for(let d=row.closest("details");d;d=d.parentElement.closest("details"))d.open=true;
  document.querySelectorAll(".here").forEach(x=>x.classList.remove("here"));
  row.classList.add("here");row.scrollIntoView({block:"center"});
}
function value(side,graph,nodes,use){
  const a=el("a","",nodes[use[0]].name+(use[1]?`[${use[1]}]`:""));
  a.title=nodes[use[0]].types[use[1]]||"";a.onclick=e=>{e.stopPropagation();jump(side,graph,use[0])};
  const s=el("span","",);s.append(a);const t=nodes[use[0]].types[use[1]];
  if(t)s.append(el("span","type",": "+t));return s;
}
function draw(side,g,gi){
  const box=el("div");box.append(el("h2","",`${g.id} — ${g.nodes.length} nodes`));
  const byId={};for(const n of g.nodes)byId[n.id]=n;
  let stack=[{path:"",at:box}];
  for(const n of g.nodes){
    while(stack.length>1&&!(n.module===stack.at(-1).path||n.module.startsWith(stack.at(-1).path+"/")))stack.pop();
    const have=stack.at(-1).path,rest=n.module.slice(have?have.length+1:0);
    if(n.module!==have)for(const part of rest.split("/")){
      const path=stack.at(-1).path?stack.at(-1).path+"/"+part:part,d=el("details");d.open=true;
      d.append(el("summary","",path));stack.at(-1).at.append(d);stack.push({path,at:d});
    }
    const row=el("div","row"+(n.edit?" "+n.edit:""));row.id=`${side}:${gi}:${n.id}`;
    row.append(el("span","name",n.name));if(n.types[0])row.append(el("span","type",": "+n.types.join(", ")));
    row.append(" = ",el("span","op",n.op),"(");
    n.uses.forEach((u,i)=>{if(i)row.append(", ");row.append(value(side,gi,byId,u))});
    n.constants.forEach((c,i)=>{if(i||n.uses.length)row.append(", ");row.append(el("span","const",`${c[0]}=${c[1]}`))});
    row.append(")");
    const more=el("div","more",[n.users.length?`used by ${n.users.map(u=>byId[u].name).join(", ")}`:"not used",n.trace,n.was?"was "+n.was:""].filter(x=>x).join("\n"));
    row.onclick=()=>row.classList.toggle("open");
    row.dataset.text=[n.name,n.op,n.types.join(" "),n.module].join(" ").toLowerCase();
    stack.at(-1).at.append(row,more);
  }
  return box;
}
data.sides.forEach((s,i)=>{const sec=el("section");if(s.label)sec.append(el("h2","",s.label));s.graphs.forEach((g,j)=>sec.append(draw(i,g,j)));main.append(sec)});
const opened=new Set(); // modules that the search unfolded
function filter(){
  const want=search.value.toLowerCase().split(/\s+/).filter(x=>x);let n=0,all=0;
  document.querySelectorAll(".row").forEach(r=>{const ok=want.every(w=>r.dataset.text.includes(w));r.hidden=!ok;r.style.display=ok?"":"none";all++;n+=ok});
  document.querySelectorAll("details").forEach(d=>{
    const hit=!want.length||[...d.querySelectorAll(".row")].some(r=>!r.hidden);d.style.display=hit?"":"none";
    if(want.length&&hit&&!d.open){d.open=true;opened.add(d)}
  });
  if(!want.length){opened.forEach(d=>d.open=false);opened.clear()}
  count.textContent=want.length?`${n} of ${all}`:`${all} nodes`;
}
search.oninput=filter;filter();
document.getElementById("fold").onclick=()=>document.querySelectorAll("details").forEach(d=>d.open=false);
document.getElementById("unfold").onclick=()=>document.querySelectorAll("details").forEach(d=>d.open=true);
</script></body></html>
)html";

template <class = when_used>
class html_writer {
public:
  using edits = hash_map<std::uint32_t, const node_edit*>; // of one graph, by node
  explicit html_writer(std::string& out) : out_(out) {}

  /// One side of the page: a graph and its subgraphs. `report` marks what differs, `before` says which side.
  void side(const graph_storage& g, std::string_view label, const graph_diff* report, bool before) {
    out_ += "{\"label\":";
    append_json(out_, label);
    out_ += ",\"graphs\":[";
    graph(g, "", report, before, true);
    out_ += "]}";
  }

private:
  void graph(const graph_storage& g, const std::string& id, const graph_diff* report, bool before,
             bool first) {
    edits marks;
    if (report)
      for (const node_edit& e : report->edits())
        if (e.graph == id && (before ? e.before : e.after).valid())
          marks.emplace((before ? e.before : e.after).index, &e);
    node_facts facts(g);
    out_ += first ? "{\"id\":" : ",{\"id\":";
    append_json(out_, id.empty() ? "graph" : id);
    out_ += ",\"nodes\":[";
    bool comma = false;
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      out_ += comma ? ",\n{\"id\":" : "\n{\"id\":";
      comma = true;
      out_ += std::to_string(n.index) + ",\"name\":";
      append_json(out_, facts.name(n).empty() ? to_string(g.kind(n)) : facts.name(n));
      out_ += ",\"op\":";
      append_json(out_, facts.label(n));
      out_ += ",\"module\":";
      append_json(out_, facts.module_path(n));
      out_ += ",\"types\":[";
      for (std::size_t i = 0; i != g.num_results(n); ++i) {
        out_ += i ? "," : "";
        append_json(out_, facts.type(g.result(n, i)));
      }
      out_ += "],\"uses\":[";
      bool some = false;
      for (auto& x : g.slots(n))
        if (x.is_use()) {
          out_ += some ? ",[" : "[";
          some = true;
          out_ += std::to_string(g.def(value_id{x.w0}).index) + "," +
                  std::to_string(g.result_index(value_id{x.w0})) + "]";
        }
      out_ += "],\"users\":[";
      some = false;
      for (std::size_t i = 0; i != g.num_results(n); ++i)
        for (slot_id u = g.first_use(g.result(n, i)); u.valid(); u = g.next_use(u)) {
          out_ += (some ? "," : "") + std::to_string(g.user(u).index);
          some = true;
        }
      out_ += "],\"constants\":[";
      some = false;
      for (const auto& [key, text] : facts.constants(n)) {
        out_ += some ? ",[" : "[";
        some = true;
        append_json(out_, key);
        out_ += ',';
        append_json(out_, text);
        out_ += ']';
      }
      out_ += "],\"trace\":";
      append_json(out_, g.origin_text(n, "stack_trace"));
      if (const auto m = marks.find(n.index); m != marks.end()) {
        out_ += ",\"edit\":";
        append_json(out_, to_string(m->second->kind));
        if (!before && !m->second->text_before.empty()) {
          out_ += ",\"was\":";
          append_json(out_, m->second->text_before);
        }
      }
      out_ += '}';
    }
    out_ += "]}";
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      graph(g.subgraph(i), (id.empty() ? "" : id + ".") + std::string(g.text(g.subgraph_name(i))), report,
            before, false);
  }
  std::string& out_;
};

template <class = when_used>
std::string html_page(std::string_view title, const std::string& sides) {
  std::string out(html_head);
  out += "{\"title\":";
  append_json(out, title);
  out += ",\"sides\":[" + sides + "]}";
  out += html_tail;
  return out;
}

} // namespace detail

/// One page with one graph, subgraphs below it.
template <class = when_used>
std::string to_html(const graph_storage& g, const html_options& o = {}) {
  std::string side;
  detail::with_names(
      g, [&](const graph_storage& named) { detail::html_writer(side).side(named, "", nullptr, false); });
  return detail::html_page(o.title, side);
}

/// One page with two graphs side by side: removed and changed nodes are marked on the left, added and changed
/// ones on the right.
template <class = when_used>
std::string to_html(const graph_storage& before, const graph_storage& after, const html_options& o = {}) {
  std::string sides;
  detail::with_names(before, [&](const graph_storage& a) {
    detail::with_names(after, [&](const graph_storage& b) {
      const graph_diff report = diff(a, b);
      detail::html_writer(sides).side(a, "before", &report, true);
      sides += ',';
      detail::html_writer(sides).side(b, "after", &report, false);
    });
  });
  return detail::html_page(o.title, sides);
}

} // namespace espalier
