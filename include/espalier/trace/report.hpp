// SPDX-License-Identifier: BSL-1.0
// What a trace tells besides its graph: how each operator's results were computed, and what it took for
// granted or had to decide (constants, lost gradients, baked values), each with the user's place and a cure.
#pragma once

#include <espalier/schema/op_id.hpp>
#include <espalier/support/vector.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace espalier {

/// How the results of an operator were computed while tracing, cheapest first.
enum class served_by : std::uint8_t {
  shape_rule,   ///< one of our rules (espalier/meta)
  composite,    ///< LibTorch's composite kernel, its inner calls being served like any other
  meta_kernel,  ///< LibTorch's meta kernel
  zero_tensors, ///< the real kernel on zero-filled tensors of the real sizes
};
template <class = when_used>
constexpr std::string_view to_string(served_by s) noexcept {
  constexpr std::string_view names[] = {"shape rule", "composite", "meta kernel", "zero tensors"};
  return names[static_cast<int>(s)];
}

/// What a note is about.
enum class note_kind : std::uint8_t {
  lifted_constant,   ///< a tensor unknown to the model became a constant, with its value of that moment
  raw_write,         ///< a tensor that was filled by raw pointer became a constant
  constant_mutated,  ///< the program changes a lifted constant: it carries state from run to run
  custom_backward,   ///< a custom autograd function: its forward is recorded, its backward is not
  requires_grad_set, ///< requires_grad_() on a tensor computed inside the traced call
  equality_assumed,  ///< equal() of two different tensors was taken as false
  generator_dropped, ///< an explicit random generator is not part of the program
  layout_asked,      ///< the strides of an input, or whether it is contiguous, are taken from the example
  unused_input,      ///< no operator reads a tensor that the user passes
};
template <class = when_used>
constexpr std::string_view to_string(note_kind k) noexcept {
  constexpr std::string_view names[] = {"lifted constant",   "raw write",          "constant mutated",
                                        "custom backward",   "requires_grad_ set", "equality assumed",
                                        "generator dropped", "layout asked",       "unused input"};
  return names[static_cast<int>(k)];
}

/// Something the user should know. Nothing is wrong with the program as long as what it says is meant.
struct trace_note {
  note_kind kind;
  std::string cause, place, cure;
};
template <class = when_used>
std::string to_string(const trace_note& n) {
  std::string s = std::string(to_string(n.kind)) + ": " + n.cause;
  if (!n.place.empty())
    s += " (at " + n.place + ")";
  if (!n.cure.empty())
    s += "; " + n.cure;
  return s;
}

/// Counts and notes of one trace.
struct trace_report {
  struct op_count {
    op_id op;
    served_by by;
    std::size_t calls;
  };
  vector<op_count> ops;     ///< recorded operators and how they were served, by name
  vector<trace_note> notes; ///< in order of appearance

  /// Calls served in one way.
  template <class = when_used>
  std::size_t served(served_by by) const noexcept {
    std::size_t n = 0;
    for (const auto& c : ops)
      n += c.by == by ? c.calls : 0;
    return n;
  }
  template <class = when_used>
  const trace_note* find(note_kind k) const noexcept {
    for (const auto& n : notes)
      if (n.kind == k)
        return &n;
    return nullptr;
  }
};

/// A table for people: operators that had no rule, and the notes.
template <class = when_used>
std::string to_string(const trace_report& r) {
  std::string s;
  std::array<std::size_t, 4> total{};
  for (const auto& c : r.ops)
    total[static_cast<std::size_t>(c.by)] += c.calls;
  for (std::size_t i = 0; i != total.size(); ++i)
    if (total[i])
      s += std::to_string(total[i]) + " calls by " + std::string(to_string(static_cast<served_by>(i))) + '\n';
  for (const auto& c : r.ops)
    if (c.by != served_by::shape_rule)
      s += "  " + std::string(name_of(c.op)) + " x" + std::to_string(c.calls) + ": no shape rule, " +
           std::string(to_string(c.by)) + '\n';
  for (const auto& n : r.notes)
    s += to_string(n) + '\n';
  return s;
}

} // namespace espalier
