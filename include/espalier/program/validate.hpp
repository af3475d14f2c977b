// SPDX-License-Identifier: BSL-1.0
// Numeric validation: a pipeline's graph is run before the first pass and after every one that changed it, on
// the same inputs and the same random numbers, and the first pass whose graph gives other numbers is named.
// Nodes that both graphs have by name are compared as well, so that the place is known too. Passes on parts
// of a graph (`on_subgraphs`, `on_regions`) are judged when the graph has its parts again. Of a program, what
// it leaves in its state and its inputs is a result as well, whether the graph gives it back or writes it in
// place.
#pragma once

#include <espalier/ir/naming.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/pipeline/instrument.hpp>
#include <espalier/program/interpreter.hpp>
#include <espalier/program/program_base.hpp>
#include <espalier/program/tolerance.hpp>
#include <espalier/signature/signature.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

/// How far two tensors are apart, as a multiple of what a tolerance allows: up to 1 is fine; infinity when
/// shapes or element types differ.
template <class = when_used>
double gap_between(const at::Tensor& a, const at::Tensor& b, const tolerance& t = {}) {
  constexpr double far = std::numeric_limits<double>::infinity();
  if (a.defined() != b.defined())
    return far;
  if (!a.defined())
    return 0;
  if (a.sizes() != b.sizes() || a.scalar_type() != b.scalar_type())
    return far;
  if (a.numel() == 0)
    return 0;
  const auto wide = at::isComplexType(a.scalar_type()) ? at::kComplexDouble : at::kDouble;
  const at::Tensor x = a.detach().to(at::kCPU, wide), y = b.detach().to(at::kCPU, wide);
  const at::Tensor same = (x == y) | (x.isnan() & y.isnan());
  const at::Tensor relative = (x - y).abs() / (t.absolute + t.relative * y.abs());
  const double worst = at::where(same, at::zeros({}, relative.options()), relative).max().item<double>();
  return worst == worst ? worst : far; // NaN against a number
}

namespace detail {

/// The distance from 1 to the next number of a floating-point type.
template <class = when_used>
double epsilon_of(at::ScalarType t) {
  switch (t) {
  case at::kDouble:
    return std::numeric_limits<double>::epsilon();
  case at::kFloat:
    return std::numeric_limits<float>::epsilon();
  case at::kHalf:
    return 0x1p-10;
  case at::kBFloat16:
    return 0x1p-7;
  case at::kFloat8_e4m3fn:
  case at::kFloat8_e4m3fnuz:
    return 0x1p-3;
  default:
    return 0x1p-2; // of the 8-bit types that are left
  }
}

/// The gap where numbers were computed in a type of this epsilon: sixteen steps of the type at the largest
/// magnitude, beside the tolerance. A sum's error follows its largest terms, not its result.
template <class = when_used>
double gap_in_type(const at::Tensor& a, const at::Tensor& b, tolerance t, double epsilon) {
  const at::Tensor x = a.detach().to(at::kCPU, at::kDouble), y = b.detach().to(at::kCPU, at::kDouble);
  if (y.numel() != 0) {
    const at::Tensor sizes = at::where(y.isfinite(), y.abs(), at::zeros({}, y.options()));
    t.absolute = std::max(t.absolute, 16 * epsilon * sizes.max().item<double>());
  }
  return gap_between(x, y, t);
}

} // namespace detail

/// Compares a pipeline's results before and after each of its passes. A pass that changes the floating-point
/// types of inputs, state or results is compared by the coarsest of the types; later passes are compared with
/// what it left.
class numeric_validation : public instrument {
public:
  /// How far the results of one node are apart, as a multiple of the tolerance.
  struct node_gap {
    std::string name; ///< in a subgraph after the subgraph's name: `true_graph_0.relu`
    double gap = 0;
  };
  /// What one pass did to the results: multiples of the tolerance, 0 for bit-equal results.
  struct row {
    std::string
        pass; ///< of a pass on parts of the graph: `on_subgraphs(dce)`, with the passes that changed one
    double gap = 0;     ///< the worst result
    std::string result; ///< which that is: `output 0`, `state 'running_mean'`
    /// The nodes that ran both before the pass and after it, in the order in which they ran. They are found
    /// by name: a node without one, or with a name that is new, is counted in `uncompared` instead. A node
    /// of a loop counts by its first round.
    vector<node_gap> nodes;
    std::size_t uncompared = 0;

