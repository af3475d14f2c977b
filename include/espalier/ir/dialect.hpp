// SPDX-License-Identifier: BSL-1.0
// Dialects: a tag type that says what a graph may hold. Rules are types, so that the compiler checks a typed
// builder against them, and the verifier a graph from a file, by the same constant expression. A user's
// dialect is a struct with a name and a list of rules.
#pragma once

#include <espalier/schema/op_id.hpp>
#include <espalier/support/type_hash.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace espalier {

/// A rule permits an operator by its flags, and says in a sentence what it asks.
template <class R>
concept dialect_rule = requires(op_flags f) {
  { R::permits(f) } -> std::same_as<bool>;
  { R::sentence } -> std::convertible_to<std::string_view>;
};

/// A list of rules.
template <dialect_rule... Rs>
struct rules {
  /// The sentence of the first rule that refuses the operator; empty when all permit it.
  static constexpr std::string_view refuses([[maybe_unused]] op_flags f) noexcept {
    std::string_view why;
    (void)((Rs::permits(f) || (why = Rs::sentence, false)) && ...);
    return why;
  }
};

/// No operator changes its arguments.
struct no_mutation {
  static constexpr bool permits(op_flags f) noexcept { return !f.mutates; }
  static constexpr std::string_view sentence =
      "the dialect is functional: no operator may mutate its arguments";
};
/// Only operators with a known schema, higher-order operators and builtins on sizes.
struct known_operators {
  static constexpr bool permits(op_flags f) noexcept { return f.known_schema || f.higher_order; }
  static constexpr std::string_view sentence = "the dialect holds operators with a known schema only";
};
/// Only operators tagged `core` (and builtins on sizes).
struct core_operators {
  static constexpr bool permits(op_flags f) noexcept { return f.core || f.higher_order; }
  static constexpr std::string_view sentence = "the dialect holds Core ATen operators only";
};

/// What a dialect provides: its name here, the name Python's verifier has for it (`verifiers` in an archive;
/// empty if none), and its rules. A dialect whose graphs are all graphs of others by definition says so:
/// `using refines = dialects<aten_ir>;`. One that stands for work in which there is no graph yet says
/// `static constexpr bool has_graph = false;`, and a pass takes it only by name.
template <class D>
concept dialect = requires(op_flags f) {
  { D::name } -> std::convertible_to<std::string_view>;
  { D::verifier } -> std::convertible_to<std::string_view>;
  { D::rule_list::refuses(f) } -> std::same_as<std::string_view>;
};

/// A list of dialects.
template <class... Ds>
struct dialects {};

/// A dialect as a value: constant evaluation compares `type`, run time prints names.
struct dialect_info {
  std::uint64_t type = 0; ///< `type_hash` of the tag; 0: none
  std::string_view name, verifier;
  std::string_view (*refuses)(op_flags) = nullptr; ///< the sentence of the first rule that an operator breaks
  const dialect_info* above = nullptr;             ///< the dialects it refines by its own word
  std::size_t num_above = 0;
  bool has_graph = true;
};

namespace detail {

template <class D>
struct dialect_table;

template <class List>
struct dialect_list;
template <class... Ds>
struct dialect_list<dialects<Ds...>> {
  static constexpr std::size_t size = sizeof...(Ds);
  static constexpr dialect_info data[size + 1] = {dialect_table<Ds>::info..., {}};
};

template <class D>
struct dialect_table {
  static constexpr dialect_info make() {
    dialect_info i{type_hash<D>, D::name, D::verifier, &D::rule_list::refuses};
    if constexpr (requires { typename D::refines; }) {
      i.above = dialect_list<typename D::refines>::data;
      i.num_above = dialect_list<typename D::refines>::size;
    }
    if constexpr (requires { D::has_graph; })
      i.has_graph = D::has_graph;
    return i;
  }
  static constexpr dialect_info info = make();
};

} // namespace detail

/// The `dialect_info` of a dialect.
template <dialect D>
inline constexpr const dialect_info& info_of_dialect = detail::dialect_table<D>::info;

/// Whether every graph of dialect `from` is one of dialect `to`: a pass for `to` takes it as it is.
constexpr bool dialect_refines(const dialect_info& from, const dialect_info& to) noexcept {
  if (from.type == to.type)
    return true;
  for (std::size_t i = 0; i != from.num_above; ++i)
    if (dialect_refines(from.above[i], to))
      return true;
  return false;
}

/// The same, of types.
template <dialect From, dialect To>
inline constexpr bool refines = dialect_refines(info_of_dialect<From>, info_of_dialect<To>);

/// Torch-level calls, as captured before ATen; anything goes.
struct torch_ir {
  static constexpr std::string_view name = "torch_ir", verifier = "";
  using rule_list = rules<>;
};
/// What export gives: pre-dispatch ATen, composites whole, mutation allowed (Python's dialect `TRAINING`).
struct training_ir {
  static constexpr std::string_view name = "training_ir", verifier = "TRAINING";
  using rule_list = rules<>;
};
/// Functional ATen (Python's dialect `ATEN`).
struct aten_ir {
  static constexpr std::string_view name = "aten_ir", verifier = "ATEN";
  using rule_list = rules<no_mutation>;
  using refines = dialects<training_ir>;
};
/// Functional ATen, core operators only.
struct core_aten {
  static constexpr std::string_view name = "core_aten", verifier = "ATEN";
  using rule_list = rules<no_mutation, core_operators>;
  using refines = dialects<aten_ir>;
};

} // namespace espalier
