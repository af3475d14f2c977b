// SPDX-License-Identifier: BSL-1.0
// Every shape rule of an ATen operator is held against LibTorch's kernel by some file beside this one, and
// promotion agrees with LibTorch's for all dtypes.
#include "kernel_check.hpp"

#include <c10/core/ScalarType.h>

namespace es = espalier;

TEST_CASE("every rule for an ATen operator is checked against its kernel") {
  std::set<std::string, std::less<>> checked;
  for (const auto& c : kernel_check::checks::all())
    checked.insert(c.ops.begin(), c.ops.end());
  std::size_t rules = 0;
  for (std::uint32_t i = 0; i != es::detail::num_aten_ops; ++i) {
    if (!es::detail::aten_rules<>.at[i])
      continue;
    ++rules;
    const auto name = es::name_of(es::op_id{i});
    CAPTURE(name);
    CHECK(checked.contains(name));
  }
  CHECK(rules == es::num_aten_rules());
  CHECK(rules > 300);
}

TEST_CASE("operators that return what they write to need no rule, unless they may reshape it") {
  const auto has_rule = [](const char* name) { return es::rule_for(es::find_op(name).value()) != nullptr; };
  for (const char* name : {"aten::add_.Tensor", "aten::relu_", "aten::copy_", "aten::zero_", "aten::detach_",
                           "aten::transpose_", "aten::squeeze_.dim"}) {
    CAPTURE(name);
    CHECK(has_rule(name));
  }
  for (const char* name : {"aten::resize_", "aten::set_.source_Tensor", "aten::resize_as_", "aten::add.out",
                           "aten::_foreach_add_.Scalar"}) {
    CAPTURE(name);
    CHECK_FALSE(has_rule(name));
  }
}

namespace {
using namespace kernel_check;
const checks in_place({"aten::add_.Tensor", "aten::copy_", "aten::masked_fill_.Tensor"}, [] {
  auto x = draw::tensor(draw::shape(), at::kFloat);
  auto c =
      call(x, draw::tensor(draw::broadcastable(x.sizes().vec()), draw::boolean() ? at::kBool : at::kFloat));
  return c.with("value", at::ones({}));
});
} // namespace
TEST_CASE("what is written in place keeps its meta, as in LibTorch") {
  kernel_check::run_this_file(strides_of_one::compared);
}

TEST_CASE("promotion is LibTorch's, for every two dtypes that it promotes") {
  const auto dtypes = {at::kByte,
                       at::kChar,
                       at::kShort,
                       at::kInt,
                       at::kLong,
                       at::kUInt16,
                       at::kUInt32,
                       at::kUInt64,
                       at::kHalf,
                       at::kBFloat16,
                       at::kFloat,
                       at::kDouble,
                       at::kBool,
                       at::kComplexHalf,
                       at::kComplexFloat,
                       at::kComplexDouble,
                       at::ScalarType::BComplex32};
  int compared = 0;
  for (auto a : dtypes)
    for (auto b : dtypes) {
      std::optional<at::ScalarType> theirs;
      try {
        theirs = c10::promoteTypes(a, b);
      } catch (const c10::Error&) {
        continue; // unsigned integers wider than a byte promote with few
      }
      const auto x = es::from_c10(a), y = es::from_c10(b);
      INFO(es::to_string(x) << " with " << es::to_string(y));
      CHECK(es::to_string(es::promote(x, y)) == es::to_string(es::from_c10(*theirs)));
      ++compared;
    }
  CHECK(compared > 200);
}

TEST_CASE("a name with a number that is no layout, memory format or device is 'unknown'") {
  CHECK(es::to_string(static_cast<es::layout>(99)) == "unknown");
  CHECK(es::to_string(static_cast<es::layout>(-1)) == "unknown");
  CHECK(es::to_string(static_cast<es::memory_format>(4)) == "unknown");
  CHECK(es::to_string(es::device{-3, -1}) == "unknown");
  CHECK(es::to_string(es::device{99, 2}) == "unknown:2");
}
