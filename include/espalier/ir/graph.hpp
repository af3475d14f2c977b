// SPDX-License-Identifier: BSL-1.0
// `graph<Dialect>`: a graph whose dialect is a type, and a builder that the compiler checks: arity, argument
// kinds, names, defaults, and whether the dialect permits the operator. All of it is a thin shell over
// `graph_storage`.
#pragma once

#include <espalier/ir/build_check.hpp>
#include <espalier/ir/dialect.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/schema/op_traits.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

namespace espalier {

/// A graph of dialect `D`. Reading, editing and metadata are `graph_storage`'s; building is typed.
///
///     es::graph<es::core_aten> g;
///     auto x = g.placeholder<es::input_kind::user_input>("x", meta);
///     auto y = g.call<es::aten::add_Tensor>(x, x, es::kw<"alpha">(2));
///     g.output(y);
template <dialect D>
class graph : public graph_storage {
public:
  using dialect_type = D;

  constexpr graph() = default;
  /// Takes untyped storage as a graph of this dialect. Nothing is checked here: `verify<D>` does that.
  constexpr explicit graph(graph_storage s) : graph_storage(std::move(s)) {}
  /// A graph of a dialect that refines this one is one of this dialect.
  template <dialect From>
  requires(!std::same_as<From, D> && refines<From, D>) constexpr graph(graph<From> g)
      : graph_storage(std::move(static_cast<graph_storage&>(g))) {}

  constexpr graph_storage& storage() noexcept { return *this; }
  constexpr const graph_storage& storage() const noexcept { return *this; }

  /// Appends a placeholder after the others.
  template <input_kind K = input_kind::user_input>
  constexpr value placeholder(std::string_view name, const value_meta& m = {}) {
    const meta_id id = m.kind == value_kind::unknown ? meta_id{} : this->intern_meta(m);
    return view(this->graph_storage::placeholder(K, name, id));
  }

  /// Calls an operator. Arguments go in schema order, the rest by name (`kw<"alpha">(2)`); those with
  /// defaults may be left out. Gives the result as a `value`; several as `std::array<value, N>`; none as the
  /// `node`.
  template <op_type Op, class... A>
  constexpr auto call(A&&... a) {
    detail::check_permitted<D, Op>();
    detail::check_not_list_result<Op>();
    using traits = op_traits<Op>;
    if constexpr (detail::check_arguments<Op, std::remove_cvref_t<A>...>()) {
      const node_id n = put<Op>(traits::num_returns, false, static_cast<A&&>(a)...);
      if constexpr (traits::num_returns == 1) {
        return view(n);
      } else if constexpr (traits::num_returns == 0) {
        return node(*this, n);
      } else {
        std::array<value, traits::num_returns> out;
        for (std::size_t i = 0; i != out.size(); ++i)
          out[i] = value(*this, this->result(n, i));
        return out;
      }
    } else {
      return detail::refused{}; // the sentence has been said; nothing else should fail
    }
  }

  /// Calls an operator whose result is a list of `count` tensors (`split`, `unbind`): the node's results are
  /// its elements.
  template <op_type Op, class... A>
  constexpr node call_list(std::size_t count, A&&... a) {
    detail::check_permitted<D, Op>();
    if constexpr (detail::check_arguments<Op, std::remove_cvref_t<A>...>())
      return node(*this, put<Op>(count, true, static_cast<A&&>(a)...));
  }

  /// A call of an operator known at run time only. The dialect's rules are checked and broken ones thrown.
  constexpr node call_dynamic(op_id op, span<const argument> args, std::size_t num_results,
                              bool list_result = false) {
    if (const auto why = D::rule_list::refuses(flags_of(op)); !why.empty())
      fail(error_kind::verification, std::string(why),
           "operator '" + std::string(name_of(op)) + "' in dialect " + std::string(D::name),
           "lower the operator first, or build in a dialect that permits it");
    return node(*this, this->graph_storage::call(op, args, num_results, list_result));
  }

  /// The output node.
  template <class... V>
  requires(std::convertible_to<const V&, argument>&&...) constexpr node output(const V&... v) {
    const std::array<argument, sizeof...(V)> a{argument(v)...};
    return node(*this, this->graph_storage::output(a));
  }
  constexpr node output(span<const value> vs) {
    vector<argument> a;
    for (auto& v : vs)
      a.push_back(argument(v));
    return node(*this, this->graph_storage::output(a));
  }

private:
  constexpr value view(node_id n) const { return value(*this, this->result(n)); }

  template <op_type Op, class... A>
  constexpr node_id put(std::size_t results, bool list, A&&... a) {
    std::array<argument, op_traits<Op>::arity == 0 ? 1 : op_traits<Op>::arity> args{};
    return detail::with_arguments<Op, 0>(
        args,
        [&] {
          return this->graph_storage::call(
              id_of<Op>(), span<const argument>(args.data(), op_traits<Op>::arity), results, list);
        },
        a...);
  }
};

/// A node known to call `Op`: its arguments by name.
template <op_type Op>
class matched {
public:
  constexpr matched() noexcept = default;
  constexpr explicit matched(node n) noexcept : n_(n) {}
  constexpr explicit operator bool() const noexcept { return static_cast<bool>(n_); }
  constexpr node operator*() const noexcept { return n_; }
  constexpr const node* operator->() const noexcept { return &n_; }

  /// The argument of that name in the schema: a `value` for a required tensor, else an `arg_view` (absent
  /// when it was left out). An unknown name does not compile.
  template <fixed_string Name>
  constexpr auto arg() const {
    constexpr std::size_t i = op_traits<Op>::template index_of<Name>;
    constexpr arg_type t = op_traits<Op>::schema.args[i].type;
    if constexpr (t.kind == arg_kind::tensor && !t.optional && t.list_depth == 0)
      return n_.arg(i).as_value();
    else
      return n_.arg(i);
  }
  constexpr value result(std::size_t i = 0) const { return n_.result(i); }

private:
  node n_{};
};

/// `n` as a call of `Op`, or an empty match. One comparison of integers.
template <op_type Op>
constexpr matched<Op> match(node n) noexcept {
  return n && n.is_call(id_of<Op>()) ? matched<Op>(n) : matched<Op>();
}
/// The node that computes `v`, likewise.
template <op_type Op>
constexpr matched<Op> match(value v) noexcept {
  return v ? match<Op>(v.def()) : matched<Op>();
}

} // namespace espalier