    /// The first node beyond the tolerance; null: none.
    const node_gap* first_beyond() const noexcept {
      const auto at = std::find_if(nodes.begin(), nodes.end(), [](const node_gap& n) { return n.gap > 1; });
      return at == nodes.end() ? nullptr : &*at;
    }
    /// The nodes that differ at all, the worst first, at most `limit` of them.
    vector<node_gap> worst(std::size_t limit) const {
      vector<const node_gap*> apart;
      for (const node_gap& n : nodes)
        if (n.gap > 0)
          apart.push_back(&n);
      std::sort(apart.begin(), apart.end(), [](const node_gap* a, const node_gap* b) {
        return a->gap != b->gap ? a->gap > b->gap : a < b; // equal ones as they ran
      });
      vector<node_gap> out;
      for (const node_gap* n : span(apart).first(std::min(limit, apart.size())))
        out.push_back(*n);
      return out;
    }
  };

  /// For a graph: one value a placeholder. They are copied for every run, so that graphs that write to them
  /// do no harm.
  explicit numeric_validation(std::vector<c10::IValue> placeholders, tolerance t = {}, std::uint64_t seed = 0)
      : inputs_(std::move(placeholders)), tolerance_(t), seed_(seed) {}
  /// For a program, which must live where it is while pipelines run on it: what a call takes. Passes may
  /// change what the graph's inputs are (`constant_fold`, `unlift`), and their types (`convert_dtype`: inputs
  /// are cast).
  explicit numeric_validation(const program_base& p, std::vector<c10::IValue> inputs, tolerance t = {},
                              std::uint64_t seed = 0)
      : program_(&p), inputs_(std::move(inputs)), tolerance_(t), seed_(seed) {}

  /// Looks at another program from now on, a copy perhaps; the reference stays.
  void watch(const program_base& p) noexcept { program_ = &p; }

  template <class = when_used>
  void before(const stage_info& s, const graph_storage& g) {
    if (s.depth == 0)
      whole_ = &g;
    if (&g == whole_)
      parts_.clear();
    if (!started_)
      set_reference(g);
  }
  /// Throws `error` (verification) when the results are beyond the tolerance.
  template <class = when_used>
  void after(const stage_info& s, const graph_storage& g, const pass_result& r) {
    if (&g != whole_) { // a part, with other inputs: judged when the whole has it again
      if (!s.composite && r.changed() && std::find(parts_.begin(), parts_.end(), s.name) == parts_.end())
        parts_.push_back(s.name);
      return;
    }
    if (s.composite ? parts_.empty() : !r.changed())
      return;
    row out{with_parts(s), 0, {}, {}, 0};
    parts_.clear();
    auto now = run(g);
    const double epsilon = epsilon_between(now, reference_);
    each_gap(now, reference_, [&](const std::string& what, double gap) {
      if (gap > out.gap) {
        out.gap = gap;
        out.result = what;
      }
    });
    for (const auto& [name, values] : now.nodes)
      if (const auto was = last_.by_name.find(name); was != last_.by_name.end())
        out.nodes.push_back({name, gap_of(values, last_.nodes[was->second].second, epsilon)});
    out.uncompared = now.nodes.size() + now.unnamed.size() - out.nodes.size();
    rows_.push_back(std::move(out));
    const row& told = rows_.back();
    if (told.gap > 1)
      fail(error_kind::verification,
           (s.composite ? told.pass : std::string("the pass")) + " changes the results: " + told.result +
               " is " + std::to_string(told.gap) + " times beyond the tolerance",
           told.first_beyond() ? "first at node '" + told.first_beyond()->name + "', " +
                                     std::to_string(told.first_beyond()->gap) + " times the tolerance"
                               : std::string(),
           "bisect the pipeline to find the rewrite");
    if (epsilon != 0)
      reference_ = now;
    last_ = std::move(now);
  }

  const vector<row>& rows() const noexcept { return rows_; }

  /// Takes a graph's results as those that others are compared with; `before` does it by itself.
  template <class = when_used>
  void set_reference(const graph_storage& g) {
    started_ = true;
    reference_ = run(g);
    last_ = reference_;
  }
  /// How far a graph's results are from the reference, as a multiple of the tolerance.
  template <class = when_used>
  double gap(const graph_storage& g) const {
    double worst = 0;
    each_gap(run(g), reference_, [&](const std::string&, double gap) { worst = std::max(worst, gap); });
    return worst;
  }

private:
  static constexpr double far = std::numeric_limits<double>::infinity();

  /// Something that a run leaves behind.
  struct result {
    std::string what; ///< `output 0`, `gradient of 'w'`, `state 'running_mean'`, `input 0`
    c10::IValue value;
    at::Tensor before; ///< what was there, of what is written to: a run that leaves it alone leaves this
  };
  struct results {
    vector<result> all;
    vector<std::pair<std::string, std::vector<at::Tensor>>> nodes; // in the order in which they ran
    hash_map<std::string, std::size_t> by_name;
    hash_set<std::string> unnamed; // nodes without a name, or whose results are no numbers
    std::uint64_t types = 0;       // a bit for each floating-point type of inputs, state and results

