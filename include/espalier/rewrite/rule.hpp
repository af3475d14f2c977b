// SPDX-License-Identifier: BSL-1.0
// A rewrite rule: a name, a pattern, and a function that builds what stands in its place. New nodes go before
// the root of the match; their metas come from the shape rules, their origin from the matched calls, so that
// nothing is lost by not thinking of it.
#pragma once

#include <espalier/ir/build_check.hpp>
#include <espalier/ir/dialect.hpp>
#include <espalier/ir/infer.hpp>
#include <espalier/rewrite/match.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

namespace espalier {

/// What a rule's function builds with. `D` is the dialect that the new nodes must keep the rules of.
template <dialect D>
class rewriter {
public:
  /// `calls`: those that the rule matched, the root among them.
  constexpr rewriter(graph_storage& g, node_id root, vector<node_id>& made, span<const node_id> calls = {})
      : g_(&g), root_(root), calls_(calls), made_(&made) {}

  constexpr graph_storage& graph() const noexcept { return *g_; }

  /// Calls an operator, checked like `graph<D>::call`, before the root of the match. One result comes back as
  /// a `value`, several as an array.
  template <op_type Op, class... A>
  constexpr auto call(const A&... a) {
    detail::check_permitted<D, Op>();
    detail::check_not_list_result<Op>();
    using traits = op_traits<Op>;
    if constexpr (detail::check_arguments<Op, A...>()) {
      const node_id n = put<Op>(traits::num_returns, false, a...);
      if constexpr (traits::num_returns == 1) {
        return value(*g_, g_->result(n));
      } else {
        std::array<value, traits::num_returns> out;
        for (std::size_t i = 0; i != out.size(); ++i)
          out[i] = value(*g_, g_->result(n, i));
        return out;
      }
    } else {
      return detail::refused{};
    }
  }
  /// Calls an operator that gives a list of `count` tensors: the node's results are its elements.
  template <op_type Op, class... A>
  constexpr node call_list(std::size_t count, const A&... a) {
    detail::check_permitted<D, Op>();
    if constexpr (detail::check_arguments<Op, A...>())
      return node(*g_, put<Op>(count, true, a...));
    else
      return {};
  }
  /// An argument of the graph, to be handed on as it is: `r.call<Op>(x, r.same(m[constant<"dim">]))`.
  constexpr argument same(const arg_view& a) {
    return a.slot().valid() ? g_->copy_arg(a.user(), a.slot(), copies_.emplace_back()) : argument{};
  }

private:
  template <op_type Op, class... A>
  constexpr node_id put(std::size_t results, bool list, const A&... a) {
    std::array<argument, op_traits<Op>::arity == 0 ? 1 : op_traits<Op>::arity> args{};
    const auto at = g_->current_insertion_point();
    g_->set_insertion_point({root_});
    const node_id n = detail::with_arguments<Op, 0>(
        args,
        [&] {
          return g_->call(id_of<Op>(), span<const argument>(args.data(), op_traits<Op>::arity), results,
                          list);
        },
        a...);
    g_->set_insertion_point(at);
    made_->push_back(n);
    g_->set_origin(n, joined_origin());
    infer_metas(*g_, n);
    return n;
  }
  /// Where the root comes from; what it does not say, the other calls of the match do.
  constexpr origin_id joined_origin() {
    origin_id mine = g_->origin_of(root_);
    for (const node_id n : calls_) {
      const origin_id other = g_->origin_of(n);
      if (!other.valid() || other == mine)
        continue;
      if (!mine.valid()) {
        mine = other;
        continue;
      }
      origin both = g_->get_origin(mine);
      const auto known = both.entries.size();
      for (const auto& e : g_->get_origin(other).entries)
        if (!both.find(e.key).valid())
          both.entries.push_back(e);
      if (both.entries.size() != known)
        mine = g_->intern_origin(both);
    }
    return mine;
  }

  graph_storage* g_;
  node_id root_;
  span<const node_id> calls_;
  vector<node_id>* made_;
  vector<graph_storage::copied_args> copies_; // what they own stays where it is when they move
};

/// A rule. Its function takes a `rewriter` and the match, both best as `auto&`, and gives the value that
/// stands for the root's result: a `value`, an array of values for a root with several, or an empty
/// `std::optional<value>` to decline.
template <fixed_string Name, root_pattern P, class F>
struct rewrite_rule {
  static constexpr auto name_text = Name;
  static constexpr std::string_view name = name_text.view();
  using pattern_t = P;
  using root_op = typename P::op;
  P pattern;
  [[no_unique_address]] F make;
};

/// `rewrite<"double-relu">(pattern<relu>(pattern<relu>(x)), [](auto& r, const auto& m) { ... })`.
template <fixed_string Name, root_pattern P, class F>
constexpr rewrite_rule<Name, P, F> rewrite(P p, F f) {
  return {static_cast<P&&>(p), static_cast<F&&>(f)};
}

/// Says why something is the pattern of no rule.
template <fixed_string Name, class P, class F>
requires(!root_pattern<P>) constexpr void rewrite(P, F) {
  static_assert(
      root_pattern<P>,
      "espalier: rewrite<NAME>(pattern, function) requires the pattern of a call, such as "
      "es::pattern<aten::relu>(x): a rule is found by the operator at its root; write one around it");
}

namespace detail {

template <class R>
inline constexpr bool is_rewrite_rule = false;
template <fixed_string N, class P, class F>
inline constexpr bool is_rewrite_rule<rewrite_rule<N, P, F>> = true;

/// What a rule's function gave, as value ids; `count` 0 when it declined.
template <std::size_t N>
struct replacement {
  std::array<value_id, N == 0 ? 1 : N> by{};
  std::size_t count = 0;
};

/// The template arguments are what the compiler prints beside the sentence.
template <class Op, class Given>
struct rule_gives {
  static constexpr std::size_t wanted = op_traits<Op>::num_returns;
  static constexpr bool one = std::same_as<Given, value> || optional_of<Given, value>;
  static constexpr bool ok = (wanted == 1 && one) || std::same_as<Given, std::array<value, wanted>> ||
                             optional_of<Given, std::array<value, wanted>> || std::same_as<Given, refused>;
  static_assert(
      ok, "espalier: rewrite<NAME>(pattern, function) requires a function that gives an es::value for a "
          "root with one result, and std::array<es::value, N> for one with N (rule_gives<OP, TYPE GIVEN> "
          "names them); std::optional of it may be empty to decline");
};

template <class Op, class Given>
constexpr replacement<op_traits<Op>::num_returns> as_replacement(const Given& x) {
  replacement<op_traits<Op>::num_returns> out;
  if constexpr (std::same_as<Given, value>) {
    if (x)
      out.by[out.count++] = x.id();
  } else if constexpr (requires { x.has_value(); }) {
    return x ? as_replacement<Op>(*x) : out;
  } else if constexpr (requires { x.size(); }) {
    for (const value& v : x)
      out.by[out.count++] = v.id();
  }
  return out;
}

} // namespace detail

/// A `rewrite_rule`.
template <class R>
concept rule_type = detail::is_rewrite_rule<R>;

} // namespace espalier
