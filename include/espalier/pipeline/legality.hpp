// SPDX-License-Identifier: BSL-1.0
// The proof that a sequence of passes is legal. One function for constant evaluation (a pipeline that is a
// type) and for run time (a pipeline read from a command line, or one with stages switched off): it walks the
// facts of the passes, follows dialect and properties, and says in a sentence what is wrong, who is to blame
// and what to do. For a type, the compiler prints that sentence.
#pragma once

#include <espalier/pipeline/pass.hpp>
#include <espalier/support/fixed_string.hpp>
#include <espalier/support/span.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace espalier {

/// What makes a pipeline illegal.
enum class pipeline_fault : std::uint8_t {
  none,
  wrong_dialect,      ///< a pass takes another dialect than the one that is there
  no_graph,           ///< a pass takes any graph, but none is made yet
  property_destroyed, ///< a pass needs a property that an earlier pass destroyed
  property_missing,   ///< a pass needs a property that neither the input has nor an earlier pass established
  too_many_properties,
};

/// Where a pipeline is illegal, and who is to blame.
struct pipeline_verdict {
  static constexpr std::size_t nobody = ~std::size_t{};
  pipeline_fault fault = pipeline_fault::none;
  std::size_t position = 0;     ///< of the pass that cannot run, from 0
  std::string_view property;    ///< the property that it needs
  std::size_t culprit = nobody; ///< the position of the pass that destroyed the property or gave the dialect
  dialect_info found{}, wanted{};
  constexpr bool legal() const noexcept { return fault == pipeline_fault::none; }
};

/// Follows dialect and properties along a sequence of passes.
class pipeline_prover {
public:
  /// How many properties a pipeline may speak of.
  static constexpr std::size_t capacity = 64;

  /// A pipeline whose input is not known yet: what it asks of its input is collected.
  constexpr pipeline_prover() = default;
  /// A pipeline over a graph of a known dialect that has the properties listed and no others.
  constexpr explicit pipeline_prover(const dialect_info& d, span<const property_info> has = {})
      : now_(d), exact_(true), closed_(true) {
    for (const auto& p : has)
      set(p, true, pipeline_verdict::nobody);
  }

  /// One more pass. False, and the verdict says why, when it cannot run here; then nothing more is followed.
  constexpr bool step(const pass_facts& f, std::size_t position) {
    if (!verdict_.legal())
      return false;
    if (!take(f, position))
      return false;
    for (const auto& p : f.needs)
      if (!need(p, position))
        return false;
    if (f.destroys_rest)
      for (std::size_t i = 0; i != size_; ++i)
        if (!marks_[i].p.lasts)
          mark(marks_[i], false, position);
    if (f.destroys_rest) {
      rest_destroyed_ = true;
      rest_by_ = position;
    }
    for (const auto& p : f.destroys)
      set(p, false, position);
    for (const auto& p : f.establishes)
      set(p, true, position);
    return verdict_.legal();
  }
  constexpr bool steps(span<const pass_facts> all) {
    for (std::size_t i = 0; i != all.size(); ++i)
      if (!step(all[i], i))
        return false;
    return true;
  }

  constexpr const pipeline_verdict& verdict() const noexcept { return verdict_; }
  /// The dialect that the first pass with a wish takes; none: any.
  constexpr const dialect_info& takes() const noexcept { return takes_; }
  /// The dialect at the end; none: the one that was given.
  constexpr dialect_info gives() const noexcept { return exact_ ? now_ : dialect_info{}; }
  /// Whether the property is known to hold at the end.
  constexpr bool holds(const property_info& p) const noexcept {
    if (exact_ && p.provided_by(now_))
      return true;
    const auto i = find(p);
    return i != size_ && marks_[i].holds;
  }

  /// Lists of properties, for a pipeline that is a pass of another one.
  struct summary {
    std::array<property_info, capacity> needs{}, establishes{}, destroys{};
    std::size_t num_needs = 0, num_establishes = 0, num_destroys = 0;
    bool destroys_rest = false;
  };
  constexpr summary summarize() const {
    summary s;
    for (std::size_t i = 0; i != num_open_; ++i)
      s.needs[s.num_needs++] = open_[i];
    for (std::size_t i = 0; i != size_; ++i)
      if (marks_[i].by != pipeline_verdict::nobody) { // not merely taken from the input
        if (marks_[i].holds)
          s.establishes[s.num_establishes++] = marks_[i].p;
        else
          s.destroys[s.num_destroys++] = marks_[i].p;
      }
    s.destroys_rest = rest_destroyed_;
    return s;
  }

private:
  struct record {
    property_info p{};
    bool holds = false;
    std::size_t by = 0;
  };