    const result* find(const std::string& what) const {
      for (const auto& r : all)
        if (r.what == what)
          return &r;
      return nullptr;
    }
  };

  /// What a run works on: copies of tensors, each with what it is a copy of.
  struct copied {
    at::Tensor now, before;
    std::int64_t version = 0;

    explicit copied(const at::Tensor& t) : now(t.detach().clone()), before(t), version(now._version()) {}
    bool written() const { return now._version() != version; }
  };

  template <class = when_used>
  static bool holds_tensor(const c10::IValue& v) {
    return v.isTensor() && v.toTensor().defined();
  }

  /// The epsilon of the coarsest type of two runs whose types differ; zero when they are the same.
  template <class = when_used>
  static double epsilon_between(const results& a, const results& b) {
    double out = 0;
    if (a.types != b.types)
      for (int i = 0; i != 64; ++i)
        if ((a.types | b.types) >> i & 1)
          out = std::max(out, detail::epsilon_of(static_cast<at::ScalarType>(i)));
    return out;
  }
  /// The name of a stage, of a composite with the passes that changed a part.
  template <class = when_used>
  std::string with_parts(const stage_info& s) const {
    std::string out(s.name);
    for (std::size_t i = 0; i != parts_.size(); ++i)
      (out += i ? ", " : "(") += parts_[i];
    return out + (parts_.empty() ? "" : ")");
  }

  /// The tensors of a value, numbers as tensors; false when it holds something else.
  template <class = when_used>
  static bool flatten(const c10::IValue& v, std::vector<at::Tensor>& out) {
    if (v.isTensor() || v.isNone()) {
      out.push_back(v.isTensor() ? v.toTensor() : at::Tensor());
    } else if (v.isScalar()) {
      out.push_back(at::scalar_tensor(v.toScalar(), v.isComplexDouble() ? at::kComplexDouble : at::kDouble));
    } else if (v.isList()) {
      for (const c10::IValue& x : v.toListRef())
        if (!flatten(x, out))
          return false;
    } else {
      return false;
    }
    return true;
  }
  template <class = when_used>
  double gap_of(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b, double epsilon) const {
    if (a.size() != b.size())
      return far;
    double worst = 0;
    for (std::size_t i = 0; i != a.size(); ++i) {
      const at::Tensor &x = a[i], &y = b[i];
      const bool converted =
          epsilon != 0 && x.defined() && y.defined() && x.is_floating_point() && y.is_floating_point();
      worst = std::max(worst, converted ? detail::gap_in_type(x, y, tolerance_, epsilon)
                                        : gap_between(x, y, tolerance_));
    }
    return worst;
  }
  template <class = when_used>
  double gap_of(const c10::IValue& a, const c10::IValue& b, double epsilon) const {
    std::vector<at::Tensor> x, y;
    return flatten(a, x) && flatten(b, y) ? gap_of(x, y, epsilon) : far;
  }
  template <class F>
  void each_gap(const results& a, const results& b, F&& f) const {
    const double epsilon = epsilon_between(a, b);
    for (const auto& r : a.all) {
      const result* other = b.find(r.what);
      f(r.what, other                ? gap_of(r.value, other->value, epsilon)
                : r.before.defined() ? gap_of(r.value, r.before, epsilon)
                                     : far);
    }
    for (const auto& r : b.all)
      if (!a.find(r.what))
        f(r.what, r.before.defined() ? gap_of(r.before, r.value, epsilon) : far);
  }

  template <class = when_used>
  static void refuse_meta(const at::Tensor& t, const std::string& what) {
    if (t.is_meta())
      fail(error_kind::unsupported, what + " is on the device meta, which holds no numbers to compare",
           "numeric validation", "validate the passes before it, and move the program in another run");
  }
  template <class = when_used>
  static void note_type(results& out, const c10::IValue& v) {
    if (holds_tensor(v) && v.toTensor().is_floating_point())
      out.types |= std::uint64_t{1} << static_cast<int>(v.toTensor().scalar_type());
  }

