// SPDX-License-Identifier: BSL-1.0
// Whether inputs are ones that a program was exported for: kinds, element types, ranks, sizes, the relations
// between symbolic sizes, their ranges, and the guards that are arithmetic. Stricter than Python's
// `ExportedProgram.module()`, which lets wrong ranks, element types and derived sizes through (see
// docs/program.md).
#pragma once

#include <espalier/archive/tree_spec_json.hpp>
#include <espalier/bridge/types.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/program/detail/int_expr.hpp>
#include <espalier/signature/signature.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>
#include <espalier/symbolic/expr_text.hpp>

#include <ATen/core/ivalue.h>

#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

namespace detail {

/// The Python expressions by which guards name the leaves of the inputs: `L['x']`, `L['d']['n'][0]`.
template <class = when_used>
void source_names(const tree_spec& t, const std::string& path, vector<std::string>& out) {
  if (t.is_leaf()) {
    out.push_back(path);
    return;
  }
  const bool sequence = t.type == "builtins.tuple" || t.type == "builtins.list";
  const auto keys = sequence ? vector<std::string>{} : keys_of(t);
  const bool dict = t.type == "builtins.dict" || t.type.starts_with("collections.");
  for (std::size_t i = 0; i != t.children.size(); ++i) {
    std::string step = "[" + std::to_string(i) + "]";
    if (!sequence && i < keys.size())
      step = dict ? "['" + keys[i] + "']" : "." + keys[i];
    source_names(t.children[i], path + step, out);
  }
}
/// The same for a program's ((args...), {kwargs}).
template <class = when_used>
vector<std::string> source_names(const module_call_signature& s) {
  vector<std::string> out;
  if (s.in_spec.children.size() != 2)
    return out;
  const auto& args = s.in_spec.children[0];
  for (std::size_t i = 0; i != args.children.size(); ++i) {
    const std::string name = s.forward_arg_names && i < s.forward_arg_names->size()
                                 ? (*s.forward_arg_names)[i]
                                 : "arg" + std::to_string(i);
    source_names(args.children[i], "L['" + name + "']", out);
  }
  const auto keys = keys_of(s.in_spec.children[1]);
  for (std::size_t i = 0; i != s.in_spec.children[1].children.size(); ++i)
    source_names(s.in_spec.children[1].children[i],
                 "L['" + (i < keys.size() ? keys[i] : std::string("?")) + "']", out);
  return out;
}

template <class = when_used>
std::string text_of(const constant_value& v) {
  struct visitor {
    std::string operator()(std::monostate) const { return "None"; }
    std::string operator()(bool b) const { return b ? "True" : "False"; }
    std::string operator()(std::int64_t i) const { return std::to_string(i); }
    std::string operator()(double d) const {
      std::ostringstream o;
      o << d;
      return o.str();
    }
    std::string operator()(const std::string& s) const { return "'" + s + "'"; }
  };
  return std::visit(visitor{}, v);
}
template <class = when_used>
c10::IValue ivalue_of(const constant_value& v) {
  struct visitor {
    c10::IValue operator()(std::monostate) const { return {}; }
    c10::IValue operator()(bool b) const { return b; }
    c10::IValue operator()(std::int64_t i) const { return i; }
    c10::IValue operator()(double d) const { return d; }
    c10::IValue operator()(const std::string& s) const { return s; }
  };
  return std::visit(visitor{}, v);
}
template <class = when_used>
std::string text_of(const c10::IValue& v) {
  if (v.isTensor()) {
    if (!v.toTensor().defined())
      return "an undefined tensor";
    std::ostringstream o;
    o << "a tensor of " << c10::toString(v.toTensor().scalar_type()) << v.toTensor().sizes();
    return o.str();
  }
  if (v.isNone())
    return "None";
  if (v.isBool())
    return v.toBool() ? "True" : "False";
  if (v.isInt())
    return std::to_string(v.toInt());
  if (v.isDouble())
    return text_of(constant_value(v.toDouble()));
  if (v.isString())
    return "'" + v.toStringRef() + "'";
  return "a " + v.tagKind();
}
template <class = when_used>
bool equals(const c10::IValue& v, const constant_value& c) {
  if (std::holds_alternative<std::monostate>(c))
    return v.isNone();
  if (auto* b = std::get_if<bool>(&c))
    return v.isBool() && v.toBool() == *b;
  if (auto* i = std::get_if<std::int64_t>(&c))
    return v.isInt() && v.toInt() == *i;
  if (auto* d = std::get_if<double>(&c))
    return (v.isDouble() && (v.toDouble() == *d || (v.toDouble() != v.toDouble() && *d != *d))) ||
           (v.isInt() && static_cast<double>(v.toInt()) == *d);
  return v.isString() && v.toStringRef() == std::get<std::string>(c);
}

} // namespace detail

