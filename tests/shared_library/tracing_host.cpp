// SPDX-License-Identifier: BSL-1.0
// Two shared objects that both hold the tracer use one registration of the dispatch key and one mode a
// thread, even when the linker gives each its own copy of everything: the copies find each other through the
// dispatcher. The path of the plugin comes in ESPALIER_TRACING_PLUGIN.
#include "tracing_plugin.hpp"

#include <espalier/ir/view.hpp>
#include <espalier/program/save_load.hpp>
#include <espalier/trace/tracer.hpp>

#include <ATen/Functions.h>
#include <doctest/doctest.h>

#include <dlfcn.h>

#include <cstdlib>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace es = espalier;

namespace {

template <class F>
F* plugin(const char* name) {
  static void* const library = [] {
    const char* path = std::getenv("ESPALIER_TRACING_PLUGIN");
    void* l = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
    if (!l)
      FAIL(std::string(path ? dlerror() : "ESPALIER_TRACING_PLUGIN is not set"));
    return l;
  }();
  auto* f = reinterpret_cast<F*>(dlsym(library, name));
  REQUIRE(static_cast<bool>(f));
  return f;
}
const auto compute = [](const at::Tensor& x) {
  at::Tensor out;
  plugin<decltype(plugin_compute)>("plugin_compute")(x, out);
  return out;
};
at::Tensor host_function(const at::Tensor& x) { return at::sigmoid(compute(x)); }

es::trace_result trace_here(const at::Tensor& example) {
  const es::vector<es::traced_input> inputs{{example, "x", es::input_kind::user_input, ""}};
  return es::trace(inputs, [&](const std::vector<at::Tensor>& fakes) {
    return std::vector<c10::IValue>{host_function(fakes[0])};
  });
}
std::vector<std::string> ops(const es::trace_result& r) {
  std::vector<std::string> out;
  for (es::node n : es::nodes(r.graph))
    if (n.is_call())
      out.emplace_back(es::name_of(n.op()));
  return out;
}
const std::vector<std::string> expected{"aten::mul.Tensor", "aten::relu", "aten::sigmoid"};

} // namespace

TEST_CASE("the plugin traces first, then the host: one registration, one mode") {
  const auto x = at::ones({2});
  std::vector<std::string> theirs;
  plugin<decltype(plugin_trace)>("plugin_trace")(&host_function, x, theirs);
  CHECK(theirs == expected); // host code and plugin code in the plugin's trace
  const auto ours = trace_here(x);
  CHECK(ops(ours) == expected); // and in the host's
  CHECK(plugin<decltype(plugin_mode_slot)>("plugin_mode_slot")() == &es::detail::mode_slot());
  CHECK(at::equal(host_function(x), at::sigmoid(x))); // nothing is left behind
}

TEST_CASE(
    "the two are indeed copies: each has a mode slot of its own, and the first to come registered its own") {
  CHECK(plugin<decltype(plugin_mode_slot)>("plugin_mode_slot")() == &es::detail::mode_slot());
  CHECK(&es::detail::own_mode_slot() != &es::detail::mode_slot());
}

TEST_CASE("a scope that the plugin names is in the host's trace") {
  const auto r = trace_here(at::ones({2}));
  for (es::node n : es::nodes(r.graph))
    if (n.is_call()) {
      const auto stack = es::parse_module_stack(r.graph.origin_text(n.id(), "nn_module_stack"));
      CHECK((stack.back().path == "plugin") == (es::name_of(n.op()) != "aten::sigmoid"));
    }
}

TEST_CASE("a trace of the plugin inside a trace of the host records into the inner one") {
  const auto example = at::ones({2});
  std::vector<std::string> inner;
  const es::vector<es::traced_input> inputs{{example, "x", es::input_kind::user_input, ""}};
  const auto outer = es::trace(inputs, [&](const std::vector<at::Tensor>& fakes) {
    plugin<decltype(plugin_trace)>("plugin_trace")(&host_function, example, inner);
    return std::vector<c10::IValue>{at::neg(fakes[0])};
  });
  CHECK(inner == expected);
  CHECK(ops(outer) == std::vector<std::string>{"aten::neg"});
}

TEST_CASE("a program that the plugin exported is verified, run, saved and loaded here") {
  const auto x = at::randn({2, 4});
  std::optional<plugin_program> program;
  at::Tensor eager;
  plugin<decltype(plugin_export)>("plugin_export")(x, program, eager);
  REQUIRE(program);
  CHECK_NOTHROW(program->verify());
  CHECK(program->parameters().size() == 2);
  CHECK(at::equal((*program)(x), eager));
  std::stringstream file;
  es::save(*program, file);
  program.reset(); // what the plugin allocated is freed here
  CHECK(at::equal(es::load<es::training_ir, at::Tensor(at::Tensor)>(file)(x), eager));
}
