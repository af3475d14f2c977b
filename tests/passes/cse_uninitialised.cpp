// SPDX-License-Identifier: BSL-1.0
// Two calls that make uninitialised memory are one only when nobody writes to either.
#include <espalier/ir/text_parser.hpp>
#include <espalier/passes/cse.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace es = espalier;

namespace {
/// How many calls of `op` are left after merging.
std::size_t left_of(std::string_view op, std::string_view text) {
  auto p = es::parse_text(text);
  es::cse::run(p.graph);
  const auto out = es::to_text(p.graph, p.dialect);
  std::size_t n = 0;
  for (auto at = out.find(op); at != out.npos; at = out.find(op, at + op.size()))
    ++n;
  return n;
}
} // namespace

TEST_CASE("two empty tensors that may be written to stay two") {
  for (const std::string op : {"aten.empty.memory_format([2])", "aten.empty_like.default(%x)",
                               "aten.new_empty.default(%x, [2])", "aten.empty_strided.default([2], [1])"}) {
    CAPTURE(op);
    const auto name = op.substr(0, op.find('('));
    const std::string two = "graph { %x = placeholder %a = " + op + " %b = " + op + " ";
    for (const char* rest : {
             "%m = aten.add_.Tensor(%a, 1) %c = aten.mul.Tensor(%a, %b) return %c }", // the first is written
                                                                                      // to
             "%m = aten.add_.Tensor(%b, 1) %c = aten.mul.Tensor(%a, %b) return %c }", // the second is
             "%v = aten.view(%b, [2]) %m = aten.add_.Tensor(%v, 1) %c = aten.mul.Tensor(%a, %b) return %c }",
             "%s = aten.add.out(%x, %x, out=%a) %c = aten.mul.Tensor(%a, %b) return %c }",
             "%u = my.unknown_op(%a) %c = aten.mul.Tensor(%a, %b) return %c }", // nobody knows
             "return %a, %b }",                                                 // the caller may write
         }) {
      CAPTURE(rest);
      CHECK(left_of(name, two + rest) == 2);
    }
    CHECK(left_of(name, two + "%c = aten.mul.Tensor(%a, %b) return %c }") == 1);
  }
}
