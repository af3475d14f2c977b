// SPDX-License-Identifier: BSL-1.0
// The user's place of errors and notes is a file and a line here, for this executable is compiled with line
// tables. What is refused and noted is tested in tests/trace/hazards.cpp.
#include <espalier/espalier.hpp>

#include <ATen/CPUGeneratorImpl.h>
#include <doctest/doctest.h>
#include <torch/torch.h>

#include <functional>
#include <future>
#include <string>
#include <vector>

namespace es = espalier;

namespace {

using tensors = std::vector<at::Tensor>;

int line = 0; // of the last HERE that ran
#define HERE(...) (line = __LINE__, __VA_ARGS__)
std::string at_line(int n) { return "(places.cpp:" + std::to_string(n) + ")"; }

es::trace_result run(const tensors& inputs, const std::function<at::Tensor(const tensors&)>& f,
                     const es::trace_options& options = {}) {
  es::vector<es::traced_input> in;
  for (const auto& t : inputs)
    in.push_back({t, "x" + std::to_string(in.size()), es::input_kind::user_input, ""});
  return es::trace(
      in, [&](const tensors& fakes) { return std::vector<c10::IValue>{f(fakes)}; }, options);
}
std::string refused_at(const std::function<at::Tensor(const tensors&)>& f,
                       const tensors& inputs = {torch::ones({2, 3})}, const es::trace_options& options = {}) {
  try {
    run(inputs, f, options);
  } catch (const es::error& e) {
    CHECK_FALSE(e.cure().empty());
    return e.place();
  }
  return "not refused";
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct doubled : torch::autograd::Function<doubled> {
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& x) { return x * 2; }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list g) {
    return {g[0] * 2};
  }
};

} // namespace

TEST_CASE("an error names the user's line") {
  auto real = torch::ones({2, 3});
  const std::function<at::Tensor(const tensors&)> refused[] = {
      [](const tensors& x) { return HERE(x[0].item<float>()) > 0 ? x[0] : -x[0]; },
      [](const tensors& x) { return HERE(x[0].nonzero()); },
      [](const tensors& x) { return x[0] + HERE(*x[0].data_ptr<float>()); },
      [](const tensors& x) { return x[0] + HERE(x[0].accessor<float, 2>())[0][0]; },
      [](const tensors& x) { return x[0] + HERE(x[0].storage().nbytes()); },
      [&](const tensors& x) {
        HERE(real.set_data(x[0]));
        return real;
      },
      [&](const tensors& x) {
        auto traced = x[0] * 2;
        HERE(traced.set_data(real));
        return traced;
      },
      [](const tensors& x) { return std::async(std::launch::async, [&] { return HERE(x[0] + 1); }).get(); },
  };
  for (const auto& f : refused) {
    const std::string place = refused_at(f);
    CAPTURE(&f - refused);
    CAPTURE(place);
    CHECK(place.ends_with(at_line(line)));
  }
}

TEST_CASE("an operator's error names the user's line, then the operator") {
  auto place = refused_at([](const tensors& x) { return HERE(at::linear(x[0], x[0].t())); });
  CHECK(has(place, at_line(line) + ": operator aten::linear"));
  place = refused_at([](const tensors& x) { return HERE(x[0].mm(x[0])); });
  CHECK(has(place, at_line(line) + ": operator aten::mm"));
}

TEST_CASE("what a strict trace refuses has a place") {
  es::trace_options strict;
  strict.strict = true;
  int calls = 0;
  const auto counted = [&](const tensors& x) {
    const auto y = x[0] * 2;
    return HERE(y * ++calls);
  };
  CHECK(refused_at(counted, {torch::ones(2)}, strict).ends_with(at_line(line)));

  auto captured = torch::ones(2);
  int first = 0;
  const auto writes = [&](const tensors& x) {
    auto y = HERE(x[0] * 2);
    first = line;
    captured.data_ptr<float>()[0] += 1;
    return HERE(y + x[1]);
  };
  const std::string place = refused_at(writes, {torch::ones(2), captured}, strict);
  CAPTURE(place);
  CHECK(place.starts_with("between "));
  CHECK(has(place, at_line(first) + " and "));
  CHECK(place.ends_with(at_line(line)));
}

