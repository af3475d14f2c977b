// SPDX-License-Identifier: BSL-1.0
// Arguments of a call, in two forms: `argument`, what a caller hands to the builder, and `slot`, the sixteen
// bytes that the graph keeps of it. A slot that holds a value is at the same time a link of that value's use
// list, so a call costs no allocation and a use list no memory of its own.
#pragma once

#include <espalier/meta/types.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/support/id.hpp>
#include <espalier/support/span.hpp>
#include <espalier/symbolic/sym_int.hpp>

#include <bit>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string_view>

namespace espalier {

/// What an argument is.
enum class arg_form : std::uint8_t {
  absent, ///< not given: the schema's default holds
  none,   ///< given, and None
  value,  ///< a result of another node (a tensor, or a symbolic number)
  integer,
  floating,
  boolean,
  complex, ///< two numbers, real then imaginary
  string,
  scalar_type,
  layout,
  device,
  memory_format,
  symbolic, ///< an expression over symbols that no node computes
  list,     ///< a list of arguments, possibly empty, nested, or with None inside
  dict,     ///< a list of alternating strings and arguments
  subgraph, ///< a graph of a higher-order call: an index of the graph's subgraphs
  op,       ///< an operator as an argument
  opaque,   ///< something a newer or foreign producer wrote, kept as its text and not understood
};

/// The name of a form, for messages.
constexpr std::string_view to_string(arg_form f) noexcept {
  constexpr std::string_view names[] = {
      "absent", "None",   "value",         "int",          "float", "bool", "complex", "str",      "dtype",
      "layout", "device", "memory_format", "symbolic int", "list",  "dict", "graph",   "operator", "opaque"};
  return names[static_cast<int>(f)];
}

class value; // ir/view.hpp

/// An argument on its way into a graph. Does not own: lists and strings point at the caller's memory, which
/// must live until the call that takes the argument returns. There is no constructor from a braced list on
/// purpose: `argument{x}` would be one.
struct argument {
  arg_form form = arg_form::absent;
  value_id val{};
  std::int64_t bits = 0; // integer, boolean, enumerations, double's bits, subgraph index, operator id
  std::string_view text{};
  const argument* items = nullptr;
  std::size_t count = 0;
  const expr* symbol = nullptr;

  constexpr argument() noexcept = default;
  constexpr argument(std::nullopt_t) noexcept : form(arg_form::none) {}
  constexpr argument(value_id v) noexcept : form(arg_form::value), val(v) {}
  constexpr argument(const value& v) noexcept; // ir/view.hpp
  template <std::integral I>
  constexpr argument(I i) noexcept : form(arg_form::integer), bits(static_cast<std::int64_t>(i)) {}
  constexpr argument(bool b) noexcept : form(arg_form::boolean), bits(b) {}
  constexpr argument(double d) noexcept : form(arg_form::floating), bits(std::bit_cast<std::int64_t>(d)) {}
  constexpr argument(const char* s) noexcept : form(arg_form::string), text(s) {}
  constexpr argument(std::string_view s) noexcept : form(arg_form::string), text(s) {}
  constexpr argument(espalier::scalar_type t) noexcept
      : form(arg_form::scalar_type), bits(static_cast<int>(t)) {}
  constexpr argument(espalier::layout l) noexcept : form(arg_form::layout), bits(static_cast<int>(l)) {}
  constexpr argument(espalier::memory_format f) noexcept
      : form(arg_form::memory_format), bits(static_cast<int>(f)) {}
  constexpr argument(espalier::device d) noexcept
      : form(arg_form::device),
        bits((static_cast<std::int64_t>(d.index) << 8) | static_cast<std::uint8_t>(d.type)) {}
  constexpr argument(const sym_int& i) noexcept
      : form(i.is_int() ? arg_form::integer : arg_form::symbolic), bits(i.int_or(0)), symbol(i.as_expr()) {}
  constexpr argument(span<const argument> l) noexcept
      : form(arg_form::list), items(l.data()), count(l.size()) {}

  /// `re + im j`; `parts` are those two numbers, and no more.
  static constexpr argument of_complex(span<const argument> parts) noexcept {
    argument a(parts);
    a.form = arg_form::complex;
    return a;
  }
  /// Alternating keys (strings) and arguments.
  static constexpr argument of_dict(span<const argument> pairs) noexcept {
    argument a(pairs);
    a.form = arg_form::dict;
    return a;
  }
  static constexpr argument of_subgraph(std::uint32_t index) noexcept {
    argument a;
    a.form = arg_form::subgraph;
    a.bits = index;
    return a;
  }
  static constexpr argument of_op(op_id o) noexcept {
    argument a;
    a.form = arg_form::op;
    a.bits = o.index;
    return a;
  }
  static constexpr argument of_opaque(std::string_view text) noexcept {
    argument a(text);
    a.form = arg_form::opaque;
    return a;
  }
};

namespace detail {

/// Sixteen bytes of a graph. Word 0 with its top bit clear is a value's index, and the slot is a use: words 1
/// to 3 are user, next use and previous use. With the top bit set it holds a form in its low byte; word 1 is
/// a count, and words 2 and 3 the payload.
struct slot {
  static constexpr std::uint32_t constant_bit = 0x8000'0000u;
  static constexpr std::uint32_t nil = 0xffff'ffffu;
  std::uint32_t w0 = constant_bit, w1 = 0, w2 = 0, w3 = 0;

  constexpr bool is_use() const noexcept { return (w0 & constant_bit) == 0; }
  constexpr arg_form form() const noexcept {
    return is_use() ? arg_form::value : static_cast<arg_form>(w0 & 0xff);
  }
  constexpr std::int64_t bits() const noexcept {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(w2) | (static_cast<std::uint64_t>(w3) << 32));
  }
  static constexpr slot constant(arg_form f, std::uint32_t count, std::int64_t bits) noexcept {
    const auto u = static_cast<std::uint64_t>(bits);
    return {constant_bit | static_cast<std::uint32_t>(f), count, static_cast<std::uint32_t>(u),
            static_cast<std::uint32_t>(u >> 32)};
  }
  static constexpr slot use(value_id v, node_id user) noexcept { return {v.index, user.index, nil, nil}; }
};
static_assert(sizeof(slot) == 16);

} // namespace detail
} // namespace espalier
