// SPDX-License-Identifier: BSL-1.0
// How long each stage took, as a tree: repeated runs of one stage (a body of `fix`) are summed in one row.
#pragma once

#include <espalier/pipeline/instrument.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include <time.h>

namespace espalier {

/// Times stages; `text()` is the tree, and `rows()` the numbers.
class timing_tree : public instrument {
public:
  struct row {
    std::string name;
    std::size_t depth = 0, runs = 0;
    std::uint64_t nanoseconds = 0;
    pass_result result{}; ///< summed over the runs
    std::size_t parent = none;
    static constexpr std::size_t none = ~std::size_t{};
  };

  template <class = when_used>
  void before(const stage_info& s, const graph_storage&) {
    const std::size_t parent = open_.empty() ? row::none : open_.back().index;
    std::size_t at = 0;
    while (at != rows_.size() &&
           !(rows_[at].parent == parent && rows_[at].name == s.name && positions_[at] == s.position))
      ++at;
    if (at == rows_.size()) {
      rows_.push_back({std::string(s.name), s.depth, 0, {}, {}, parent});
      positions_.push_back(s.position);
    }
    open_.push_back({at, now()});
  }
  template <class = when_used>
  void after(const stage_info&, const graph_storage&, const pass_result& r) {
    close();
    auto& last = rows_[last_];
    last.result += r;
  }
  template <class = when_used>
  void failed(const stage_info&, const graph_storage&, std::string_view) {
    while (!open_.empty())
      close();
  }

  /// In the order in which the stages first ran; parts follow what they are part of.
  const vector<row>& rows() const noexcept { return rows_; }

  /// A line a stage: milliseconds, runs, nodes erased and rewritten, the name.
  template <class = when_used>
  std::string text() const {
    std::string out = "      ms  runs  erased  rewritten  stage\n";
    for (const auto& r : rows_) {
      char line[96];
      std::snprintf(line, sizeof line, "%8.3f %5zu %7zu %10zu  ", static_cast<double>(r.nanoseconds) * 1e-6,
                    r.runs, r.result.erased, r.result.rewritten);
      out += line + std::string(r.depth * 2, ' ') + r.name + "\n";
    }
    return out;
  }

private:
  // What std::chrono::steady_clock reads; <chrono> takes as long to compile as half of a pipeline.
  static std::uint64_t now() noexcept {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(t.tv_nsec);
  }
  struct running {
    std::size_t index;
    std::uint64_t since; // nanoseconds
  };
  template <class = when_used>
  void close() {
    last_ = open_.back().index;
    rows_[last_].nanoseconds += now() - open_.back().since;
    ++rows_[last_].runs;
    open_.pop_back();
  }

  vector<row> rows_;
  vector<std::size_t> positions_;
  vector<running> open_;
  std::size_t last_ = 0;
};

} // namespace espalier