  /// The index of its record; `size_` when there is none.
  constexpr std::size_t find(const property_info& p) const noexcept {
    std::size_t i = 0;
    while (i != size_ && marks_[i].p.type != p.type)
      ++i;
    return i;
  }
  static constexpr void mark(record& m, bool holds, std::size_t by) noexcept {
    m.holds = holds;
    m.by = by;
  }
  constexpr void set(const property_info& p, bool holds, std::size_t by) {
    if (const auto i = find(p); i != size_)
      return mark(marks_[i], holds, by);
    if (size_ == capacity) {
      verdict_.fault = pipeline_fault::too_many_properties;
      verdict_.position = by;
      return;
    }
    marks_[size_++] = {p, holds, by};
  }

  constexpr bool take(const pass_facts& f, std::size_t position) {
    if (f.takes.type != 0) {
      if (now_.type == 0) {
        if (!f.takes.has_graph && looks_at_ != pipeline_verdict::nobody) {
          verdict_ = {pipeline_fault::no_graph, looks_at_, {}, pipeline_verdict::nobody, f.takes, {}};
          return false;
        }
        takes_ = now_ = f.takes;
      } else if (!dialect_refines(now_, f.takes)) {
        // a wish narrower than an earlier one narrows what the pipeline asks for, as long as nothing is made
        if (!exact_ && dialect_refines(f.takes, now_)) {
          takes_ = now_ = f.takes;
        } else {
          verdict_ = {pipeline_fault::wrong_dialect, position, {}, dialect_by_, now_, f.takes};
          return false;
        }
      }
    } else if (f.needs_graph && !now_.has_graph) {
      verdict_ = {pipeline_fault::no_graph, position, {}, dialect_by_, now_, {}};
      return false;
    } else if (f.needs_graph && looks_at_ == pipeline_verdict::nobody) {
      looks_at_ = position;
    }
    if (f.gives.type != 0) {
      now_ = f.gives;
      exact_ = true;
      dialect_by_ = position;
    }
    return true;
  }

  constexpr bool need(const property_info& p, std::size_t position) {
    // what a dialect's rules guarantee holds as long as a graph is of that dialect
    if (now_.type != 0 && p.provided_by(now_))
      return true;
    const auto i = find(p);
    const bool known = i != size_;
    if (known && marks_[i].holds)
      return true;
    if (known || (rest_destroyed_ && !p.lasts)) {
      verdict_ = {pipeline_fault::property_destroyed, position, p.name,
                  known ? marks_[i].by : rest_by_,    {},       {}};
      return false;
    }
    if (closed_) {
      verdict_ = {pipeline_fault::property_missing, position, p.name, pipeline_verdict::nobody, {}, {}};
      return false;
    }
    open_[num_open_++] = p;
    set(p, true, pipeline_verdict::nobody);
    return verdict_.legal();
  }

  pipeline_verdict verdict_{};
  dialect_info takes_{}, now_{};
  bool exact_ = false;  // now_ is the dialect, not merely one that it refines
  bool closed_ = false; // the input is known
  std::size_t dialect_by_ = pipeline_verdict::nobody;
  std::size_t looks_at_ = pipeline_verdict::nobody; // the first pass that takes any graph
  std::array<record, capacity> marks_{};
  std::size_t size_ = 0;
  bool rest_destroyed_ = false;
  std::size_t rest_by_ = 0;
  std::array<property_info, capacity> open_{};
  std::size_t num_open_ = 0;
};

namespace detail {
/// The contract of a sequence that the prover went through, as one pass; it points into `s`.
constexpr pass_facts facts_of_summary(std::string_view name, const pipeline_prover& p,
                                      const pipeline_prover::summary& s) {
  return {name,
          p.takes(),
          p.gives(),
          {s.needs.data(), s.num_needs},
          {s.establishes.data(), s.num_establishes},
          {s.destroys.data(), s.num_destroys},
          s.destroys_rest};
}
} // namespace detail