/// The checks of one program, prepared once. Copies what it needs.
class input_check {
public:
  template <class = when_used>
  input_check(const graph_storage& g, const program_info& info) {
    vector<std::string> sources;
    if (const auto* root = info.root())
      sources = detail::source_names(*root);
    std::size_t i = 0;
    for (node n : nodes(g)) {
      if (n.kind() != node_kind::placeholder)
        break;
      const auto at = i++;
      if (at >= info.signature.inputs.size() || info.signature.inputs[at].kind != input_kind::user_input)
        continue;
      expected e;
      e.name = n.name();
      e.arg = info.signature.inputs[at].arg;
      const auto& m = n.result().meta();
      e.kind = m.kind;
      if (m.kind == value_kind::tensor) {
        e.dtype = m.tensor.dtype;
        for (const auto& s : m.tensor.sizes)
          e.sizes.push_back(size(s));
      } else if (m.kind == value_kind::sym_int)
        e.sizes.push_back(size(m.symbol));
      inputs_.push_back(std::move(e));
    }
    for (const auto& r : info.ranges)
      if (auto e = detail::int_expr::compile(r.symbol, symbols_))
        ranges_.push_back({std::move(*e), r.min, r.max});
    for (const auto& code : info.guards_code) {
      guard x;
      auto e = detail::int_expr::compile(code, x.atoms);
      if (!e || !resolve(x, sources)) {
        unchecked_.push_back(code);
        continue;
      }
      x.condition = std::move(*e);
      guards_.push_back(std::move(x));
    }
  }

  /// How many leaves a call takes.
  std::size_t num_inputs() const noexcept { return inputs_.size(); }
  /// How many of them are not constants that the program was specialised on.
  template <class = when_used>
  std::size_t num_free_inputs() const noexcept {
    std::size_t n = 0;
    for (const auto& e : inputs_)
      n += e.arg.form != io_form::constant;
    return n;
  }
  /// Puts the constants that the program was specialised on between the given values.
  template <class = when_used>
  std::vector<c10::IValue> with_constants(std::vector<c10::IValue> given) const {
    std::vector<c10::IValue> out;
    std::size_t next = 0;
    for (const auto& e : inputs_)
      out.push_back(e.arg.form == io_form::constant ? detail::ivalue_of(e.arg.value)
                                                    : std::move(given[next++]));
    return out;
  }
  /// Guards that are more than arithmetic on sizes and are not checked.
  span<const std::string> unchecked_guards() const noexcept { return unchecked_; }
  const std::string& name(std::size_t i) const { return inputs_[i].name; }

  /// Throws `error` (constraint) naming the input, the dimension, what was expected and what was found. Gives
  /// the values of the symbols.
  template <class = when_used>
  vector<std::pair<std::string, std::int64_t>> check(span<const c10::IValue> inputs) const {
    detail::bindings bound = bind(inputs, true);
    vector<std::pair<std::string, std::int64_t>> out;
    for (std::uint32_t s = 0; s != symbols_.size(); ++s)
      if (bound[s])
        out.emplace_back(symbols_.name(s), *bound[s]);
    return out;
  }
  /// The values of the symbols, unchecked: for calls that skip the checks.
  template <class = when_used>
  vector<std::pair<std::string, std::int64_t>> symbols(span<const c10::IValue> inputs) const {
    detail::bindings bound = bind(inputs, false);
    vector<std::pair<std::string, std::int64_t>> out;
    for (std::uint32_t s = 0; s != symbols_.size(); ++s)
      if (bound[s])
        out.emplace_back(symbols_.name(s), *bound[s]);
    return out;
  }

private:
  struct expected {
    std::string name;
    io_argument arg;
    value_kind kind = value_kind::unknown;
    scalar_type dtype = scalar_type::undefined;
    vector<std::optional<detail::int_expr>> sizes; // nothing: not understood, not checked
  };
  struct range {
    detail::int_expr e;
    std::optional<std::int64_t> min, max;
  };
  /// An atom of a guard is a size or stride of an input, or the input itself.
  struct guard {
    struct atom {
      std::size_t input;
      enum class what { value, size, stride, offset } kind;
      std::int64_t dim;
    };
    detail::variable_table atoms;
    vector<atom> where;
    std::optional<detail::int_expr> condition;
  };

  static constexpr std::string_view other_sizes =
      "pass sizes that fit, or export the program again with other inputs or dynamic shapes; "
      "call_options{.check_inputs = false} skips this check";

  template <class = when_used>
  std::optional<detail::int_expr> size(const sym_int& s) {
    return detail::int_expr::compile(s.is_int() ? std::to_string(s.int_or(0)) : detail::sym_text(s.as_expr()),
                                     symbols_);
  }

