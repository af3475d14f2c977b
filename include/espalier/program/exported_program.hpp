// SPDX-License-Identifier: BSL-1.0
// `exported_program<Dialect, Signature>`: what export gives and passes lower. The dialect of its graph and
// the C++ types of its call are part of its type, so that a pass or a caller that does not fit does not
// compile.
#pragma once

#include <espalier/archive/tree_spec_json.hpp>
#include <espalier/bridge/pytree.hpp>
#include <espalier/ir/dialect.hpp>
#include <espalier/ir/graph.hpp>
#include <espalier/ir/verify.hpp>
#include <espalier/program/program_base.hpp>
#include <espalier/program/program_verify.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace espalier {

/// The signature of a program whose C++ types are not known, such as one from a file.
struct dynamic {};

namespace detail {

template <class Signature>
struct typed_call {
  static_assert(
      std::same_as<Signature, dynamic>,
      "espalier::exported_program<Dialect, Signature> requires 'Signature' to be a function type such as "
      "at::Tensor(at::Tensor), or es::dynamic");
};

/// Puts the leaves of `given` in the order of `wanted`; false when the two do not nest alike, or have other
/// keys. Types may differ in name: Python's dataclass is a struct here. Keys may stand in another order.
template <class = when_used>
bool arrange_leaves(const tree_spec& given, const tree_spec& wanted, span<tree_leaf> leaves,
                    std::vector<c10::IValue>& out) {
  if (given.is_leaf() != wanted.is_leaf() || given.children.size() != wanted.children.size())
    return false;
  if (given.is_leaf()) {
    out.push_back(std::move(leaves.front().value));
    return true;
  }
  vector<std::size_t> first; // leaf of each child
  std::size_t n = 0;
  for (const auto& c : given.children) {
    first.push_back(n);
    n += c.num_leaves();
  }
  const auto have = keys_of(given), want = keys_of(wanted);
  const bool by_key = have.size() == given.children.size() && want.size() == have.size();
  for (std::size_t i = 0; i != wanted.children.size(); ++i) {
    const auto at =
        by_key ? static_cast<std::size_t>(std::find(have.begin(), have.end(), want[i]) - have.begin()) : i;
    if (at == given.children.size() ||
        !arrange_leaves(given.children[at], wanted.children[i], leaves.subspan(first[at]), out))
      return false;
  }
  return true;
}

template <class R, class... A>
struct typed_call<R(A...)> {
  static_assert((pytree_type<std::remove_cvref_t<A>> && ...),
                "espalier::exported_program<Dialect, R(A...)> requires every argument type to be a pytree "
                "(tensors, numbers, strings, optionals, tuples, vectors, maps, Hana structs); specialise "
                "es::pytree for yours");
  static_assert(std::same_as<R, void> || pytree_type<R>,
                "espalier::exported_program<Dialect, R(A...)> requires the result type to be a pytree "
                "(tensors, numbers, strings, optionals, tuples, vectors, maps, Hana structs); specialise "
                "es::pytree for yours");

  template <class... Given>
  static constexpr bool accepts() {
    if constexpr (sizeof...(Given) != sizeof...(A))
      return false;
    else
      return (std::convertible_to<Given, A> && ...);
  }

  static R refused(); // declared only: what calls it does not compile
  /// The leaves of typed arguments, checked against the program's structure.
  static std::vector<c10::IValue> flatten(const program_info& info, const std::remove_cvref_t<A>&... a) {
    vector<tree_leaf> leaves;
    (pytree<std::remove_cvref_t<A>>::flatten(a, std::string{}, leaves), ...);
    std::vector<c10::IValue> out;
    out.reserve(leaves.size());
    if (const auto* root = info.root(); root && root->in_spec.children.size() == 2) {
      vector<tree_spec> given{pytree<std::remove_cvref_t<A>>::spec(a)...};
      vector<tree_spec> wanted = root->in_spec.children[0].children;
      wanted.insert(wanted.end(), root->in_spec.children[1].children.begin(),
                    root->in_spec.children[1].children.end());
      if (!arrange_leaves(tree_spec::tuple(given), tree_spec::tuple(wanted), leaves, out))
        fail(error_kind::constraint,
             "the arguments nest as " + describe(tree_spec::tuple(given)) + ", but the program takes " +
                 describe(tree_spec::tuple(wanted)),
             "call of the program", "pass arguments of the structure it was exported with");
      return out;
    }
    for (auto& l : leaves)
      out.push_back(std::move(l.value));
    return out;
  }
  static R unflatten(const program_info& info, const std::vector<c10::IValue>& leaves) {
    if constexpr (!std::same_as<R, void>) {
      const auto* root = info.root();
      leaf_reader in(leaves,
                     root && root->out_spec.num_leaves() == leaves.size() ? &root->out_spec : nullptr);
      R r = pytree<R>::unflatten(in);
      if (!in.done())
        fail(error_kind::usage,
             "the program gives " + std::to_string(leaves.size()) +
                 " values, more than its result type holds",
             "call of the program", "name the result type of the model's forward");
      return r;
    }
  }
  /// `(*, [*, *], {'x': *})`: a leaf is a star.
  static std::string describe(const tree_spec& t) {
    if (t.is_leaf())
      return "*";
    const bool list = t.type == "builtins.list", tuple = t.type == "builtins.tuple";
    std::string s = list ? "[" : tuple ? "(" : "{";
    const auto keys = keys_of(t);
    for (std::size_t i = 0; i != t.children.size(); ++i)
      s += (i ? ", " : "") + (keys.size() == t.children.size() ? "'" + keys[i] + "': " : std::string()) +
           describe(t.children[i]);
    return s + (list ? "]" : tuple ? ")" : "}");
  }
};

} // namespace detail

