// SPDX-License-Identifier: BSL-1.0
// Arguments of an archive as arguments of a graph. Beside each comes whether the archive's form is the usual
// one, that is the one `to_archive` would choose for what the argument became.
#pragma once

#include <espalier/archive/detail/list_tags.hpp>
#include <espalier/archive/detail/meta_reader.hpp>
#include <espalier/archive/schema.hpp>
#include <espalier/ir/argument.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/schema/builtin.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier::detail {

/// Memory for list arguments while a node is being built; `reset` keeps it for the next node.
class item_pool {
public:
  vector<argument>& take() {
    if (used_ == lists_.size())
      lists_.emplace_back();
    lists_[used_].clear();
    return lists_[used_++];
  }
  void reset() noexcept { used_ = 0; }

private:
  vector<vector<argument>> lists_; // moving a vector keeps its elements where they are
  std::size_t used_ = 0;
};

/// Targets of no known shape (those of serialization extensions, `#namespace:name`) are operators by their
/// whole text.
inline op_id target_op(const std::string& t) {
  if (t.starts_with('#')) // `#namespace:name`
    if (const auto colon = t.find(':'); colon != t.npos && colon > 1 && colon + 1 < t.size())
      return intern_op(t.substr(0, colon) + "::" + t.substr(colon + 1), {});
  try {
    return op_of_target(t);
  } catch (const error&) {
    return intern_op("unknown::" + (t.empty() ? "target" : t), {});
  }
}

/// The part of a graph's reader that knows arguments.
template <class = when_used>
class argument_reader : protected meta_reader<> {
protected:
  using meta_reader::meta_reader;
  ~argument_reader() = default;

  /// Reads a subgraph and adds it to the graph.
  virtual std::uint32_t subgraph(const pt2::graph_argument& from) = 0;

  value_id find(std::string_view name, std::string_view user) const {
    const str_id s = g_.find_string(name);
    if (s.valid() && s.index < by_name_.size() && by_name_[s.index].valid())
      return by_name_[s.index];
    fail(error_kind::archive,
         "'" + std::string(user) + "' uses the value '" + std::string(name) +
             "', which nothing before it computes",
         place_, "the file is damaged or was written by hand; export the program again");
  }
  argument of_value(std::string_view name) { return argument(find(name, user_)); }
  value_kind kind_of(value_id v) const { return g_.meta(v).kind; }
  template <class List, class Each>
  argument list(const List& from, Each&& each) {
    vector<argument> items = std::move(pool_.take()); // nested lists take from the pool meanwhile
    items.clear();
    items.reserve(from.size());
    for (const auto& x : from)
      items.push_back(each(x));
    auto& home = pool_.take();
    home = std::move(items);
    return argument(span<const argument>(home));
  }

