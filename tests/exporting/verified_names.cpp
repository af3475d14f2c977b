// SPDX-License-Identifier: BSL-1.0
// The stage `verify` asks what Python's exporter asks of names, module stacks and stack traces, of the graph
// as passes among the stages left it.
#include <espalier/exporting/export_program.hpp>
#include <espalier/pipeline/edit.hpp>

#include <doctest/doctest.h>
#include <torch/torch.h>

#include <string_view>

namespace es = espalier;

namespace {

/// Does to the first placeholder, a parameter, what Python's export would refuse.
template <class Harm>
struct harm : es::pass {
  static constexpr std::string_view name = "harm";
  using destroys = es::properties<>;
  es::pass_result run(es::graph_storage& g) const {
    Harm()(g);
    return {};
  }
};
template <class Harm>
void check_refused(Harm, const char* says) {
  torch::nn::Linear net(4, 8);
  const auto in = es::inputs(es::named("x", torch::randn({3, 4})));
  constexpr auto stages = es::insert_before<es::stage::verify>(es::training_exporter, harm<Harm>{});
  CHECK_THROWS_WITH_AS(es::export_by(stages, net, in), doctest::Contains(says), es::error);
  CHECK_NOTHROW(es::export_by(es::drop_stage<es::stage::verify>(stages), net, in));
}

} // namespace

TEST_CASE("a placeholder has the prefix of its kind") {
  check_refused([](es::graph_storage& g) { g.set_name(g.first(), "weight"); },
                "the name of a parameter begins with 'p_' (at pass 'verify', stage 7 of 'export_program': "
                "placeholder 'weight')");
}
TEST_CASE("a placeholder has no stack trace") {
  check_refused([](es::graph_storage& g) { g.set_origin(g.first(), "stack_trace", "here"); },
                "placeholders and outputs have no module stack and no stack trace");
}
TEST_CASE("a call has a module stack") {
  check_refused([](es::graph_storage& g) { g.set_origin(g.prev(g.last()), "nn_module_stack", ""); },
                "a call has no module stack");
}
