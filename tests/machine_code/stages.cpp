// SPDX-License-Identifier: BSL-1.0
// Three stages as a pipeline without instruments, as a loop over the same context written by hand, and as
// bare calls. run.py compiles this and counts their instructions.
#include <espalier/pipeline/pipeline.hpp>

namespace es = espalier;

// what the passes do is elsewhere: only what stands around them is looked at
es::pass_result run_first(es::graph_storage&);
es::pass_result run_second(es::graph_storage&);
es::pass_result run_third(es::graph_storage&);

namespace {

struct first : es::pass {
  static constexpr std::string_view name = "first";
  static es::pass_result run(es::graph_storage& g) { return run_first(g); }
};
struct second : es::pass {
  static constexpr std::string_view name = "second";
  static es::pass_result run(es::graph_storage& g) { return run_second(g); }
};
struct third : es::pass {
  static constexpr std::string_view name = "third";
  static es::pass_result run(es::graph_storage& g) { return run_third(g); }
};
constexpr auto pipeline = first{} | second{} | third{};

/// What a careful author writes for one stage: it can be switched off, errors name it, analyses are dropped.
/// Inlined, as the pipeline's stages are: what is called three times would be counted once.
template <class Run>
[[gnu::always_inline]] inline es::pass_result stage(es::graph_storage& g, es::pass_context& c,
                                                    std::string_view name, std::size_t position, Run run) {
  if (!c.disabled().empty() && c.is_disabled(name))
    return {};
  c.enter({name, position, 0, false, c.dialect()});
  const es::pass_result r = run(g);
  if (r.changed())
    c.analyses().keep_only(es::analyses<>{});
  return r;
}
} // namespace

void composed(es::graph_storage& g, es::pass_context& c, es::pass_result& out) {
  out = pipeline.run_parts(g, c, 0);
}

void by_hand(es::graph_storage& g, es::pass_context& c, es::pass_result& out) {
  es::pass_result sum;
  sum += stage(g, c, "first", 0, run_first);
  sum += stage(g, c, "second", 1, run_second);
  sum += stage(g, c, "third", 2, run_third);
  out = sum;
}

void bare(es::graph_storage& g, es::pass_context&, es::pass_result& out) {
  es::pass_result sum;
  sum += run_first(g);
  sum += run_second(g);
  sum += run_third(g);
  out = sum;
}
