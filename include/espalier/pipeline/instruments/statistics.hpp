// SPDX-License-Identifier: BSL-1.0
// What passes counted about themselves (`pass_context::count`), as a table.
#pragma once

#include <espalier/ir/format.hpp>
#include <espalier/pipeline/pass_context.hpp>

#include <algorithm>
#include <string>
#include <string_view>

namespace espalier {

/// A line a statistic, in the order in which they were first counted: value, pass, what was counted. Empty
/// when nothing was.
template <class = when_used>
std::string statistics_table(const pass_context& c) {
  const auto rows = c.statistics();
  if (rows.empty())
    return {};
  const std::string_view heads[] = {"count", "pass", "what"};
  std::size_t count_width = heads[0].size(), pass_width = heads[1].size();
  for (const auto& r : rows) {
    std::string value;
    detail::append_int(value, r.value);
    count_width = std::max(count_width, value.size());
    pass_width = std::max(pass_width, r.pass.size());
  }
  std::string out;
  const auto line = [&](std::string_view count, std::string_view pass, std::string_view what) {
    out.append(count_width - count.size(), ' ').append(count).append(2, ' ').append(pass);
    out.append(pass_width - pass.size() + 2, ' ').append(what).append(1, '\n');
  };
  line(heads[0], heads[1], heads[2]);
  for (const auto& r : rows) {
    std::string value;
    detail::append_int(value, r.value);
    line(value, r.pass, r.name);
  }
  return out;
}

} // namespace espalier