  /// `usual` becomes false when `to_archive` would choose another tag for the argument that comes of it.
  argument convert(const pt2::argument& a, const arg_type* type, bool& usual) {
    using tag = pt2::argument::tag;
    switch (a.which()) {
    case tag::as_none:
      return argument(std::nullopt);
    case tag::as_tensor: {
      const argument v = of_value(a.as_tensor().name);
      const auto k = kind_of(v.val);
      usual = k == value_kind::tensor || k == value_kind::unknown || k == value_kind::token ||
              k == value_kind::none;
      return v;
    }
    case tag::as_tensors: {
      const argument l =
          list(a.as_tensors(), [&](const pt2::tensor_argument& t) { return of_value(t.name); });
      usual = usual_list(l, a, type);
      return l;
    }
    case tag::as_int:
      return argument(a.as_int());
    case tag::as_float:
      return argument(a.as_float());
    case tag::as_bool:
      return argument(a.as_bool());
    case tag::as_string:
      return argument(std::string_view(a.as_string()));
    case tag::as_ints: {
      const argument l = list(a.as_ints(), [](std::int64_t i) { return argument(i); });
      usual = usual_list(l, a, type);
      return l;
    }
    case tag::as_floats: {
      const argument l = list(a.as_floats(), [](double d) { return argument(d); });
      usual = usual_list(l, a, type);
      return l;
    }
    case tag::as_bools: {
      const argument l = list(a.as_bools(), [](bool b) { return argument(b); });
      usual = usual_list(l, a, type);
      return l;
    }
    case tag::as_strings: {
      const argument l =
          list(a.as_strings(), [](const std::string& s) { return argument(std::string_view(s)); });
      usual = usual_list(l, a, type);
      return l;
    }
    case tag::as_sym_int:
      return symbolic_argument(a.as_sym_int(), value_kind::sym_int, usual);
    case tag::as_sym_float:
      return symbolic_argument(a.as_sym_float(), value_kind::sym_float, usual);
    case tag::as_sym_bool:
      return symbolic_argument(a.as_sym_bool(), value_kind::sym_bool, usual);
    case tag::as_sym_ints:
      return symbolic_list(a.as_sym_ints(), a, type, usual);
    case tag::as_sym_floats:
      return symbolic_list(a.as_sym_floats(), a, type, usual);
    case tag::as_sym_bools:
      return symbolic_list(a.as_sym_bools(), a, type, usual);
    case tag::as_scalar_type: {
      const auto t = map_from(scalar_type_map, a.as_scalar_type());
      if (!t)
        refuse("an argument of '" + std::string(user_) + "' is the unknown element type " +
               std::to_string(static_cast<std::int64_t>(a.as_scalar_type())));
      return argument(*t);
    }
    case tag::as_layout: {
      const auto l = map_from(layout_map, a.as_layout());
      if (!l)
        refuse("an argument of '" + std::string(user_) + "' is the unknown layout " +
               std::to_string(static_cast<std::int64_t>(a.as_layout())));
      return argument(*l);
    }
    case tag::as_memory_format: {
      const auto f = map_from(memory_format_map, a.as_memory_format());
      if (!f)
        refuse("an argument of '" + std::string(user_) + "' is the unknown memory format " +
               std::to_string(static_cast<std::int64_t>(a.as_memory_format())));
      return argument(*f);
    }
    case tag::as_device: {
      const auto d = from_pt2(a.as_device());
      if (!d)
        refuse("an argument of '" + std::string(user_) + "' is the unknown device '" + a.as_device().type +
               "'");
      return argument(*d);
    }
    case tag::as_complex: {
      auto& parts = pool_.take();
      parts.push_back(argument(a.as_complex().real));
      parts.push_back(argument(a.as_complex().imag));
      return argument::of_complex(parts);
    }
    case tag::as_graph:
      return argument::of_subgraph(subgraph(a.as_graph()));
    case tag::as_optional_tensors: {
      const argument l = list(a.as_optional_tensors(), [&](const pt2::optional_tensor_argument& t) {
        return t.is_as_tensor() ? of_value(t.as_tensor().name) : argument(std::nullopt);
      });
      usual = usual_list(l, a, type);
      return l;
    }
    case tag::as_optional_tensor:
      usual = false;
      return a.as_optional_tensor().is_as_tensor() ? of_value(a.as_optional_tensor().as_tensor().name)
                                                   : argument(std::nullopt);
    case tag::as_nested_tensors: {
      const argument l = list(a.as_nested_tensors(), [&](const auto& row) {
        return list(row, [&](const pt2::tensor_argument& t) { return of_value(t.name); });
      });
      usual = l.count != 0;
      for (std::size_t i = 0; i != l.count; ++i)
        usual = usual && l.items[i].count != 0;
      return l;
    }
    case tag::as_int_lists: {
      const argument l = list(a.as_int_lists(), [&](const auto& row) {
        return list(row, [](std::int64_t i) { return argument(i); });
      });
      usual = l.count != 0;
      for (std::size_t i = 0; i != l.count; ++i)
        usual = usual && l.items[i].count != 0;
      return l;
    }
    case tag::as_float_lists: {
      const argument l = list(a.as_float_lists(), [&](const auto& row) {
        return list(row, [](double d) { return argument(d); });
      });
      usual = l.count != 0;
      for (std::size_t i = 0; i != l.count; ++i)
        usual = usual && l.items[i].count != 0;
      return l;
    }
    case tag::as_custom_obj: {
      const auto& c = a.as_custom_obj();
      const str_id s = g_.find_string(c.name);
      if (s.valid() && s.index < by_name_.size() && by_name_[s.index].valid()) {
        const value_id v = by_name_[s.index];
        usual = kind_of(v) == value_kind::custom_object && g_.text(g_.meta(v).text) == c.class_fqn;
        return argument(v);
      }
      usual = false; // an object of the constants: its two texts
      auto& parts = pool_.take();
      parts.push_back(argument(std::string_view(c.name)));
      parts.push_back(argument(std::string_view(c.class_fqn)));
      return argument(span<const argument>(parts));
    }
    case tag::as_operator: {
      const op_id o = target_op(a.as_operator());
      if (serialized_target(o) == a.as_operator())
        return argument::of_op(o);
      usual = false;
      return argument(std::string_view(a.as_operator()));
    }
    case tag::as_string_to_argument: {
      vector<argument> pairs;
      for (const auto& e : a.as_string_to_argument()) {
        bool inner = true;
        pairs.push_back(argument(std::string_view(e.key)));
        pairs.push_back(convert(e.value, nullptr, inner));
        if (!inner)
          refuse("an argument of '" + std::string(user_) + "' is a dict whose entry '" + e.key +
                 "' has the unusual form '" + std::string(e.value.tag_name()) + "'");
      }
      auto& home = pool_.take();
      home = std::move(pairs);
      return argument::of_dict(home);
    }
    case tag::unknown: {
      const auto& raw = a.unknown();
      const std::string text = raw.name + '\n' + raw.json;
      const auto& kept = opaque_texts_.emplace_back(text.data(), text.data() + text.size());
      return argument::of_opaque({kept.data(), kept.size()});
    }
    }
    return argument(std::nullopt);
  }

  template <class Sym>
  argument symbolic_argument(const Sym& s, value_kind kind, bool& usual) {
    if (s.is_as_name()) {
      const argument v = of_value(s.as_name());
      usual = kind_of(v.val) == kind;
      return v;
    }
    usual = false;
    return symbolic_constant(s);
  }
  argument symbolic_constant(const pt2::sym_int_argument& s) { return argument(s.as_int()); }
  argument symbolic_constant(const pt2::sym_float_argument& s) { return argument(s.as_float()); }
  argument symbolic_constant(const pt2::sym_bool_argument& s) { return argument(s.as_bool()); }
  template <class Sym>
  argument symbolic_list(const vector<Sym>& from, const pt2::argument& a, const arg_type* type, bool& usual) {
    const argument l = list(
        from, [&](const Sym& s) { return s.is_as_name() ? of_value(s.as_name()) : symbolic_constant(s); });
    usual = usual_list(l, a, type);
    return l;
  }
  /// Whether `to_archive` chooses this tag for such a list.
  bool usual_list(const argument& l, const pt2::argument& a, const arg_type* type) const {
    const auto kind = [this](value_id v) { return kind_of(v); };
    return list_tag(given_items{span<const argument>(l.items, l.count), kind}, type) == a.which();
  }

  vector<value_id> by_name_; // by string id
  item_pool pool_;
  vector<vector<char>> opaque_texts_;
  std::string_view user_; // the node at hand, for messages
};

} // namespace espalier::detail