  template <class = when_used>
  static bool resolve(guard& g, const vector<std::string>& sources) {
    for (std::uint32_t i = 0; i != g.atoms.size(); ++i) {
      std::string_view text = g.atoms.name(i);
      std::size_t best = sources.size();
      for (std::size_t s = 0; s != sources.size(); ++s)
        if (text.starts_with(sources[s]) &&
            (best == sources.size() || sources[s].size() > sources[best].size()))
          best = s;
      if (best == sources.size())
        return false;
      text.remove_prefix(sources[best].size());
      using what = guard::atom::what;
      guard::atom a{best, what::value, 0};
      const auto subscript = [&](std::string_view head, what w) {
        if (!text.starts_with(head) || !text.ends_with("]"))
          return false;
        const auto digits = text.substr(head.size(), text.size() - head.size() - 1);
        if (digits.empty() || digits.size() > 3)
          return false;
        for (char c : digits)
          if (c < '0' || c > '9')
            return false;
        for (char c : digits)
          a.dim = a.dim * 10 + (c - '0');
        a.kind = w;
        return true;
      };
      if (text == ".storage_offset()")
        a.kind = what::offset;
      else if (!text.empty() && !subscript(".size()[", what::size) && !subscript(".stride()[", what::stride))
        return false;
      g.where.push_back(a);
    }
    return true;
  }
  template <class = when_used>
  static std::optional<std::int64_t> value_of(const guard::atom& a, span<const c10::IValue> inputs) {
    if (a.input >= inputs.size())
      return std::nullopt;
    const auto& v = inputs[a.input];
    using what = guard::atom::what;
    if (a.kind == what::value)
      return v.isInt() ? std::optional(v.toInt()) : std::nullopt;
    if (!v.isTensor() || !v.toTensor().defined())
      return std::nullopt;
    const auto& t = v.toTensor();
    if (a.kind == what::offset)
      return t.storage_offset();
    if (a.dim >= t.dim())
      return std::nullopt;
    return a.kind == what::size ? t.size(a.dim) : t.stride(a.dim);
  }

  template <class = when_used>
  [[noreturn]] static void refuse(std::string cause, std::string place, std::string_view cure = other_sizes) {
    fail(error_kind::constraint, std::move(cause), std::move(place), std::string(cure));
  }
  std::string place(std::size_t i) const { return "input '" + inputs_[i].name + "'"; }
  template <class = when_used>
  std::string describe(std::size_t i, std::size_t d) const {
    return inputs_[i].kind == value_kind::tensor
               ? "dimension " + std::to_string(d) + " of '" + inputs_[i].name + "'"
               : "'" + inputs_[i].name + "'";
  }

  template <class = when_used>
  void check_kind(std::size_t i, const c10::IValue& v) const {
    const auto& e = inputs_[i];
    if (e.arg.form == io_form::constant) {
      if (!detail::equals(v, e.arg.value))
        refuse("the program was specialised on " + detail::text_of(e.arg.value) + ", but " +
                   detail::text_of(v) + " was passed",
               place(i), "pass that value, or export the program again with the other one");
      return;
    }
    if (e.kind == value_kind::tensor) {
      if (!v.isTensor() || !v.toTensor().defined())
        refuse("a tensor is expected, but " + detail::text_of(v) + " was passed", place(i), "pass a tensor");
      const auto& t = v.toTensor();
      if (from_c10(t.scalar_type()) != e.dtype)
        refuse("the element type is " + std::string(c10::toString(t.scalar_type())) +
                   ", but the program was exported for " + std::string(torch_name(e.dtype)),
               place(i), "convert the tensor with to(), or export the program again with this type");
      if (static_cast<std::size_t>(t.dim()) != e.sizes.size())
        refuse("the tensor has " + std::to_string(t.dim()) +
                   " dimensions, but the program was exported for " + std::to_string(e.sizes.size()),
               place(i), "reshape the tensor, or export the program again with this rank");
    } else if (e.kind == value_kind::sym_int && !v.isInt())
      refuse("an integer is expected, but " + detail::text_of(v) + " was passed", place(i),
             "pass an integer");
  }