/// A sentence of bounded length, made in constant evaluation or at run time.
struct pipeline_sentence {
  char data[480]{};
  std::size_t size = 0;
  constexpr pipeline_sentence& operator<<(std::string_view s) noexcept {
    for (char c : s)
      if (size + 1 < sizeof data)
        data[size++] = c;
    return *this;
  }
  constexpr pipeline_sentence& operator<<(std::size_t n) noexcept {
    char digits[20];
    std::size_t k = 0;
    do
      digits[k++] = static_cast<char>('0' + n % 10);
    while (n /= 10);
    while (k)
      *this << std::string_view(&digits[--k], 1);
    return *this;
  }
  constexpr std::string_view view() const noexcept { return {data, size}; }
};

/// WHAT pass at WHICH position cannot run, WHO is to blame, and HOW to mend it; empty for a legal pipeline.
/// `names` are those of the passes.
constexpr pipeline_sentence explain(const pipeline_verdict& v, span<const pass_facts> all) {
  pipeline_sentence s;
  const auto pass_at = [&](std::size_t i) { s << "pass '" << all[i].name << "' at position " << i + 1; };
  switch (v.fault) {
  case pipeline_fault::none:
    break;
  case pipeline_fault::wrong_dialect:
    pass_at(v.position);
    s << " takes a graph of dialect " << v.wanted.name << ", but ";
    if (v.culprit != v.nobody) {
      pass_at(v.culprit);
      s << " gives " << v.found.name << "; put a pass that lowers " << v.found.name << " to " << v.wanted.name
        << " between them, or change their order";
    } else {
      s << "the graph is of dialect " << v.found.name << "; put a pass that lowers " << v.found.name << " to "
        << v.wanted.name << " before it";
    }
    break;
  case pipeline_fault::no_graph:
    pass_at(v.position);
    s << " takes a graph, but there is none yet (" << v.found.name
      << "); put the pass that makes the graph before it";
    break;
  case pipeline_fault::property_destroyed:
    pass_at(v.position);
    s << " needs property '" << v.property << "', which ";
    pass_at(v.culprit);
    s << " destroyed; put a pass that establishes '" << v.property
      << "' between them, change their order, or put "
      << "check<property> before it if it still holds";
    break;
  case pipeline_fault::property_missing:
    pass_at(v.position);
    s << " needs property '" << v.property << "', which nobody established; put a pass that establishes '"
      << v.property << "' before it, or check<property> if the graph has it";
    break;
  case pipeline_fault::too_many_properties:
    s << "the pipeline speaks of more than " << pipeline_prover::capacity
      << " properties; split it into several pipelines";
    break;
  }
  return s;
}

namespace detail {

/// How much of a string in a template argument the compiler prints: clang cuts it off.
#ifdef __clang__
inline constexpr std::size_t printed_width = 31;
#else
inline constexpr std::size_t printed_width = sizeof(pipeline_sentence::data);
#endif

/// Where the lines of a sentence end when it is broken between words to the printed width.
struct line_ends {
  std::size_t at[sizeof(pipeline_sentence::data)]{};
  std::size_t count = 0;
  constexpr explicit line_ends(const pipeline_sentence& s) {
    std::size_t begin = 0;
    while (begin != s.size) {
      std::size_t end = s.size - begin <= printed_width ? s.size : begin + printed_width;
      while (end != s.size && end != begin + 1 && s.data[end - 1] != ' ')
        --end;
      at[count++] = begin = end;
    }
  }
};

/// The text from `Begin` to `End`, so that it can be a template argument.
template <std::size_t Begin, std::size_t End>
consteval auto cut(const pipeline_sentence& s) {
  char text[End - Begin + 1]{};
  for (std::size_t i = Begin; i != End; ++i)
    text[i - Begin] = s.data[i];
  return fixed_string<End - Begin + 1>(text);
}

/// Its arguments are what the compiler prints: the sentence, in lines.
template <fixed_string... Sentence>
struct illegal_pipeline {
  static constexpr bool legal = sizeof...(Sentence) == 0;
  static_assert(legal,
                "espalier: this pipeline is illegal: the text in illegal_pipeline<...> says which pass "
                "needs what, who destroyed it and how to fix it");
};

/// Refuses to compile when `Source::sentence` is not empty, and shows it.
template <class Source>
struct tell {
  static constexpr line_ends ends{Source::sentence};
  template <std::size_t... I>
  static constexpr bool legal_of(std::index_sequence<I...>) {
    return illegal_pipeline<cut<I == 0 ? 0 : ends.at[I == 0 ? 0 : I - 1], ends.at[I]>(
        Source::sentence)...>::legal;
  }
  static constexpr bool legal = legal_of(std::make_index_sequence<ends.count>{});
};

} // namespace detail

} // namespace espalier
