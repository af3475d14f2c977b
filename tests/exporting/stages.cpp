// SPDX-License-Identifier: BSL-1.0
// An export is a pipeline: stages are inserted, dropped and replaced, passes over graphs stand among them,
// and instruments watch.
#include <espalier/espalier.hpp>

#include <doctest/doctest.h>
#include <torch/torch.h>

#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace es = espalier;

namespace {

struct NetImpl : torch::nn::Module {
  NetImpl() { one = register_module("one", torch::nn::Linear(4, 8)); }
  at::Tensor forward(at::Tensor x) {
    const auto unused = x.sin();
    return one(x).relu();
  }
  torch::nn::Linear one{nullptr};
};
TORCH_MODULE(Net);

std::vector<std::string> operators(const es::graph_storage& g) {
  std::vector<std::string> out;
  for (es::node n : es::nodes(g))
    if (n.is_call())
      out.push_back(es::target_of(n.op()));
  return out;
}

/// A stage of the user's: it works on the job.
struct count_state : es::pass {
  static constexpr std::string_view name = "count-state";
  using takes = es::no_graph;
  using needs = es::properties<es::property::state_bound>;
  using destroys = es::properties<>;
  std::size_t* seen = nullptr;
  es::pass_result run(const es::export_job_data& job) const {
    *seen = job.state.size();
    return {};
  }
};

/// A pass that leads to another dialect, on its word: the models here mutate nothing.
struct lower : es::pass {
  static constexpr std::string_view name = "lower";
  using takes = es::training_ir;
  using gives = es::aten_ir;
  using destroys = es::properties<>;
  es::pass_result run(es::graph_storage&) const { return {}; }
};

struct describe_with_version : es::stage::describe {
  static constexpr std::string_view name = "describe-with-version";
  template <class Job>
  es::pass_result run(Job& job) const {
    const auto done = es::stage::describe::run(job);
    job.info.opset_version["mine"] = 3;
    return done;
  }
};

struct stage_names : es::instrument {
  std::vector<std::string> all;
  void before(const es::stage_info& s, const es::graph_storage&) { all.emplace_back(s.name); }
};

} // namespace

TEST_CASE("passes over graphs run as stages of an export") {
  Net net;
  const auto x = torch::randn({3, 4});
  const auto in = es::inputs(es::named("x", x));
  const auto plain = es::export_program(net, in);
  CHECK(operators(plain.graph()) == std::vector<std::string>{"aten.sin.default", "aten.t.default",
                                                             "aten.addmm.default", "aten.relu.default"});

  auto behind = es::export_by(es::training_exporter | es::raise{} | es::dce{}, net, in);
  static_assert(std::is_same_v<decltype(behind), std::remove_const_t<decltype(plain)>>);
  CHECK(operators(behind.graph()) == std::vector<std::string>{"aten.linear.default", "aten.relu.default"});
  auto among = es::export_by(
      es::insert_after<es::stage::record>(es::training_exporter, es::raise{} | es::dce{}), net, in);
  CHECK(es::structural_hash(among.graph()) == es::structural_hash(behind.graph()));
  for (auto* p : {&behind, &among}) {
    CHECK_NOTHROW(p->verify());
    CHECK(torch::equal((*p)(x), net->forward(x)));
  }
}

TEST_CASE("a stage is dropped, replaced, and added") {
  Net net;
  const auto in = es::inputs(es::named("x", torch::randn({3, 4})));
  std::size_t seen = 0;
  constexpr auto unverified = es::drop_stage<es::stage::verify>(es::training_exporter);
  static_assert(decltype(unverified)::num_stages == 5);
  const auto stages = es::insert_before<es::stage::record>(
      es::replace_stage<es::stage::describe>(unverified, describe_with_version{}), count_state{{}, &seen});
  CHECK(stages.text() ==
        "bind_inputs | bind_state | count-state | record | assign_names | describe-with-version");
  const auto program = es::export_by(stages, net, in);
  CHECK(seen == 2);
  CHECK(program.info().opset_version.at("mine") == 3);
  CHECK_NOTHROW(program.verify());
}

TEST_CASE("the program has the dialect that the stages lead to") {
  Net net;
  const auto in = es::inputs(es::named("x", torch::randn({3, 4})));
  const auto program = es::export_by(es::training_exporter | lower{} | es::stage::verify{}, net, in);
  static_assert(
      std::is_same_v<decltype(program), const es::exported_program<es::aten_ir, at::Tensor(at::Tensor)>>);
  CHECK(program.info().verifier == "ATEN");
  // a stage verifies against the dialect that the graph has by then
  const auto writes = [](at::Tensor y) { return y.clone().add_(1); };
  CHECK_NOTHROW(es::export_by(es::training_exporter, writes, in));
  CHECK_THROWS_WITH_AS(es::export_by(es::training_exporter | lower{} | es::stage::verify{}, writes, in),
                       doctest::Contains("functional"), es::error);
}

TEST_CASE("instruments watch an export, and an error names the stage") {
  Net net;
  const auto in = es::inputs(es::named("x", torch::randn({3, 4})));
  stage_names names;
  (void)es::export_by(es::training_exporter | es::dce{}, net, in, {}, nullptr, names);
  CHECK(names.all == std::vector<std::string>{"bind_inputs", "bind_state", "record", "assign_names",
                                              "describe", "verify", "dce"});
  const auto reads = [](at::Tensor x) { return x * x.sum().item<double>(); };
  try {
    (void)es::export_program(reads, in);
    FAIL("data was read, and nobody said so");
  } catch (const es::error& e) {
    CHECK(e.place().starts_with("pass 'record', stage 3 of 'export_program'"));
  }
}

TEST_CASE("docs: an export of one's own") {
  Net net;
  const auto x = torch::randn({3, 4});
  {
    auto program = es::export_by(es::training_exporter | es::raise{} | es::dce{}, net, es::inputs(x));
    CHECK(program.graph().num_nodes() == 6);
  }
  {
    constexpr auto early =
        es::insert_after<es::stage::record>(es::training_exporter, es::raise{} | es::dce{});
    constexpr auto quick = es::drop_stage<es::stage::verify>(early);
    es::timing_tree times;
    auto program = es::export_by(quick, net, es::inputs(x), {}, nullptr, times);
    CHECK(times.text().find("record") != std::string::npos);
    CHECK(torch::equal(program(x), net->forward(x)));
  }
}
