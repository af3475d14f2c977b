// SPDX-License-Identifier: BSL-1.0
// What a shape rule sees of a call, and what it gives back: metas in, metas out, no graph and no LibTorch.
// Arguments stand at their schema's positions; one that was left out reads as its default.
#pragma once

#include <espalier/meta/tensor_meta.hpp>
#include <espalier/schema/default_value.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/schema/schema.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// What an argument of a rule is.
enum class meta_form : std::uint8_t {
  absent,
  none,
  tensor,
  integer,
  floating,
  boolean,
  complex,
  string,
  dtype,
  layout,
  device,
  memory_format,
  list,
  other
};

/// An argument as a rule sees it. Does not own.
struct meta_arg {
  meta_form form = meta_form::absent;
  const tensor_meta* tensor = nullptr;
  sym_int i{}; ///< integer, boolean, dtype, layout, memory format
  double d = 0;
  device dev{};
  std::string_view text{};
  const meta_arg* items = nullptr;
  std::size_t count = 0;

  constexpr meta_arg() = default;
  constexpr meta_arg(const tensor_meta& t) : form(meta_form::tensor), tensor(&t) {}
  constexpr meta_arg(const sym_int& x) : form(meta_form::integer), i(x) {}
  template <std::integral I>
  constexpr meta_arg(I x) : form(meta_form::integer), i(x) {}
  constexpr meta_arg(double x) : form(meta_form::floating), d(x) {}
  constexpr meta_arg(bool b) : form(meta_form::boolean), i(b ? 1 : 0) {}
  constexpr meta_arg(scalar_type t) : form(meta_form::dtype), i(static_cast<int>(t)) {}
  constexpr meta_arg(espalier::layout l) : form(meta_form::layout), i(static_cast<int>(l)) {}
  constexpr meta_arg(espalier::memory_format f) : form(meta_form::memory_format), i(static_cast<int>(f)) {}
  constexpr meta_arg(device x) : form(meta_form::device), dev(x) {}
  constexpr meta_arg(std::string_view s) : form(meta_form::string), text(s) {}
  constexpr meta_arg(std::nullopt_t) : form(meta_form::none) {}
  constexpr meta_arg(span<const meta_arg> l) : form(meta_form::list), items(l.data()), count(l.size()) {}
};

/// One result of a rule: a tensor, a number (a size), or nothing.
struct rule_output {
  enum class kind_type : std::uint8_t { none, tensor, integer, boolean, floating } kind = kind_type::none;
  tensor_meta tensor{};
  sym_int number{};
  constexpr rule_output() = default;
  constexpr rule_output(tensor_meta t) : kind(kind_type::tensor), tensor(std::move(t)) {}
  static constexpr rule_output of_integer(const sym_int& i) {
    rule_output o;
    o.kind = kind_type::integer;
    o.number = i;
    return o;
  }
};

/// The results of a call. `list` when its one result is a list, whose elements these are.
struct rule_result {
  vector<rule_output> outputs;
  bool list = false;
  constexpr rule_result() = default;
  constexpr rule_result(tensor_meta t) { outputs.push_back(std::move(t)); }
  constexpr void push(tensor_meta t) { outputs.push_back(std::move(t)); }
  constexpr void push_none() { outputs.push_back(rule_output{}); }
};

/// The arguments of one call.
class rule_args {
public:
  constexpr rule_args(op_id op, const op_schema* schema, span<const meta_arg> args) noexcept
      : op_(op), schema_(schema), args_(args) {}
  constexpr op_id op() const noexcept { return op_; }
  constexpr std::size_t size() const noexcept { return args_.size(); }
  constexpr const meta_arg& raw(std::size_t n) const noexcept {
    return n < args_.size() ? args_[n] : nothing;
  }
  /// Given and not None.
  constexpr bool present(std::size_t n) const noexcept {
    return raw(n).form != meta_form::absent && raw(n).form != meta_form::none;
  }
  constexpr bool is_tensor(std::size_t n) const noexcept { return raw(n).form == meta_form::tensor; }