  /// Runs the graph on copies, from the same random numbers.
  template <class = when_used>
  results run(const graph_storage& g) const {
    const at::NoGradGuard no_grad;
    results out;
    std::map<std::string, copied> written_to; // by what a result of it is called
    const auto copy = [&](const std::string& what, const at::Tensor& t) {
      refuse_meta(t, what);
      note_type(out, t);
      return written_to.try_emplace(what, t).first->second.now;
    };
    std::vector<c10::IValue> values = program_ ? program_->placeholder_values(inputs_, true) : inputs_;
    std::size_t user_inputs = 0;
    std::map<std::string, std::string> input_called; // by its name in the signature
    for (std::size_t i = 0; i != values.size(); ++i) {
      std::string what = "placeholder " + std::to_string(i);
      if (program_) {
        const input_spec& s = program_->signature().inputs[i];
        what = s.kind == input_kind::user_input ? "input " + std::to_string(user_inputs++) : state(s.target);
        input_called[s.arg.name] = what;
      }
      if (holds_tensor(values[i]))
        values[i] = copy(what, values[i].toTensor());
    }

    run_options o;
    if (program_)
      o.attribute = [&](std::string_view name) -> c10::IValue {
        for (const auto* dict : {&program_->state_dict(), &program_->constants()})
          if (const auto* t = dict->find(name))
            return copy(state(std::string(name)), *t);
        fail(error_kind::verification, "the program has no tensor '" + std::string(name) + "'",
             "numeric validation", "run verify on the program");
      };
    hash_map<const graph_storage*, std::string> prefixes;
    name_subgraphs(g, "", prefixes);
    o.on_node = [&](node n, span<const c10::IValue> made) {
      std::vector<at::Tensor> numbers;
      const bool known =
          std::all_of(made.begin(), made.end(), [&](const c10::IValue& v) { return flatten(v, numbers); });
      const std::string& prefix = prefixes[&n.graph()];
      if (!known || n.name().empty()) {
        out.unnamed.insert(prefix + std::to_string(n.id().index));
        return;
      }
      std::string name = prefix + std::string(n.name());
      if (!out.by_name.emplace(name, out.nodes.size()).second)
        return; // a further round of a loop
      for (at::Tensor& t : numbers)
        if (t.defined())
          t = t.clone(); // a later node may write to it
      out.nodes.emplace_back(std::move(name), std::move(numbers));
    };
    const std::vector<c10::IValue> given =
        with_seed([&] { return interpreter(g).run(std::move(values), o); });

    std::size_t user_outputs = 0;
    for (std::size_t i = 0; i != given.size(); ++i) {
      note_type(out, given[i]);
      output_spec user;
      const output_spec& s = program_ ? program_->signature().outputs[i] : user;
      switch (s.kind) {
      case output_kind::user_output:
      case output_kind::loss_output:
        out.all.push_back({"output " + std::to_string(user_outputs++), given[i], {}});
        break;
      case output_kind::gradient_to_parameter:
      case output_kind::gradient_to_user_input:
        out.all.push_back({"gradient of '" + s.target + "'", given[i], {}});
        break;
      case output_kind::buffer_mutation:
      case output_kind::parameter_mutation:
      case output_kind::user_input_mutation: {
        const std::string what =
            s.kind == output_kind::user_input_mutation ? input_called[s.target] : state(s.target);
        const auto at = written_to.find(what);
        out.all.push_back({what, given[i], at == written_to.end() ? at::Tensor() : at->second.before});
        break;
      }
      case output_kind::token:
        break;
      }
    }
    for (const auto& [what, t] : written_to)
      if (t.written() && !out.find(what))
        out.all.push_back({what, t.now, t.before});
    return out;
  }
  template <class = when_used>
  static void name_subgraphs(const graph_storage& g, const std::string& prefix,
                             hash_map<const graph_storage*, std::string>& out) {
    out.emplace(&g, prefix);
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      name_subgraphs(g.subgraph(i), prefix + std::string(g.text(g.subgraph_name(i))) + ".", out);
  }
  static std::string state(const std::string& target) { return "state '" + target + "'"; }

  /// Runs something with the seed; the process's random numbers go on afterwards as if it had not run.
  template <class F>
  std::vector<c10::IValue> with_seed(F&& f) const {
    auto generator = at::detail::getDefaultCPUGenerator();
    struct restore {
      at::Generator& of;
      at::Tensor was = of.get_state();
      ~restore() { of.set_state(was); }
    } const keep{generator};
    {
      const std::lock_guard lock(generator.mutex());
      generator.set_current_seed(seed_);
    }
    return f();
  }

  const program_base* program_ = nullptr;
  std::vector<c10::IValue> inputs_;
  tolerance tolerance_;
  std::uint64_t seed_;
  bool started_ = false;
  const graph_storage* whole_ = nullptr; // what the pipeline runs on
  vector<std::string_view> parts_;       // passes that changed a part since the whole was last seen
  results reference_, last_;
  vector<row> rows_;
};

} // namespace espalier