/// A program: a flat graph, what its inputs and outputs stand for, and its state.
///
///     auto program = es::load<es::training_ir, at::Tensor(at::Tensor)>("net.pt2");
///     at::Tensor y = program(x);
///
/// Copies share tensors (state, constants) and own their graph; moves are cheap and keep prepared calls.
template <dialect Dialect = training_ir, class Signature = dynamic>
class exported_program : public program_base {
public:
  using dialect_type = Dialect;
  using signature_type = Signature;
  using graph_type = espalier::graph<Dialect>;

  exported_program(graph_type g, program_info info)
      : program_base(std::make_shared<graph_type>(std::move(g)), std::move(info)) {}
  exported_program(const exported_program& o) : program_base(o, std::make_shared<graph_type>(o.graph())) {}
  exported_program& operator=(const exported_program& o) { return *this = exported_program(o); }
  exported_program(exported_program&&) noexcept = default;
  exported_program& operator=(exported_program&&) noexcept = default;
  ~exported_program() = default;

  /// The graph. Taking it for writing drops the prepared call, so take it anew for edits between calls.
  graph_type& graph() noexcept {
    drop_plan();
    return static_cast<graph_type&>(*graph_);
  }
  const graph_type& graph() const noexcept { return static_cast<const graph_type&>(*graph_); }

  /// The flat call: leaves in, leaves out.
  using program_base::operator();

  /// The typed call.
  template <class... Given>
  requires(!std::same_as<Signature, dynamic> &&
           !(sizeof...(Given) >= 1 &&
             (std::same_as<std::remove_cvref_t<Given>, std::vector<c10::IValue>> || ...))) auto
  operator()(const Given&... args) const {
    using call = detail::typed_call<Signature>;
    constexpr bool fits = call::template accepts<Given...>();
    static_assert(fits, "espalier: program(args...): the arguments do not fit the program's signature "
                        "(exported_program<Dialect, Signature> in the lines "
                        "below names it); pass arguments of the types that forward() takes");
    if constexpr (fits)
      return call::unflatten(info_, program_base::operator()(call::flatten(info_, args...)));
    else
      return call::refused(); // of the right type, so that the sentence above stays the only error
  }

  /// This program under other types: another C++ signature, or a dialect that this one refines. Cheap for an
  /// rvalue.
  template <class OtherSignature>
  exported_program<Dialect, OtherSignature> with_signature() && {
    exported_program<Dialect, OtherSignature> p(std::move(graph()), std::move(info_));
    move_rest(p);
    return p;
  }
  /// This program with its graph in another dialect. Nothing is checked: call `verify()` unless a pass
  /// vouches for it.
  template <dialect To>
  exported_program<To, Signature> into() && {
    exported_program<To, Signature> p(espalier::graph<To>(std::move(*graph_)), std::move(info_));
    move_rest(p);
    return p;
  }

  /// Throws `error` (verification) at the first rule of the dialect, the operators' schemas or the signature
  /// that the program breaks.
  void verify() const { throw_first(diagnose()); }
  /// All that `verify` would complain of.
  vector<diagnostic> diagnose(const verify_options& options = {}) const {
    auto found = espalier::verify<Dialect>(*graph_, options);
    detail::verify_signature(*graph_, info_, state_, constants_, objects_, found);
    return found;
  }

private:
  template <class P>
  void move_rest(P& p) {
    p.state_dict() = std::move(state_);
    p.constants() = std::move(constants_);
    p.objects() = std::move(objects_);
    p.example_inputs() = std::move(examples_);
    p.rest() = std::move(rest_);
  }
};

} // namespace espalier