  template <class = when_used>
  detail::bindings bind(span<const c10::IValue> inputs, bool checked) const {
    detail::bindings bound(symbols_.size());
    vector<std::pair<std::size_t, std::size_t>> owner(symbols_.size()); // which dimension bound a symbol
    if (checked) {
      if (inputs.size() != inputs_.size()) {
        std::string names;
        for (const auto& e : inputs_)
          names += (names.empty() ? "" : ", ") + e.name;
        refuse(std::to_string(inputs.size()) + " inputs were passed, but the program takes " +
                   std::to_string(inputs_.size()) + ": " + names,
               "call of the program", "pass one value a leaf of the arguments, in order");
      }
      for (std::size_t i = 0; i != inputs.size(); ++i)
        check_kind(i, inputs[i]);
    }
    const auto each_size = [&](auto&& f) {
      for (std::size_t i = 0; i != inputs_.size() && i != inputs.size(); ++i) {
        const auto& v = inputs[i];
        for (std::size_t d = 0; d != inputs_[i].sizes.size(); ++d) {
          if (!inputs_[i].sizes[d])
            continue;
          if (inputs_[i].kind == value_kind::tensor) {
            if (v.isTensor() && v.toTensor().defined() && static_cast<std::int64_t>(d) < v.toTensor().dim())
              f(i, d, *inputs_[i].sizes[d], v.toTensor().size(static_cast<std::int64_t>(d)));
          } else if (v.isInt())
            f(i, d, *inputs_[i].sizes[d], v.toInt());
        }
      }
    };
    each_size([&](std::size_t i, std::size_t d, const detail::int_expr& e, std::int64_t found) {
      if (const auto want = e.as_constant()) {
        if (checked && *want != found)
          refuse(describe(i, d) + " is " + std::to_string(found) + ", but the program was exported for " +
                     std::to_string(*want),
                 place(i));
      } else if (const auto s = e.as_variable()) {
        if (!bound[*s]) {
          bound[*s] = found;
          owner[*s] = {i, d};
        } else if (checked && *bound[*s] != found)
          refuse(describe(i, d) + " is " + std::to_string(found) + ", but must equal " +
                     describe(owner[*s].first, owner[*s].second) + ", which is " + std::to_string(*bound[*s]),
                 place(i));
      }
    });
    each_size([&](std::size_t i, std::size_t d, const detail::int_expr& e, std::int64_t found) {
      if (e.as_constant() || e.as_variable())
        return;
      if (const auto want = e.evaluate(bound)) {
        if (checked && *want != found)
          refuse(describe(i, d) + " is " + std::to_string(found) + ", but must be " + e.text() +
                     ", which is " + std::to_string(*want) + known(e, bound),
                 place(i));
      } else if (!e.solve(bound, found)) {
        bool several = false;
        std::optional<std::uint32_t> unknown;
        e.for_each_variable([&](std::uint32_t s) {
          if (bound[s] || unknown == s)
            return;
          several = unknown.has_value();
          unknown = s;
        });
        if (checked && !several)
          refuse(describe(i, d) + " is " + std::to_string(found) + ", but must be of the form " + e.text(),
                 place(i));
      }
    });
    if (!checked)
      return bound;
    for (const auto& r : ranges_) {
      const auto v = r.e.evaluate(bound);
      if (!v || ((!r.min || *v >= *r.min) && (!r.max || *v <= *r.max)))
        continue;
      std::string where = "symbol '" + r.e.text() + "'";
      std::string at = "range constraints";
      each_size([&](std::size_t i, std::size_t d, const detail::int_expr& e, std::int64_t) {
        if (e.text() == r.e.text() && at == "range constraints")
          where = describe(i, d), at = place(i);
      });
      refuse(where + " is " + std::to_string(*v) + ", but must be " + interval(r), at);
    }
    for (const auto& g : guards_) {
      detail::bindings atoms;
      std::string values;
      for (std::size_t k = 0; k != g.where.size(); ++k) {
        atoms.push_back(value_of(g.where[k], inputs));
        if (atoms.back())
          values += (values.empty() ? "" : ", ") + g.atoms.name(static_cast<std::uint32_t>(k)) + " = " +
                    std::to_string(*atoms.back());
      }
      if (const auto ok = g.condition->evaluate(atoms); ok && !*ok)
        refuse("guard failed: " + g.condition->text() + " (" + values + ")", "guards of the program");
    }
    return bound;
  }
  template <class = when_used>
  std::string known(const detail::int_expr& e, const detail::bindings& bound) const {
    std::string s;
    vector<std::uint32_t> seen;
    e.for_each_variable([&](std::uint32_t v) {
      for (auto x : seen)
        if (x == v)
          return;
      seen.push_back(v);
      s += (s.empty() ? " for " : ", ") + symbols_.name(v) + " = " + std::to_string(*bound[v]);
    });
    return s;
  }
  template <class = when_used>
  static std::string interval(const range& r) {
    if (r.min && r.max)
      return "between " + std::to_string(*r.min) + " and " + std::to_string(*r.max);
    if (r.min)
      return "at least " + std::to_string(*r.min);
    return "at most " + std::to_string(*r.max);
  }

  vector<expected> inputs_;
  detail::variable_table symbols_;
  vector<range> ranges_;
  vector<guard> guards_;
  vector<std::string> unchecked_;
};

} // namespace espalier
