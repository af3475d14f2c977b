// SPDX-License-Identifier: BSL-1.0
// Canonical names. Nodes and values that were given no name get the one that FX would give them, so that a
// graph made in C++ reads like one made in Python; the names depend on the graph alone, never on the run.
// Names that were given are kept and never reused.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/ir/strings.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace espalier {

namespace detail {

/// Names that a Python function's local variable must not shadow (`torch/fx/graph.py`: _illegal_names):
/// keywords, lower-case builtins, and the globals of generated code. Sorted.
inline constexpr std::string_view reserved_names[] = {
    "False",      "None",      "NoneType",  "True",        "abs",        "aiter",      "all",
    "and",        "anext",     "any",       "as",          "ascii",      "assert",     "async",
    "await",      "bin",       "bool",      "break",       "breakpoint", "bytearray",  "bytes",
    "callable",   "chr",       "class",     "classmethod", "compile",    "complex",    "continue",
    "copyright",  "credits",   "def",       "del",         "delattr",    "device",     "dict",
    "dir",        "divmod",    "elif",      "else",        "enumerate",  "eval",       "except",
    "exec",       "exit",      "filter",    "finally",     "float",      "for",        "format",
    "from",       "frozenset", "fx_pytree", "getattr",     "global",     "globals",    "hasattr",
    "hash",       "help",      "hex",       "id",          "if",         "import",     "in",
    "inf",        "input",     "int",       "is",          "isinstance", "issubclass", "iter",
    "lambda",     "len",       "license",   "list",        "locals",     "map",        "max",
    "memoryview", "min",       "nan",       "next",        "nonlocal",   "not",        "object",
    "oct",        "open",      "or",        "ord",         "pass",       "pow",        "print",
    "property",   "pytree",    "quit",      "raise",       "range",      "repr",       "return",
    "reversed",   "round",     "set",       "setattr",     "slice",      "sorted",     "staticmethod",
    "str",        "sum",       "super",     "torch",       "try",        "tuple",      "type",
    "vars",       "while",     "with",      "yield",       "zip"};

constexpr bool is_ident_char(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
/// An atom of a path: non-alphanumerics become `_`, letters lower case (`torch/_export/utils.py`: placeholder
/// naming).
inline std::string path_atom(std::string_view s) {
  std::string out;
  for (char c : s) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    out += !alnum ? '_' : (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// A name split like FX's `_name_regex`: `add_12` is base `add` and number 12; a name without a number has
/// -1. Numbers too long for 18 digits count as part of the base.
struct split_name {
  std::string_view base;
  std::int64_t number = -1;
};
constexpr split_name split_suffix(std::string_view s) noexcept {
  std::size_t i = s.size();
  while (i > 0 && is_digit(s[i - 1]))
    --i;
  if (i < 2 || i == s.size() || s.size() - i > 18 || s[i - 1] != '_')
    return {s, -1};
  std::int64_t n = 0;
  for (std::size_t k = i; k != s.size(); ++k)
    n = n * 10 + (s[k] - '0');
  return {s.substr(0, i - 1), n};
}

} // namespace detail

/// Whether Python code could not use `s` for a local variable without shadowing something it needs.
constexpr bool is_reserved_name(std::string_view s) noexcept {
  return std::binary_search(std::begin(detail::reserved_names), std::end(detail::reserved_names), s);
}

/// A set of names and the rule by which FX makes new ones (`torch/fx/graph.py`: _Namespace). Amortised
/// O(length).
class name_space {
public:
  /// Takes a name that someone chose. False when it was taken already.
  bool reserve(std::string_view name) {
    const std::size_t i = index(name);
    if (entries_[i].used)
      return false;
    entries_[i].used = true;
    if (const auto s = detail::split_suffix(name); s.number >= 0) {
      auto& last = entries_[index(s.base)].last;
      last = std::max(last, s.number);
    }
    return true;
  }
  bool contains(std::string_view name) const {
    const str_id s = pool_.find(name);
    return s.valid() && entries_[s.index].used;
  }
  /// A fresh name after `candidate`: itself if it is free and no Python builtin, else with the next free
  /// suffix
  /// (`add`, `add_1`, ...; `max_1`). Characters that no identifier holds become `_`. The view lives as long
  /// as the name space is not asked for another name.
  std::string_view create(std::string_view candidate) {
    scratch_.assign(candidate);
    clean(scratch_);
    const auto s = detail::split_suffix(scratch_);
    const std::string base(s.base);
    const std::size_t base_at = index(base);
    std::int64_t number = s.number;
    if (number < 0 || taken(scratch_)) {
      number = entries_[base_at].last;
      if (is_reserved_name(scratch_))
        number = with_suffix(base, number + 1);
    }
    while (taken(scratch_))
      number = with_suffix(base, number + 1);
    const std::size_t at = index(scratch_);
    entries_[at].used = true;
    entries_[base_at].last = number;
    return pool_.view(str_id{static_cast<std::uint32_t>(at)});
  }

private:
  struct entry {
    bool used = false;
    std::int64_t last = 0; // largest suffix given with this base
  };
  std::size_t index(std::string_view s) {
    const str_id i = pool_.intern(s);
    if (entries_.size() <= i.index)
      entries_.resize(i.index + 1);
    return i.index;
  }
  bool taken(std::string_view s) const { return contains(s); }
  std::int64_t with_suffix(const std::string& base, std::int64_t n) {
    scratch_ = base;
    scratch_ += '_';
    scratch_ += std::to_string(n);
    return n;
  }
  static void clean(std::string& s) {
    bool in_run = false; // a run of illegal characters becomes one underscore
    std::size_t out = 0;
    for (char c : s) {
      if (detail::is_ident_char(c)) {
        s[out++] = c;
        in_run = false;
      } else if (!in_run) {
        s[out++] = '_';
        in_run = true;
      }
    }
    s.resize(out);
    if (s.empty())
      s = "_unnamed";
    if (detail::is_digit(s[0]))
      s.insert(s.begin(), '_');
  }
  string_pool pool_;
  vector<entry> entries_; // by id in the pool
  std::string scratch_;
};

/// What FX names a call after: the operator's base name in snake case (`aten::add.Tensor` is `add`,
/// `aten::__and__.Tensor` is `and`). Sizes (`aten::sym_size.int`) keep their overload, as Python's tracer
/// gives it: `sym_size_int`.
inline std::string base_name(std::string_view qualified) {
  if (const auto colon = qualified.rfind("::"); colon != qualified.npos)
    qualified.remove_prefix(colon + 2);
  const bool size_query = qualified.starts_with("sym_size") || qualified.starts_with("sym_stride") ||
                          qualified.starts_with("sym_numel") || qualified.starts_with("sym_storage_offset");
  std::string raw;
  if (size_query) {
    raw = qualified;
    if (const auto dot = raw.find('.'); dot != raw.npos)
      raw[dot] = '_';
    else
      raw += "_default";
  } else {
    auto s = qualified.substr(0, qualified.find('.'));
    if (s.size() > 4 && s.starts_with("__") && s.ends_with("__"))
      s = s.substr(2, s.size() - 4);
    raw = s;
  }
  std::string out;
  for (std::size_t i = 0; i != raw.size(); ++i) {
    const bool upper = raw[i] >= 'A' && raw[i] <= 'Z';
    if (upper && i > 0 && raw[i - 1] >= 'a' && raw[i - 1] <= 'z')
      out += '_';
    out += upper ? static_cast<char>(raw[i] - 'A' + 'a') : raw[i];
  }
  return out;
}
inline std::string base_name(op_id o) { return base_name(std::string_view(name_of(o))); }

/// Whether every node and value has a name, subgraphs included.
template <class = when_used>
constexpr bool all_named(const graph_storage& g) {
  for (node_id n = g.first(); n.valid(); n = g.next(n)) {
    if (!g.node_name(n).valid())
      return false;
    for (std::size_t i = 0; i != g.num_results(n); ++i)
      if (!g.value_name(g.result(n, i)).valid())
        return false;
  }
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    if (!all_named(g.subgraph(i)))
      return false;
  return true;
}

/// The names that nodes and values of a graph's top level have: what a new one must differ from.
template <class = when_used>
name_space names_in(const graph_storage& g) {
  name_space names;
  for (node_id n = g.first(); n.valid(); n = g.next(n)) {
    if (g.node_name(n).valid())
      names.reserve(g.text(g.node_name(n)));
    for (std::size_t i = 0; i != g.num_results(n); ++i)
      if (const str_id v = g.value_name(g.result(n, i)); v.valid() && v != g.node_name(n))
        names.reserve(g.text(v));
  }
  return names;
}

/// Names every node and value that has none, in program order, subgraphs included (each is a name space of
/// its own). A node of several results is named after its operator, its results are `getitem`, `getitem_1`,
/// ...; the output node is `output`. Returns how many names were given. O(nodes + values).
template <class = when_used>
std::size_t assign_names(graph_storage& g) {
  std::size_t given = 0;
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    given += assign_names(g.subgraph(i));

  bool missing = false;
  for (node_id n = g.first(); n.valid() && !missing; n = g.next(n)) {
    missing = !g.node_name(n).valid();
    for (std::size_t i = 0; i != g.num_results(n); ++i)
      missing = missing || !g.value_name(g.result(n, i)).valid();
  }
  if (!missing)
    return given;

  name_space names = names_in(g);
  hash_map<std::uint32_t, std::string> bases; // by operator
  std::size_t position = 0;
  const auto base_of = [&](node_id n) -> std::string {
    switch (g.kind(n)) {
    case node_kind::call_function:
    case node_kind::call_higher_order: {
      auto [at, fresh] = bases.try_emplace(g.op(n).index);
      if (fresh)
        at->second = base_name(g.op(n));
      return at->second;
    }
    case node_kind::placeholder:
      return "arg" + std::to_string(position) + "_1";
    case node_kind::get_attr:
      if (g.num_args(n) == 1 && g.slot(g.arg_slot(n, 0)).form() == arg_form::string)
        return std::string(g.text(str_id{g.slot(g.arg_slot(n, 0)).w2}));
      return "attr";
    default:
      return "output";
    }
  };
  for (node_id n = g.first(); n.valid(); n = g.next(n), ++position) {
    const bool one = g.num_results(n) == 1 && !g.returns_list(n);
    if (one && g.node_name(n).valid() !=
                   g.value_name(g.result(n)).valid()) { // one of the two is known: the other is the same
      const str_id known = g.node_name(n).valid() ? g.node_name(n) : g.value_name(g.result(n));
      g.set_name(n, std::string(g.text(known)));
      ++given;
      continue;
    }
    if (!g.node_name(n).valid()) {
      g.set_name(n, names.create(base_of(n)));
      ++given;
    }
    if (one)
      continue;
    for (std::size_t i = 0; i != g.num_results(n); ++i)
      if (const value_id v = g.result(n, i); !g.value_name(v).valid()) {
        g.set_value_name(v, names.create("getitem"));
        ++given;
      }
  }
  return given;
}

/// Forgets every name but the placeholders', which belong to the signature, and names again: names that
/// depend on the graph's content alone.
template <class = when_used>
void rename_canonically(graph_storage& g) {
  for (node_id n = g.first(); n.valid(); n = g.next(n))
    if (g.kind(n) != node_kind::placeholder)
      g.clear_name(n);
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    rename_canonically(g.subgraph(i));
  assign_names(g);
}

} // namespace espalier
