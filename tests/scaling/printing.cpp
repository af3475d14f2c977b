// SPDX-License-Identifier: BSL-1.0
// Whatever writes a graph out: linear in operations, on every shape.
#include "operations.hpp"

#include <espalier/ir/dot.hpp>
#include <espalier/ir/html.hpp>
#include <espalier/ir/model_explorer.hpp>
#include <espalier/ir/naming.hpp>
#include <espalier/ir/print.hpp>
#include <espalier/ir/text.hpp>
#include <espalier/ir/text_parser.hpp>

namespace es = espalier;
using scaling::grows_linearly;
using storage = es::graph_storage;

namespace {
std::size_t written = 0; // so that no compiler leaves the work out
} // namespace

TEST_CASE("naming grows linearly") { grows_linearly("rename_canonically", es::rename_canonically); }
TEST_CASE("printing grows linearly") {
  grows_linearly("print_readable", [](storage& g) { written += es::print_readable(g).size(); });
  grows_linearly("print_short", [](storage& g) { written += es::print_short(g).size(); });
}
TEST_CASE("text grows linearly, written and read") {
  grows_linearly("to_text", [](storage& g) { written += es::to_text(g, "torch_ir").size(); });
  grows_linearly("parse_text",
                 [](storage& g) { written += es::parse_text(es::to_text(g, "torch_ir")).graph.num_nodes(); });
}
TEST_CASE("viewers' files grow linearly") {
  grows_linearly("to_dot", [](storage& g) { written += es::to_dot(g).size(); });
  grows_linearly("to_model_explorer", [](storage& g) { written += es::to_model_explorer(g).size(); });
  grows_linearly("to_html", [](storage& g) { written += es::to_html(g).size(); });
}
