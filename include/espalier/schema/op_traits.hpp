// SPDX-License-Identifier: BSL-1.0
// Operators as types. Any type with `name`, `overload_name` and `schema_str` is one: LibTorch's `at::_ops::add_Tensor`,
// ours in schema/aten.hpp, or a user's `using fused = es::op<"my::fused(Tensor a, float b=1.0) -> Tensor">;`.
// `op_traits<Op>` is its schema, read from the string by the compiler, once for each operator used.
#pragma once

#include <espalier/schema/op_id.hpp>
#include <espalier/schema/parse.hpp>
#include <espalier/schema/schema.hpp>
#include <espalier/support/fixed_string.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <string_view>

namespace espalier {

/// An operator: a type with the three strings that LibTorch's operators have.
template <class Op>
concept op_type = requires {
  { Op::name } -> std::convertible_to<std::string_view>;
  { Op::overload_name } -> std::convertible_to<std::string_view>;
  { Op::schema_str } -> std::convertible_to<std::string_view>;
};

namespace detail {

template <std::size_t N>
struct char_array {
  char data[N + 1]{};
};

/// `name` and `overload_name` of a schema string, as null-terminated strings.
template <fixed_string Schema, bool Overload>
struct schema_part {
  static constexpr std::string_view view = [] {
    const auto full = Schema.view().substr(0, Schema.view().find('('));
    const auto dot = full.find('.', full.find("::"));
    if (Overload) return dot == full.npos ? std::string_view() : full.substr(dot + 1);
    return full.substr(0, dot);
  }();
  static constexpr auto text = [] {
    char_array<view.size()> a;
    for (std::size_t i = 0; i != view.size(); ++i) a.data[i] = view[i];
    return a;
  }();
};

/// A qualified name's length and characters: `aten::add.Tensor`.
template <class Op>
struct qualified_name {
  static constexpr std::string_view n = Op::name, o = Op::overload_name;
  static constexpr auto text = [] {
    char_array<n.size() + 1 + o.size()> a;
    std::size_t at = 0;
    for (char c : n) a.data[at++] = c;
    if (!o.empty()) {
      a.data[at++] = '.';
      for (char c : o) a.data[at++] = c;
    }
    return a;
  }();
  static constexpr std::string_view view{text.data, o.empty() ? n.size() : n.size() + 1 + o.size()};
};

/// The index that an operator of schema/aten.hpp knows, or the one that a search of the table finds.
template <class Op>
constexpr std::uint32_t static_index() {
  if constexpr (requires { Op::index; }) return Op::index;
  else return find_aten(qualified_name<Op>::view);
}

} // namespace detail

/// A user's own operator, in one line: `using fused = es::op<"my::fused.out(Tensor a, float b=1.0) -> Tensor">;`
template <fixed_string Schema>
struct op {
  static constexpr const char* name = detail::schema_part<Schema, false>::text.data;
  static constexpr const char* overload_name = detail::schema_part<Schema, true>::text.data;
  static constexpr const char* schema_str = Schema.data;
};

/// The schema of an operator, in constant evaluation.
template <op_type Op>
struct op_traits {
private:
  static constexpr std::string_view text = Op::schema_str;
  static constexpr detail::schema_counts counts = detail::schema_parser(text, nullptr, nullptr).parse();
  static_assert(counts.error_at == std::string_view::npos,
                "espalier: op_traits<Op>: Op::schema_str is malformed (counts.error_at is the offset); write it as in native_functions.yaml: "
                "name.overload(Type name=default, ...) -> Type");
  struct tables {
    std::array<schema_arg, counts.args + 1> args{};
    std::array<schema_return, counts.returns + 1> returns{};
  };
  static constexpr tables parsed = [] {
    tables t;
    detail::schema_parser(text, t.args.data(), t.returns.data()).parse();
    return t;
  }();

public:
  static constexpr std::size_t arity = counts.args;
  static constexpr std::size_t num_returns = counts.returns;
  static constexpr op_schema schema{Op::name, Op::overload_name, {parsed.args.data(), arity}, {parsed.returns.data(), num_returns}};
  /// Flags of the generated table for ATen's operators, of the schema for others.
  static constexpr op_flags flags = [] {
    constexpr auto i = detail::static_index<Op>();
    if constexpr (i != detail::num_aten_ops) return detail::unpack_flags(detail::aten_rows[i].flags);
    else return detail::flags_of_schema({parsed.args.data(), arity}, {parsed.returns.data(), num_returns});
  }();
  static constexpr bool is_mutable = flags.mutates;
  static constexpr bool is_view = flags.view;
  /// Arguments without a default.
  static constexpr std::size_t num_required = [] {
    std::size_t n = 0;
    for (std::size_t i = 0; i != arity; ++i) n += !parsed.args[i].has_default;
    return n;
  }();

private:
  template <fixed_string Name>
  static constexpr std::size_t find() {
    constexpr std::size_t i = [] {
      for (std::size_t k = 0; k != arity; ++k)
        if (parsed.args[k].name == Name.view()) return k;
      return arity;
    }();
    static_assert(i != arity, "espalier: op_traits<Op>::index_of<NAME>: the operator has no argument of that name; Op::schema_str lists its arguments");
    return i;
  }

public:
  /// The position of the argument of that name. An unknown name does not compile.
  template <fixed_string Name>
  static constexpr std::size_t index_of = find<Name>();
};

/// The run-time id of an operator. A constant for ATen's operators; others are made known on the first call.
template <op_type Op>
constexpr op_id id_of() {
  constexpr auto i = detail::static_index<Op>();
  if constexpr (i != detail::num_aten_ops) {
    return op_id{i};
  } else {
    constexpr auto make = [] { return intern_op(detail::qualified_name<Op>::view, Op::schema_str); };
    return [&]() -> op_id {
      static const op_id o = make();
      return o;
    }();
  }
}

} // namespace espalier
