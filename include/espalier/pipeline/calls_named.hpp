// SPDX-License-Identifier: BSL-1.0
// Operators chosen by name at run time: the predicate that a pipeline's text gives to `split`.
#pragma once

#include <espalier/ir/view.hpp>
#include <espalier/schema/builtin.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/support/config.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace espalier {

/// The predicate of calls to operators that are named as printers name them:
///
///     es::calls_named().add("aten.mm.default").add("aten.add").add("aten._softmax*").add("not:aten.add.Scalar")
///
/// A name without an overload takes every overload, as `torch.ops.aten.add` does in Python; `*` stands for
/// any letters, also none. `not:` takes calls away from those that other names gave, or from all calls when
/// there are no others; the order says nothing. A node costs as much as its name has letters, times the
/// names.
class calls_named {
public:
  /// Throws `error` (usage) for what can be the name of no operator: without a namespace, with letters that
  /// names have not, or of no operator of ATen.
  template <class = when_used>
  calls_named& add(std::string_view name) {
    const bool away = name.starts_with(without);
    const std::string_view bare = away ? name.substr(without.size()) : name;
    check(name, bare);
    (away ? not_these_ : these_).emplace_back(bare);
    return *this;
  }
  bool empty() const noexcept { return these_.empty() && not_these_.empty(); }

  template <class = when_used>
  bool operator()(node n) const {
    const std::string target = target_of(n.op());
    return (these_.empty() ? !not_these_.empty() : any(these_, target)) && !any(not_these_, target);
  }

  /// `aten.mm.default, not:aten.add.Scalar`: those that take away come last.
  template <class = when_used>
  std::string text() const {
    std::string out;
    for (const auto& name : these_)
      out += (out.empty() ? "" : ", ") + name;
    for (const auto& name : not_these_)
      out += (out.empty() ? "" : ", ") + std::string(without) + name;
    return out;
  }

private:
  static constexpr std::string_view without = "not:";

  static bool any(const vector<std::string>& names, std::string_view target) {
    const std::string_view bare = target.substr(0, target.rfind('.'));
    for (const auto& name : names)
      if (matches(name, target) || matches(name, bare))
        return true;
    return false;
  }
  /// Starts over behind the last star when letters differ: the square of a name's length at worst.
  static constexpr bool matches(std::string_view pattern, std::string_view text) noexcept {
    std::size_t p = 0, t = 0, star = pattern.npos, from = 0;
    while (t != text.size())
      if (p != pattern.size() && pattern[p] == '*') {
        star = p++;
        from = t;
      } else if (p != pattern.size() && pattern[p] == text[t]) {
        ++p;
        ++t;
      } else if (star != pattern.npos) {
        p = star + 1;
        t = ++from;
      } else {
        return false;
      }
    while (p != pattern.size() && pattern[p] == '*')
      ++p;
    return p == pattern.size();
  }

  static void check(std::string_view given, std::string_view name) {
    const auto refuse = [&](std::string why) {
      fail(error_kind::usage, std::move(why), "operator '" + std::string(given) + "'",
           "write it as --print does: aten.add.Tensor, aten.add for all of its overloads, aten.* for all of "
           "ATen");
    };
    const auto star = name.find('*');
    for (const char c : name)
      if (!(c == '_' || c == '.' || c == '*' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
            (c >= 'A' && c <= 'Z')))
        refuse("no operator has '" + std::string(1, c) + "' in its name");
    if (star == name.npos && (name.find('.') == name.npos || name.starts_with('.') || name.ends_with('.')))
      refuse("it has no namespace and name");
    if (star == name.npos && name.starts_with("aten.") && !in_aten(name))
      refuse("ATen has no such operator");
  }
  /// The table of ATen is whole; operators of other namespaces may become known later.
  static bool in_aten(std::string_view name) {
    const std::string qualified = "aten::" + std::string(name.substr(5));
    if (find_op(qualified))
      return true;
    for (std::uint32_t i = 0; i != detail::num_aten_ops; ++i)
      if (const auto row = detail::aten_row_name(i); row.substr(0, row.find('.')) == qualified)
        return true;
    return false;
  }

  vector<std::string> these_, not_these_;
};

} // namespace espalier
