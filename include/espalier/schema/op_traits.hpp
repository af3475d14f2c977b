// SPDX-License-Identifier: BSL-1.0
// Operators as types. Any type with `name`, `overload_name` and `schema_str` is
// one: LibTorch's `at::_ops::add_Tensor`, or a user's `using fused =
// es::op<"my::fused(Tensor a, float b=1.0) -> Tensor">;`. So is each of
// schema/aten.hpp, whose strings the table has.
// `op_traits<Op>` is its schema, read from the string by the compiler, once for
// each operator used.
#pragma once

#include <espalier/schema/default_value.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/schema/parse.hpp>
#include <espalier/schema/schema.hpp>
#include <espalier/support/fixed_string.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace espalier {

/// An operator of schema/aten.hpp: it knows its row in the table.
template <class Op>
concept listed_op_type = !requires {
  Op::schema_str;
}
&&requires {
  { Op::index } -> std::convertible_to<std::uint32_t>;
};

/// An operator: a listed one, or a type with the three strings that LibTorch's
/// operators have.
template <class Op>
concept op_type = listed_op_type<Op> || requires {
  { Op::name } -> std::convertible_to<std::string_view>;
  { Op::overload_name } -> std::convertible_to<std::string_view>;
  { Op::schema_str } -> std::convertible_to<std::string_view>;
};

namespace detail {

template <std::size_t N>
struct char_array {
  char data[N + 1]{};
};
/// A null-terminated copy of `a`, `dot`, `b`, of total length `N`.
template <std::size_t N>
consteval char_array<N> joined(std::string_view a, std::string_view dot = {}, std::string_view b = {}) {
  char_array<N> out;
  std::size_t at = 0;
  for (auto part : {a, dot, b})
    for (char c : part)
      out.data[at++] = c;
  return out;
}

/// The strings of an operator.
template <class Op>
struct op_strings {
  static constexpr std::string_view name = Op::name, overload = Op::overload_name, schema = Op::schema_str;
};
template <listed_op_type Op>
struct op_strings<Op> {
  static constexpr operator_name parts{aten_row_name(Op::index)};
  static constexpr std::string_view name = parts.name, overload = parts.overload,
                                    schema = aten_rows[Op::index].schema;
};

/// A qualified name's characters: `aten::add.Tensor`.
template <class Op>
struct qualified_name {
  static constexpr std::string_view n = op_strings<Op>::name, o = op_strings<Op>::overload;
  static constexpr std::size_t size = n.size() + (o.empty() ? 0 : 1 + o.size());
  static constexpr auto text = joined<size>(n, o.empty() ? "" : ".", o);
  static constexpr std::string_view view{text.data, size};
};

/// The index that an operator of schema/aten.hpp knows, or the one that a
/// search of the table finds.
template <class Op>
constexpr std::uint32_t static_index() {
  if constexpr (requires { Op::index; })
    return Op::index;
  else
    return find_aten(qualified_name<Op>::view);
}

/// One sentence for each way in which a schema string can be wrong. `At` is the
/// offset of what is wrong in `Op::schema_str`: the compiler names it with this
/// struct.
template <class Op, schema_fault Fault, std::size_t At>
struct check_schema {
#define ESPALIER_SCHEMA_SENTENCE(FAULT, WHAT)                                                                \
  static_assert(Fault != schema_fault::FAULT, "espalier: an operator requires a well-formed schema_str, "    \
                                              "but at offset 'At' "                                          \
                                              "of check_schema<Op, Fault, At> " WHAT)
  ESPALIER_SCHEMA_SENTENCE(no_arguments,
                           "there is no '('; write name.overload(Type name, ...) -> Type instead");
  ESPALIER_SCHEMA_SENTENCE(no_name, "there is no name; write namespace::name.overload(...) instead");
  ESPALIER_SCHEMA_SENTENCE(bad_type, "there is no type; write Tensor, SymInt[2] or Scalar? instead");
  ESPALIER_SCHEMA_SENTENCE(bad_alias,
                           "an alias annotation is malformed; write (a), (a!) or (a -> *) instead");
  ESPALIER_SCHEMA_SENTENCE(bad_list, "a list is malformed; write Type[] or Type[2] instead");
  ESPALIER_SCHEMA_SENTENCE(no_arg_name, "an argument has a type and no name; write Type name instead");
  ESPALIER_SCHEMA_SENTENCE(bad_default, "a default is missing or left open; write "
                                        "name=value and close what it opens instead");
  ESPALIER_SCHEMA_SENTENCE(bad_separator,
                           "there is neither ',' nor ')'; write Type name, Type name) instead");
  ESPALIER_SCHEMA_SENTENCE(no_arrow, "the results are missing; write ... -> "
                                     "Type, or ... -> () for none, instead");
  ESPALIER_SCHEMA_SENTENCE(trailing_text, "text follows the results; write (Type, Type) for "
                                          "several results instead");
  ESPALIER_SCHEMA_SENTENCE(same_name, "an argument has the name of an earlier "
                                      "one; write different names instead");
#undef ESPALIER_SCHEMA_SENTENCE
  static constexpr bool passed = Fault == schema_fault::none;
};

/// Room for what a schema string says, from its commas: counting them is much
/// cheaper to the compiler than a parse.
struct schema_room {
  std::size_t args = 1, returns = 1;
  constexpr explicit schema_room(std::string_view text) noexcept {
    const auto arrow = offset_of("->", text); // of the results or of an alias annotation before them
    for (std::size_t i = 0; i != text.size(); ++i)
      if (text[i] == ',') {
        ++args;
        returns += i > arrow;
      }
  }
};

/// What the string of `Op` says, in static arrays; `schema` of `op_traits` has
/// their true sizes.
template <class Op>
struct parsed_op {
  static constexpr std::string_view text = op_strings<Op>::schema;
  static constexpr schema_room room{text};
  struct tables {
    schema_arg args[room.args];
    schema_return returns[room.returns];
    schema_counts found;
  };
  static constexpr tables filled = [] {
    tables t{};
    t.found = schema_parser(text, t.args, t.returns).parse();
    return t;
  }();
  static constexpr bool ok = check_schema<Op, filled.found.fault, filled.found.at>::passed;
  static constexpr std::size_t arity = ok ? filled.found.args : 0,
                               num_returns = ok ? filled.found.returns : 0;
};

} // namespace detail