TEST_CASE("a note names the user's line") {
  const auto place_of = [](es::note_kind kind, const std::function<at::Tensor(const tensors&)>& f) {
    const auto r = run({torch::ones(2).set_requires_grad(true), torch::ones(2)}, f);
    const es::trace_note* note = r.report.find(kind);
    REQUIRE(note != nullptr);
    CHECK_FALSE(note->cure.empty());
    return note->place;
  };
  using enum es::note_kind;
  const auto c = torch::ones(2);
  const auto noted = [&](es::note_kind kind, const std::function<at::Tensor(const tensors&)>& f) {
    const std::string place = place_of(kind, f);
    CAPTURE(es::to_string(kind));
    CAPTURE(place);
    CHECK(place.ends_with(at_line(line)));
  };
  noted(lifted_constant, [&](const tensors& x) { return HERE(x[0] + c); });
  noted(raw_write, [&](const tensors& x) {
    const auto made = torch::tensor({1.f, 2.f});
    return HERE(x[0] + made);
  });
  noted(constant_mutated, [&](const tensors& x) { return x[1] + HERE(c.add_(x[1])); });
  noted(equality_assumed, [](const tensors& x) { return HERE(at::equal(x[0], x[1])) ? x[0] : x[1] + 1; });
  noted(custom_backward, [](const tensors& x) {
    const auto y = doubled::apply(x[0]);
    return HERE(y + 1);
  });
  noted(requires_grad_set, [](const tensors& x) {
    const auto y = (x[1] * 2).requires_grad_();
    return HERE(y + 1);
  });
  noted(generator_dropped, [](const tensors& x) {
    const auto g = at::make_generator<at::CPUGeneratorImpl>();
    return HERE(x[1].bernoulli(0.5, g));
  });
}

TEST_CASE("stack traces are kept with the nodes, in Python's form") {
  int first = 0, second = 0;
  es::export_options options;
  options.stack_traces = true;
  const auto program = es::export_program(
      [&](at::Tensor x) {
        const auto y = HERE(x.relu());
        first = line;
        return HERE(y.mm(y));
      },
      es::inputs(es::named("x", torch::ones({2, 2}))), options);
  second = line;
  std::vector<std::string> traces;
  for (es::node n : es::nodes(program.graph()))
    if (n.is_call())
      traces.emplace_back(program.graph().origin_text(n, "stack_trace"));
  REQUIRE(traces.size() == 2);
  const auto innermost = [](const std::string& trace) { return trace.substr(trace.rfind("  File \"")); };
  CHECK(has(innermost(traces[0]), "places.cpp\", line " + std::to_string(first) + ", in "));
  CHECK(has(innermost(traces[0]), "\n    const auto y = HERE(x.relu());\n"));
  CHECK(has(innermost(traces[1]), "places.cpp\", line " + std::to_string(second) + ", in "));
  CHECK(traces[0].starts_with("  File \"")); // main, outermost

  es::print_options shown;
  shown.stack_trace = true;
  CHECK(has(es::print_readable(program.graph(), shown), "places.cpp:" + std::to_string(first)));
  try { // and an error of a run tells it
    program(std::vector<c10::IValue>{torch::ones({2, 3})}, {.check_inputs = false});
    FAIL("mm of these sizes must fail");
  } catch (const es::error& e) {
    CHECK(has(e.place(), "places.cpp\", line " + std::to_string(second)));
  }
  const auto plain = es::export_program([](at::Tensor x) { return x + 1; }, es::inputs(torch::ones(2)));
  for (es::node n : es::nodes(plain.graph()))
    CHECK(plain.graph().origin_text(n, "stack_trace").empty());
}
