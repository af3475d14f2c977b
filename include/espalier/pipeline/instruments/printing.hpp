// SPDX-License-Identifier: BSL-1.0
// Printing graphs as they pass by: after every stage, after those that changed something, or when one fails.
// Nothing is formatted that is not printed.
#pragma once

#include <espalier/ir/print.hpp>
#include <espalier/pipeline/instrument.hpp>

#include <ostream>
#include <string>
#include <string_view>

namespace espalier {

/// When `print_after` prints.
enum class print_when : unsigned char {
  all,      ///< after every pass
  changed,  ///< after every pass that changed something
  selected, ///< after the pass of the name given
  failure,  ///< when a pass throws: the graph as it left it
};

/// Prints the graph in the readable form, under a line that names the stage.
class print_after : public instrument {
public:
  explicit print_after(std::ostream& out, print_when when = print_when::changed, std::string name = {})
      : out_(&out), when_(when), name_(std::move(name)) {}

  template <class = when_used>
  void after(const stage_info& s, const graph_storage& g, const pass_result& r) {
    const bool wanted = when_ == print_when::selected  ? s.name == name_
                        : when_ == print_when::changed ? r.changed() && !s.composite
                                                       : when_ == print_when::all && !s.composite;
    if (wanted)
      print(s, g, "after");
  }
  template <class = when_used>
  void failed(const stage_info& s, const graph_storage& g, std::string_view what) {
    if (when_ != print_when::failure)
      return;
    print(s, g, "failed in");
    *out_ << "// " << what << '\n';
  }

private:
  template <class = when_used>
  void print(const stage_info& s, const graph_storage& g, std::string_view word) {
    *out_ << "// ----- " << word << " stage " << s.position + 1 << " '" << s.name << "'\n"
          << print_readable(g) << '\n';
  }
  std::ostream* out_;
  print_when when_;
  std::string name_;
};

} // namespace espalier
