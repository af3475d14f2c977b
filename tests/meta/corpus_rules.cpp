// SPDX-License-Identifier: BSL-1.0
// Shape rules against what Python recorded: every ATen call of the corpus's graphs whose arguments and
// results have concrete sizes is asked of its rule. Dtypes, sizes and strides must be Python's.
#include "archive/corpus.hpp"

#include <espalier/archive/loaded_program.hpp>
#include <espalier/ir/infer.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/meta/rules.hpp>

#include <doctest/doctest.h>

#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace es = espalier;

namespace {

bool concrete(const es::sym_ints& s) {
  for (const auto& x : s)
    if (!x.is_int())
      return false;
  return true;
}
bool concrete(const es::tensor_meta& m) { return concrete(m.sizes) && concrete(m.strides); }
bool concrete(es::span<const es::meta_arg> args) {
  for (const auto& a : args) {
    if (a.tensor && !concrete(*a.tensor))
      return false;
    if ((a.form == es::meta_form::integer && !a.i.is_int()) || !concrete(es::span(a.items, a.count)))
      return false;
  }
  return true;
}
bool same(const es::sym_int& a, const es::sym_int& b) { return es::statically_known(es::sym_eq(a, b)); }
bool same_sizes(const es::tensor_meta& a, const es::tensor_meta& b) {
  bool all = a.dim() == b.dim();
  for (std::size_t i = 0; all && i != a.dim(); ++i)
    all = same(a.sizes[i], b.sizes[i]);
  return all;
}
/// Strides of dimensions that have more than one element; none matters where there are none.
bool same_strides(const es::tensor_meta& a, const es::tensor_meta& b) {
  if (es::has_no_elements(a.sizes))
    return true;
  for (std::size_t i = 0; i != a.dim(); ++i)
    if (!es::is_one(a.sizes[i]) && !same(a.strides[i], b.strides[i]))
      return false;
  return true;
}
std::string text_of(const es::tensor_meta& m) {
  std::ostringstream o;
  o << es::to_string(m.dtype);
  for (const auto* list : {&m.sizes, &m.strides}) {
    o << '[';
    for (std::size_t i = 0; i != list->size(); ++i)
      o << (i ? ", " : "") << (*list)[i].int_or(-1);
    o << ']';
  }
  return o.str();
}
std::string text_of(es::span<const es::meta_arg> args) {
  std::string s;
  for (const auto& a : args) {
    s += s.empty() ? "" : ", ";
    if (a.tensor)
      s += text_of(*a.tensor);
    else if (a.form == es::meta_form::list)
      s += '[' + text_of(es::span(a.items, a.count)) + ']';
    else
      s += a.form == es::meta_form::floating ? std::to_string(a.d) : std::to_string(a.i.int_or(-1));
  }
  return s;
}

/// How an operator fared.
struct tally {
  std::size_t calls = 0, undecided = 0, without_rule = 0;
};
using tallies = std::map<std::string, tally, std::less<>>;

void compare(const es::node& n, tallies& all) {
  const es::graph_storage& g = n.graph();
  es::detail::node_meta_args args;
  bool tensors = false;
  for (std::size_t i = 0; i != n.num_results(); ++i)
    tensors = tensors || n.result(i).meta().kind == es::value_kind::tensor;
  if (!tensors || !args.read(g, n))
    return;
  tally& t = all[std::string(es::name_of(n.op()))];
  const es::rule_fn rule = es::rule_for(n.op());
  if (!rule) {
    ++t.without_rule;
    return;
  }
  ++t.calls;
  CAPTURE(std::string(es::name_of(n.op())) + '(' + text_of(args.args()) + ')');
  es::rule_result r;
  try {
    r = rule(es::rule_args(n.op(), es::schema_of(n.op()), args.args()));
  } catch (const es::error& e) {
    if (e.kind() == es::error_kind::unsupported && !concrete(args.args()))
      ++t.undecided;
    else
      FAIL_CHECK("the rule refuses what Python ran: " << std::string(e.what()));
    return;
  }
  REQUIRE(r.outputs.size() == n.num_results());
  for (std::size_t i = 0; i != n.num_results(); ++i) {
    const auto& m = n.result(i).meta();
    if (m.kind != es::value_kind::tensor)
      continue;
    const es::rule_output& o = r.outputs[i];
    if (o.kind != es::rule_output::kind_type::tensor) {
      CHECK_MESSAGE(g.count_uses(n.result(i).id()) == 0, "the rule has no tensor for result " << i);
      continue;
    }
    CAPTURE(i);
    CAPTURE(text_of(m.tensor));
    CAPTURE(text_of(o.tensor));
    CHECK(o.tensor.dtype == m.tensor.dtype);
    CHECK(same_sizes(o.tensor, m.tensor));
    CHECK((!same_sizes(o.tensor, m.tensor) || same_strides(m.tensor, o.tensor)));
  }
}
void compare_all(const es::graph_storage& g, tallies& all) {
  for (const es::node n : es::nodes(g))
    if (n.kind() == es::node_kind::call_function && es::name_of(n.op()).starts_with("aten::"))
      compare(n, all);
  // under autocast the kernels see other element types than the graph says
  std::vector<bool> under_autocast(g.num_subgraphs());
  for (const es::node n : es::nodes(g))
    if (n.is_call() && es::name_of(n.op()) == "higher_order::wrap_with_autocast")
      for (std::size_t i = 0; i != n.num_args(); ++i)
        if (n.arg(i).form() == es::arg_form::subgraph)
          under_autocast[n.arg(i).as_subgraph()] = true;
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    if (!under_autocast[i])
      compare_all(g.subgraph(i), all);
}

} // namespace

TEST_CASE("shape rules say what Python recorded in the corpus") {
  tallies all;
  for (const auto& path : corpus::archives()) {
    CAPTURE(path.string());
    for (const auto& p : es::load_programs(path.string()).programs)
      compare_all(p.graph, all);
  }
  std::ostringstream report;
  std::size_t calls = 0, undecided = 0, without = 0;
  for (const auto& [op, t] : all) {
    calls += t.calls;
    undecided += t.undecided;
    without += t.without_rule;
    report << "\n  " << op << ": " << t.calls << " calls";
    if (t.undecided)
      report << ", " << t.undecided << " need a shape environment";
    if (t.without_rule)
      report << ", " << t.without_rule << " without a rule";
  }
  MESSAGE(calls << " calls compared, " << undecided << " undecided, " << without << " without a rule"
                << report.str());
  CHECK(undecided * 10 <= calls);
  CHECK((corpus::archives().empty() || calls > 0));
}
