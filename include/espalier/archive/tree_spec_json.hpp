// SPDX-License-Identifier: BSL-1.0
// Tree specs as Python writes them (`torch/utils/_pytree.py`: treespec_dumps, protocol 1): a JSON text inside
// the JSON of an archive. Reading and writing what Python wrote gives the same text, byte for byte, because
// Python compares tree specs as text when it decides whether a signature changed.
#pragma once

#include <espalier/archive/json.hpp>
#include <espalier/signature/tree_spec.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

namespace detail {

/// The protocol of tree specs that we read and write.
inline constexpr std::int64_t tree_spec_protocol = 1;

/// Marks a context that is not a JSON string but some other JSON value, kept as its text.
inline constexpr char raw_context_mark = '\x01';

template <class = when_used>
void read_tree_spec(json::reader& r, tree_spec& t) {
  bool leaf = false;
  unsigned seen = 0;
  for (json::object o(r); o.next();) {
    if (o.key() == "type") {
      seen |= 1;
      leaf = r.null();
      if (!leaf)
        r.string(t.type);
    } else if (o.key() == "context") {
      seen |= 2;
      if (r.peek() == json::kind::string)
        r.string(t.context);
      else if (!r.null())
        t.context = raw_context_mark + std::string(r.raw());
    } else if (o.key() == "children_spec") {
      seen |= 4;
      for (json::array a(r); a.next();)
        read_tree_spec(r, t.children.emplace_back());
    } else
      r.raw(); // a newer producer's
  }
  if (seen != 7)
    r.fail_here("a tree spec lacks its type, its context or its children");
  if (leaf && !t.children.empty())
    r.fail_here("a leaf of a tree spec has children");
}

template <class = when_used>
void write_tree_spec(json::writer& w, const tree_spec& t) {
  w.begin_object();
  w.key("type");
  t.is_leaf() ? w.null() : w.string(t.type);
  w.key("context");
  if (t.context.empty())
    w.null();
  else if (t.context.front() == raw_context_mark)
    w.raw(std::string_view(t.context).substr(1));
  else
    w.string(t.context);
  w.key("children_spec");
  w.begin_array();
  for (const auto& c : t.children)
    write_tree_spec(w, c);
  w.end_array();
  w.end_object();
}

} // namespace detail

/// The text of a tree spec, as `torch.utils._pytree.treespec_dumps(spec, 1)` gives it.
inline std::string to_json(const tree_spec& t) {
  json::writer w;
  w.begin_array();
  w.integer(detail::tree_spec_protocol);
  detail::write_tree_spec(w, t);
  w.end_array();
  return std::move(w).text();
}

/// The tree spec of such a text. Throws `error` (archive) when it is malformed or of another protocol;
/// `place` names the text there.
template <class = when_used>
tree_spec parse_tree_spec(std::string_view text, std::string_view place = "tree spec") {
  json::reader r(text, place);
  tree_spec t;
  std::size_t n = 0;
  for (json::array a(r); a.next(); ++n) {
    if (n == 0) {
      if (const auto protocol = r.integer(); protocol != detail::tree_spec_protocol)
        fail(error_kind::archive,
             "the protocol is " + std::to_string(protocol) + ", but only " +
                 std::to_string(detail::tree_spec_protocol) + " is known",
             std::string(place),
             "export the program with a torch that writes protocol 1, or update espalier");
    } else if (n == 1)
      detail::read_tree_spec(r, t);
    else
      r.fail_here("a tree spec is a pair of a protocol and a tree");
  }
  if (n != 2)
    r.fail_here("a tree spec is a pair of a protocol and a tree");
  r.finish();
  return t;
}

/// The keys of a dict-like node: its context when that is a list of strings (for a registered dataclass a
/// list of two such lists, of which the first counts), else nothing.
template <class = when_used>
vector<std::string> keys_of(const tree_spec& t) {
  vector<std::string> keys;
  std::string_view c = t.context;
  if (!c.empty() && c.front() == detail::raw_context_mark)
    c.remove_prefix(1);
  if (c.empty() || c.front() != '[')
    return keys;
  try {
    json::reader r(c, "tree spec's context");
    bool first = true;
    for (json::array a(r); a.next(); first = false) {
      if (r.peek() == json::kind::string)
        r.string(keys.emplace_back());
      else if (first && r.peek() == json::kind::array) {
        for (json::array fields(r); fields.next();)
          r.string(keys.emplace_back());
      } else
        r.raw();
    }
  } catch (const error&) {
    return {};
  }
  return keys;
}

} // namespace espalier
