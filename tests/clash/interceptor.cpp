// SPDX-License-Identifier: BSL-1.0
// Somebody else holds the interceptor's dispatch key. An executable of its own: a process has one
// registration.
#include <espalier/espalier.hpp>

#include <doctest/doctest.h>
#include <torch/library.h>
#include <torch/torch.h>

#include <optional>
#include <string>

namespace es = espalier;

namespace {
std::size_t seen = 0;
void other_fallback(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  ++seen;
  op.redispatchBoxed(keys & c10::DispatchKeySet(c10::DispatchKeySet::FULL_AFTER, es::interceptor_key), stack);
}
auto export_something() {
  return es::export_program([](at::Tensor x) { return x + 1; }, es::inputs(torch::ones({2})));
}
} // namespace

TEST_CASE("a dispatch key that another library holds is reported, left alone, and taken when it is free") {
  std::optional<torch::Library> other;
  other.emplace(torch::Library::IMPL, "_", es::interceptor_key, "other_library.cpp", 7);
  other->fallback(torch::CppFunction::makeFromBoxedFunction<&other_fallback>());

  try {
    export_something();
    FAIL("tracing cannot work without the key");
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::trace);
    CHECK(e.cause().find("DeferredInit already has a fallback of another library") != std::string::npos);
    CHECK(e.cause().find("other_library.cpp:7") != std::string::npos); // who
    CHECK(e.place() == "pass 'record', stage 3 of 'export_program': dispatch key registration");
    CHECK(e.cure().find("load espalier without that library") != std::string::npos);
  }
  // nothing of ours is switched on, and the other library works as before
  CHECK_FALSE(c10::impl::tls_is_dispatch_key_included(es::interceptor_key));
  CHECK((torch::ones({2}) + 1).sum().item<float>() == 4);
  {
    c10::impl::IncludeDispatchKeyGuard on(es::interceptor_key);
    torch::ones({2});
  }
  CHECK(seen > 0);
  CHECK_THROWS_AS(export_something(), es::error); // again, not only the first time
  CHECK_THROWS_AS(es::fake_construction(), es::error);
  { es::scope outside_a_trace("nothing happens"); }

  other.reset();
  CHECK(export_something()(torch::ones({2})).sum().item<float>() == 4);
  // now it is ours, and the dispatcher tells the other library
  other.emplace(torch::Library::IMPL, "_", es::interceptor_key, "other_library.cpp", 9);
  CHECK_THROWS_AS(other->fallback(torch::CppFunction::makeFromBoxedFunction<&other_fallback>()), c10::Error);
}
