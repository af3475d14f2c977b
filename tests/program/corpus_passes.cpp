// SPDX-License-Identifier: BSL-1.0
// Every pass of the library, and three of them in a row, change no result on any program of the corpus: not
// what it gives, not what it writes into its state and its inputs. What a pass's contract refuses is counted.
#include "program/effects_of_run.hpp"
#include "program/torch_files.hpp"

#include <espalier/opt/standard_passes.hpp>
#include <espalier/program/exported_program.hpp>
#include <espalier/program/pipeline_unit.hpp>
#include <espalier/program/save_load.hpp>
#include <espalier/program/validate.hpp>

#include <ATen/core/grad_mode.h>

#include <doctest/doctest.h>

#include <cstddef>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace es = espalier;

namespace {

using program = es::exported_program<es::torch_ir>; // what es-opt runs passes on

const es::pass_registry<program>& registry() {
  static const auto r = es::standard_passes<program>();
  return r;
}
/// The passes as pipelines are written. `convert_dtype` gives other types: converted_programs.cpp.
std::vector<std::string> passes() {
  std::vector<std::string> out;
  for (const auto& e : registry().entries())
    if (const auto name = e.pass.name(); name == "split") {
      out.push_back("split<aten.linear.default, aten.mm.default, aten.*.Tensor, aten.relu.default>");
      out.push_back("split<*, not:aten.*view.default>");
    } else if (name == "constant_fold") {
      out.push_back("constant_fold");
      out.push_back("constant_fold<parameters, constructors>");
    } else if (name == "device_move") {
      out.push_back("device_move<cpu>");
    } else if (name == "verified") {
      out.push_back("verified<training_ir>");
    } else if (name != "convert_dtype") {
      out.push_back(std::string(name));
    }
  return out;
}
/// Whether a pass may take another kernel for the same numbers: the last bits are the kernel's.
bool may_round(std::string_view pipeline) {
  for (const auto name : {"fold_conv_batch_norm", "raise", "lower_spellings", "views_to_copies"})
    if (pipeline.find(name) != pipeline.npos)
      return true;
  return false;
}
const es::dialect_info& dialect_of(const program& p) {
  return p.info().verifier == es::aten_ir::verifier ? es::info_of_dialect<es::aten_ir>
                                                    : es::info_of_dialect<es::training_ir>;
}

/// How much the last pass changed.
struct edits_of_last : es::instrument {
  std::size_t* edits;
  explicit edits_of_last(std::size_t& to) : edits(&to) {}
  void after(const es::stage_info&, const es::graph_storage&, const es::pass_result& r) {
    *edits = r.erased + r.rewritten;
  }
};

/// A program of the corpus, what it is called with, and what that does.
class specimen {
public:
  specimen(const corpus::fs::path& model, const corpus::fs::path& archive)
      : of(es::load<es::torch_ir>(archive.string())), inputs_(corpus::load_list(model / "inputs.pt")),
        before_(corpus::run_and_restore(of, inputs_)) {}

  program of;

  /// What a pipeline changes, as a sentence; empty when it is nothing. Counts its last pass's edits.
  std::string changed_by(const es::any_pipeline<program>& pipeline, std::size_t& edits) const try {
    program p = of;
    es::pass_context c;
    es::any_instrument watch[] = {es::any_instrument(edits_of_last(edits))};
    pipeline.run(p, dialect_of(p), c, watch);
    es::refresh_signature(p.storage(), p.info());
    p.verify();
    const bool rounds = may_round(pipeline.text());
    return corpus::difference(corpus::run_and_restore(p, inputs_), before_,
                              [&](const at::Tensor& a, const at::Tensor& b) {
                                return corpus::same_bits(a, b) || (rounds && es::gap_between(a, b) <= 1);
                              });
  } catch (const es::error& e) {
    return e.what();
  }

private:
  std::vector<c10::IValue> inputs_;
  corpus::effects_of_run before_;
};

/// Passes that may find nothing to do in programs as Python wrote them, and what gives them something.
const std::map<std::string_view, std::string_view> idle{
    {"lift", "unlift | lift"},
    {"inline", "split<*, not:aten.*view.default> | inline"},
    {"copies_to_views", "views_to_copies | copies_to_views"},
    {"dce", "remove_assertions | dce"},
    {"sort", ""},             // they are sorted
    {"device_move<cpu>", ""}, // and there
    {"verified<training_ir>", ""},
    {"fold_conv_batch_norm", ""},
    {"rename_placeholders", ""},
};

} // namespace

TEST_CASE("no pass changes what a program of the corpus gives or writes, and no three in a row do") {
  const at::NoGradGuard no_grad;
  struct row {
    std::size_t ran = 0, refused = 0, edited = 0;
  };
  std::map<std::string_view, row> alone, after_another;
  row threes;
  std::size_t not_functional = 0, archives = 0;
  std::mt19937_64 random(20240607);
  const auto all = passes();
  for (const auto& model : corpus::models())
    for (const auto& archive : corpus::archives(model)) {
      const specimen s(model, archive);
      ++archives;
      const bool functional = es::property::functional::holds(s.of.storage());
      not_functional += !functional;
      const auto look = [&](std::string_view text, row& r) {
        const auto pipeline =
            registry().parse((functional ? "check<functional> | " : "") + std::string(text));
        try {
          pipeline.prove(dialect_of(s.of));
        } catch (const es::error& e) {
          CHECK(e.kind() == es::error_kind::usage);
          ++r.refused;
          return;
        }
        ++r.ran;
        std::size_t edits = 0;
        if (const auto what = s.changed_by(pipeline, edits); !what.empty())
          FAIL_CHECK(archive.string() << ": " << text << " changes: " << what);
        r.edited += edits != 0;
      };
      for (const auto& text : all) {
        look(text, alone[text]);
        if (const auto i = idle.find(text); i != idle.end() && !i->second.empty())
          look(i->second, after_another[text]);
      }
      for (int i = 0; i != 6; ++i) {
        std::string text;
        for (int k = 0; k != 3; ++k)
          text += (k ? " | " : "") + all[random() % all.size()];
        look(text, threes);
      }
    }
  for (const auto& [text, r] : alone) {
    CAPTURE(text);
    CHECK(r.refused == (text == "views_to_copies" ? not_functional : 0)); // no contract refuses more
    CHECK(r.ran + r.refused == archives);
    CHECK((r.edited != 0 || idle.contains(text)));
  }
  for (const auto& [text, r] : after_another) {
    CAPTURE(text);
    CHECK(r.edited != 0);
  }
  CHECK(threes.ran >= 5 * archives); // of six
  CHECK(threes.edited >= archives);
}
