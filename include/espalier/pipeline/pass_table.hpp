// SPDX-License-Identifier: BSL-1.0
// Contracts of passes as a table for a page: written from the passes' own declarations, so that it cannot say
// anything else than what the compiler proves pipelines with.
#pragma once

#include <espalier/pipeline/pass.hpp>
#include <espalier/support/span.hpp>

#include <string>
#include <string_view>

namespace espalier {

namespace detail {

inline std::string listed(span<const property_info> ps) {
  std::string out;
  for (const auto& p : ps)
    out += (out.empty() ? "" : ", ") + std::string(p.name);
  return out;
}
inline std::string listed(span<const std::string_view> names) {
  std::string out;
  for (auto n : names)
    out += (out.empty() ? "" : ", ") + std::string(n);
  return out;
}

} // namespace detail

/// A Markdown table of contracts, a row each, in the order given.
template <class = when_used>
std::string pass_table(span<const pass_facts> passes) {
  std::string out = "| pass | does | takes | gives | needs | establishes | destroys | preserves |\n"
                    "|---|---|---|---|---|---|---|---|\n";
  for (const auto& f : passes) {
    out += "| `" + std::string(f.name) +
           (f.options.empty() ? std::string() : "<" + std::string(f.options) + ">") + "` | " +
           std::string(f.description) + " | " + (f.takes.type ? std::string(f.takes.name) : "any") + " | " +
           (f.gives.type ? std::string(f.gives.name) : "the same") + " | " + detail::listed(f.needs) + " | " +
           detail::listed(f.establishes) + " | " +
           (f.destroys_rest ? std::string("all else") : detail::listed(f.destroys)) + " | " +
           (f.preserves_all ? std::string("all analyses") : detail::listed(f.preserves)) + " |\n";
  }
  return out;
}

} // namespace espalier