/// A user's own operator, in one line: `using fused =
/// es::op<"my::fused.out(Tensor a, float b=1.0) -> Tensor">;`
template <fixed_string Schema>
struct op {
private:
  static constexpr detail::operator_name parts{
      Schema.view().substr(0, detail::offset_of("(", Schema.view()))};
  static_assert(detail::offset_of("::", parts.name) != std::string_view::npos,
                "espalier: op<SCHEMA> requires a namespace in its schema "
                "string; write \"my::name(...) -> Type\" instead");
  static constexpr auto name_text = detail::joined<parts.name.size()>(parts.name);
  static constexpr auto overload_text = detail::joined<parts.overload.size()>(parts.overload);

public:
  static constexpr const char* name = name_text.data;
  static constexpr const char* overload_name = overload_text.data;
  static constexpr const char* schema_str = Schema.data;
};

/// The schema of an operator, in constant evaluation.
template <op_type Op>
struct op_traits {
private:
  using parsed = detail::parsed_op<Op>;

public:
  static constexpr std::size_t arity = parsed::arity;
  static constexpr std::size_t num_returns = parsed::num_returns;
  /// Argument names, types, defaults; `schema.args[i].default_text` is a
  /// default as written.
  static constexpr op_schema schema{detail::op_strings<Op>::name,
                                    detail::op_strings<Op>::overload,
                                    {parsed::filled.args, arity},
                                    {parsed::filled.returns, num_returns}};
  /// Flags of the generated table for the operators it lists, of the schema for
  /// others.
  static constexpr op_flags flags = [] {
    constexpr auto i = detail::static_index<Op>();
    if constexpr (i != detail::num_aten_ops)
      return detail::unpack_flags(detail::aten_rows[i].flags);
    else
      return detail::flags_of_schema(schema.args, schema.returns);
  }();
  static constexpr bool is_mutable = flags.mutates;
  static constexpr bool is_view = flags.view;
  /// Arguments without a default.
  static constexpr std::size_t num_required = [] {
    std::size_t n = 0;
    for (auto& a : schema.args)
      n += !a.has_default;
    return n;
  }();
  /// Arguments that may be given by position: those before `*`.
  static constexpr std::size_t num_positional = [] {
    std::size_t n = 0;
    for (auto& a : schema.args)
      n += !a.kwarg_only;
    return n;
  }();
  /// Whether there is an argument of that name: a question, where `index_of` is
  /// a demand.
  template <fixed_string Name>
  static constexpr bool has_arg = [] {
    for (auto& a : schema.args)
      if (a.name == Name.view())
        return true;
    return false;
  }();

private:
  template <fixed_string Name>
  static constexpr std::size_t find() {
    constexpr std::size_t i = [] {
      for (std::size_t k = 0; k != arity; ++k)
        if (schema.args[k].name == Name.view())
          return k;
      return arity;
    }();
    static_assert(i != arity, "espalier: op_traits<Op>::index_of<NAME> requires NAME to be "
                              "an argument of the operator; write "
                              "one of the names in its schema instead");
    return i;
  }

public:
  /// The position of the argument of that name. An unknown name does not
  /// compile.
  template <fixed_string Name>
  static constexpr std::size_t index_of = find<Name>();
  /// The argument of that name. An unknown name does not compile.
  template <fixed_string Name>
  static constexpr schema_arg arg = parsed::filled.args[index_of<Name>];
  /// Its kind as a type, to choose an overload by.
  template <fixed_string Name>
  using arg_t = std::integral_constant<arg_kind, arg<Name>.type.kind>;
  /// The value of its default. An argument without one does not compile.
  template <fixed_string Name>
  static constexpr default_value default_of() {
    constexpr auto& a = parsed::filled.args[index_of<Name>];
    static_assert(a.has_default, "espalier: op_traits<Op>::default_of<NAME> requires an "
                                 "argument that has a default; ask "
                                 "op_traits<Op>::arg<NAME>.has_default instead");
    return parse_default(a);
  }
};

/// The run-time id of an operator. A constant for those of the generated table;
/// others are made known on the first call, which throws `error_kind::usage`
/// when the name is already known with another schema.
template <op_type Op>
constexpr op_id id_of() {
  constexpr auto i = detail::static_index<Op>();
  if constexpr (i != detail::num_aten_ops) {
    return op_id{i};
  } else {
    static_assert(detail::parsed_op<Op>::ok);
    constexpr auto make = []() -> op_id {
      static const op_id o = intern_op(detail::qualified_name<Op>::view, Op::schema_str);
      return o;
    };
    return make();
  }
}

} // namespace espalier