  constexpr const tensor_meta& tensor(std::size_t n) const {
    if (!is_tensor(n))
      wrong(n, "a tensor");
    return *raw(n).tensor;
  }
  constexpr const tensor_meta* optional_tensor(std::size_t n) const noexcept {
    return is_tensor(n) ? raw(n).tensor : nullptr;
  }
  /// A list of tensors; None elements are null.
  constexpr vector<const tensor_meta*> tensors(std::size_t n) const {
    vector<const tensor_meta*> out;
    for (std::size_t k = 0; k != raw(n).count; ++k)
      out.push_back(raw(n).items[k].form == meta_form::tensor ? raw(n).items[k].tensor : nullptr);
    return out;
  }
  constexpr sym_int integer(std::size_t n) const {
    const auto i = optional_integer(n);
    if (!i)
      wrong(n, "an integer");
    return *i;
  }
  /// The integer, or nothing for None (also as a default).
  constexpr optional<sym_int> optional_integer(std::size_t n) const {
    if (raw(n).form == meta_form::integer || raw(n).form == meta_form::boolean)
      return raw(n).i;
    if (raw(n).form != meta_form::absent)
      return std::nullopt;
    const auto d = dflt(n);
    if (d.kind == default_kind::integer)
      return sym_int(d.integer);
    if (d.kind == default_kind::boolean)
      return sym_int(d.boolean ? 1 : 0);
    return std::nullopt;
  }
  constexpr bool boolean(std::size_t n) const {
    if (raw(n).form == meta_form::boolean || raw(n).form == meta_form::integer)
      return raw(n).i.int_or(0) != 0;
    return raw(n).form == meta_form::absent && dflt(n).kind == default_kind::boolean && dflt(n).boolean;
  }
  /// A list of integers, or one integer as a list of one. Empty for None.
  constexpr sym_ints ints(std::size_t n) const {
    sym_ints out;
    const auto& a = raw(n);
    if (a.form == meta_form::list) {
      for (std::size_t k = 0; k != a.count; ++k)
        out.push_back(a.items[k].i);
    } else if (a.form == meta_form::integer) {
      out.push_back(a.i);
    } else if (a.form == meta_form::absent) {
      const auto d = dflt(n);
      if (d.kind == default_kind::integer)
        out.push_back(d.integer);
      for (auto& x : d.items)
        out.push_back(x.integer);
    }
    return out;
  }
  /// `ints`, with a single element repeated to `n` of them.
  constexpr sym_ints ints_of(std::size_t at, std::size_t n) const {
    auto out = ints(at);
    if (out.size() == 1)
      while (out.size() < n)
        out.push_back(out[0]);
    return out;
  }
  constexpr optional<scalar_type> dtype(std::size_t n) const {
    if (raw(n).form == meta_form::dtype || raw(n).form == meta_form::integer)
      return static_cast<scalar_type>(raw(n).i.as_int());
    if (raw(n).form == meta_form::absent)
      if (const auto d = dflt(n); d.kind == default_kind::integer || d.kind == default_kind::word)
        return d.kind == default_kind::integer ? static_cast<scalar_type>(d.integer) : dtype_of_word(d.text);
    return std::nullopt;
  }
  constexpr optional<espalier::memory_format> format(std::size_t n) const {
    if (raw(n).form == meta_form::memory_format || raw(n).form == meta_form::integer)
      return static_cast<espalier::memory_format>(raw(n).i.as_int());
    if (raw(n).form == meta_form::absent)
      if (const auto d = dflt(n); d.kind == default_kind::integer || d.kind == default_kind::word)
        return d.kind == default_kind::integer ? static_cast<espalier::memory_format>(d.integer)
                                               : parse_memory_format(d.text);
    return std::nullopt;
  }
  constexpr optional<device> dev(std::size_t n) const {
    if (raw(n).form == meta_form::device)
      return raw(n).dev;
    return std::nullopt;
  }
  constexpr std::string_view string(std::size_t n) const {
    return raw(n).form == meta_form::absent ? dflt(n).text : raw(n).text;
  }

  /// Throws: the shapes given do not fit the operator.
  [[noreturn]] void refuse(std::string cause, std::string cure = "check the shapes of the arguments") const {
    fail(error_kind::usage, std::move(cause), "operator " + std::string(name_of(op_)), std::move(cure));
  }

private:
  static constexpr meta_arg nothing{};
  constexpr default_value dflt(std::size_t n) const noexcept {
    return schema_ && n < schema_->args.size() ? parse_default(schema_->args[n]) : default_value{};
  }
  /// `long`, as schemas spell a dtype.
  static constexpr optional<scalar_type> dtype_of_word(std::string_view s) {
    return s == "long" ? scalar_type::i64 : s == "float" ? scalar_type::f32 : parse_scalar_type(s);
  }
  [[noreturn]] void wrong(std::size_t n, const char* what) const {
    refuse("argument " +
               (schema_ && n < schema_->args.size() ? "'" + std::string(schema_->args[n].name) + "'"
                                                    : std::to_string(n)) +
               " is not " + what,
           "pass what the operator's schema asks for");
  }
  op_id op_;
  const op_schema* schema_;
  span<const meta_arg> args_;
};

/// A shape rule.
using rule_fn = rule_result (*)(const rule_args&);

/// A dimension counted from the front. Throws when it is out of range; a tensor without dimensions has one.
constexpr std::size_t wrap_dim(const sym_int& dim, std::size_t ndim, const rule_args& a) {
  const auto n = static_cast<std::int64_t>(ndim ? ndim : 1);
  const auto d = dim.as_int();
  if (d < -n || d >= n)
    a.refuse("dimension " + std::to_string(d) + " is out of range for a tensor of " + std::to_string(ndim) +
             " dimensions");
  return static_cast<std::size_t>(d < 0 ? d + n : d);
}

/// `wrap_dim`, of a tensor that must have dimensions.
constexpr std::size_t wrap_own_dim(const sym_int& dim, std::size_t ndim, const rule_args& a) {
  if (ndim == 0)
    a.refuse("the tensor has no dimensions", "pass a tensor with dimensions");
  return wrap_dim(dim, ndim, a);
}
/// The sizes, none of them a negative constant. Throws when one is.
constexpr sym_ints checked_sizes(sym_ints sizes, const rule_args& a) {
  for (auto& s : sizes)
    if (s.is_int() && s.as_int() < 0)
      a.refuse("a size is negative: " + std::to_string(s.as_int()), "pass sizes of at least 0");
  return sizes;
}

} // namespace espalier
