// SPDX-License-Identifier: BSL-1.0
// Dialects: a tag type that says what a graph may hold. Rules are types, so that the compiler checks a typed
// builder against them, and the verifier a graph from a file, by the same constant expression. A user's
// dialect is a struct with a name and a list of rules.
#pragma once

#include <espalier/schema/op_id.hpp>

#include <concepts>
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
/// empty if none), and its rules.
template <class D>
concept dialect = requires(op_flags f) {
  { D::name } -> std::convertible_to<std::string_view>;
  { D::verifier } -> std::convertible_to<std::string_view>;
  { D::rule_list::refuses(f) } -> std::same_as<std::string_view>;
};

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
};
/// Functional ATen, core operators only.
struct core_aten {
  static constexpr std::string_view name = "core_aten", verifier = "ATEN";
  using rule_list = rules<no_mutation, core_operators>;
};

/// Whether every graph of dialect `From` is one of dialect `To` by definition: a pass for `To` takes it as it
/// is.
template <class From, class To>
inline constexpr bool refines = std::same_as<From, To>;
template <>
inline constexpr bool refines<core_aten, aten_ir> = true;
template <>
inline constexpr bool refines<core_aten, training_ir> = true;
template <>
inline constexpr bool refines<aten_ir, training_ir> = true;

} // namespace espalier
