// SPDX-License-Identifier: BSL-1.0
// Holds shape rules against LibTorch's CPU kernels: draws the arguments of a call, runs the kernel on real
// tensors and the rule on their metas, and compares. A test file declares its checks at namespace scope, so
// that all of them are known before the first test runs and a rule that nobody checks can be found:
//
//   const kernel_check::checks sums({"aten::sum"}, [] { return kernel_check::call(draw::tensor()); });
//   TEST_CASE("...") { kernel_check::run_this_file(); }
//
// ESPALIER_DRAWS sets how many draws an operator gets, ESPALIER_SEED another seed, ESPALIER_CHECK_ONLY one
// operator.
#pragma once

#include <espalier/bridge/ivalue.hpp>
#include <espalier/bridge/types.hpp>
#include <espalier/meta/rules.hpp>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <complex>
#include <concepts>
#include <cstdlib>
#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <ostream>
#include <set>
#include <source_location>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kernel_check {

namespace es = espalier;
using ints = std::vector<std::int64_t>;

// ---- what is drawn. These may be called only from a check's function: they shrink with the draw.
namespace draw {

/// An integer from `lo` to `hi`, both included; shrinks to `lo`.
inline std::int64_t integer(std::int64_t lo, std::int64_t hi) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<std::int64_t>(lo, hi + 1));
}
/// True once in `n`.
inline bool once_in(int n) { return integer(0, n - 1) == n - 1; }
inline bool boolean() { return once_in(2); }
template <class T>
T one_of(std::initializer_list<T> l) {
  return l.begin()[integer(0, static_cast<std::int64_t>(l.size()) - 1)];
}
template <class T>
const T& one_of(const std::vector<T>& l) {
  return l[static_cast<std::size_t>(integer(0, static_cast<std::int64_t>(l.size()) - 1))];
}

using dtypes = std::vector<at::ScalarType>;
inline const dtypes floats{at::kFloat, at::kDouble, at::kHalf, at::kBFloat16};
inline const dtypes ints{at::kLong, at::kInt, at::kShort, at::kChar, at::kByte};
inline const dtypes real{at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kLong,
                         at::kInt,   at::kShort,  at::kChar, at::kByte};
inline const dtypes real_or_bool{at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kLong,
                                 at::kInt,   at::kShort,  at::kChar, at::kByte,     at::kBool};
inline const dtypes any{at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kLong,        at::kInt,
                        at::kShort, at::kChar,   at::kByte, at::kBool,     at::kComplexFloat};
/// f32 and f64 alone: what every kernel of a family has.
inline const dtypes plain{at::kFloat, at::kDouble};

/// Sizes: `lo` to `hi` dimensions of 1 to 4 elements, sometimes one of 0.
inline kernel_check::ints shape(std::int64_t lo = 0, std::int64_t hi = 5, bool empty = true) {
  kernel_check::ints s(static_cast<std::size_t>(integer(lo, hi)));
  for (auto& x : s)
    x = integer(1, s.size() > 4 ? 3 : 4);
  if (empty && !s.empty() && once_in(12))
    s[static_cast<std::size_t>(integer(0, static_cast<std::int64_t>(s.size()) - 1))] = 0;
  return s;
}
/// Sizes that broadcast to `s` (or `s` to them, where `s` has a 1 nothing is changed).
inline kernel_check::ints broadcastable(kernel_check::ints s) {
  if (once_in(2))
    return s;
  const auto drop = integer(0, static_cast<std::int64_t>(s.size()));
  s.erase(s.begin(), s.begin() + (once_in(2) ? drop : 0));
  for (auto& x : s)
    if (once_in(4))
      x = 1;
  return s;
}

/// A tensor of sizes `s` whose elements are 0, 1, ..., `below` - 1 in turn, laid out in one of the ways that
/// tensors come: row-major, permuted, channels-last, sliced with a step and an offset, expanded.
inline at::Tensor tensor(const kernel_check::ints& s, at::ScalarType t, std::int64_t below = 3) {
  const auto n = s.size();
  enum { row_major, permuted, channels_last, sliced, expanded, permuted_slice, num_ways };
  const auto way = integer(0, num_ways - 1);
  kernel_check::ints base = s, step(n, 1);
  std::vector<std::size_t> order(n); // outermost first
  for (std::size_t i = 0; i != n; ++i)
    order[i] = i;
  if ((way == permuted || way == permuted_slice) && n > 1) {
    for (std::size_t i = 0; i + 1 < n; ++i)
      std::swap(order[i], order[static_cast<std::size_t>(
                              integer(static_cast<std::int64_t>(i), static_cast<std::int64_t>(n) - 1))]);
  } else if (way == channels_last && (n == 4 || n == 5)) {
    order.erase(order.begin() + 1);
    order.push_back(1);
  }
  std::int64_t offset = 0;
  if (way == sliced || way == permuted_slice)
    for (std::size_t i = 0; i != n; ++i)
      if (once_in(2)) {
        step[i] = integer(1, 2);
        base[i] = s[i] * step[i] + integer(0, 1);
        offset = integer(0, 3);
      }
  kernel_check::ints strides(n);
  std::int64_t run = 1;
  for (std::size_t k = n; k-- > 0;) {
    strides[order[k]] = run * step[order[k]];
    run *= std::max<std::int64_t>(base[order[k]], 1);
  }
  if (way == expanded && n)
    strides[static_cast<std::size_t>(integer(0, static_cast<std::int64_t>(n) - 1))] = 0;
  const auto room = run + offset;
  return at::arange(room).remainder(std::max<std::int64_t>(below, 1)).to(t).as_strided(s, strides, offset);
}
inline at::Tensor tensor(const kernel_check::ints& s, const dtypes& t = floats) {
  return tensor(s, one_of(t));
}
inline at::Tensor tensor(const dtypes& t = floats, std::int64_t lo = 0, std::int64_t hi = 5,
                         bool empty = true) {
  return tensor(shape(lo, hi, empty), one_of(t));
}
/// Indices below `bound`, of any layout.
inline at::Tensor indices(const kernel_check::ints& s, std::int64_t bound, at::ScalarType t = at::kLong) {
  return tensor(s, t, bound);
}
/// A dimension of a tensor of `n` dimensions, counted from either end.
inline std::int64_t dim(std::int64_t n) {
  n = std::max<std::int64_t>(n, 1);
  return integer(-n, n - 1);
}
/// Some dimensions, none twice, counted from either end.
inline kernel_check::ints dims(std::int64_t n) {
  kernel_check::ints out;
  for (std::int64_t i = 0; i != n; ++i)
    if (boolean())
      out.push_back(once_in(4) ? i - n : i);
  return out;
}
/// A number: integer, floating or boolean.
inline c10::IValue number(bool boolean_too = true) {
  const auto k = integer(0, boolean_too ? 2 : 1);
  if (k == 0)
    return integer(1, 3);
  if (k == 1)
    return static_cast<double>(integer(1, 3)) + 0.5;
  return boolean();
}

} // namespace draw

// ---- calls

/// Stands for an argument that is left out, between others.
struct left_out {};

/// The arguments of a call: the leading ones in order, others by name; those not given have their defaults.
struct call {
  std::vector<std::optional<c10::IValue>> args;
  std::map<std::string, c10::IValue, std::less<>> named;

  call() = default;
  template <class... A>
  explicit call(A&&... a) {
    (add(std::forward<A>(a)), ...);
  }
  call& add(left_out) {
    args.emplace_back(std::nullopt);
    return *this;
  }
  template <class A>
  call& add(A&& a) {
    args.emplace_back(value(std::forward<A>(a)));
    return *this;
  }
  template <class A>
  call& with(std::string name, A&& a) {
    named.insert_or_assign(std::move(name), value(std::forward<A>(a)));
    return *this;
  }

  template <class T>
  requires(!std::same_as<T, int> && std::convertible_to<T, c10::IValue>) static c10::IValue value(T v) {
    return v;
  }
  static c10::IValue value(std::nullopt_t) { return {}; }
  static c10::IValue value(std::same_as<int> auto i) { return static_cast<std::int64_t>(i); }
  static c10::IValue value(at::ScalarType t) { return static_cast<std::int64_t>(t); }
  static c10::IValue value(at::MemoryFormat f) { return static_cast<std::int64_t>(f); }
  static c10::IValue value(const char* s) { return std::string(s); }
  static c10::IValue value(const std::vector<at::Tensor>& l) { return c10::List<at::Tensor>(l); }
  static c10::IValue value(const std::vector<std::optional<at::Tensor>>& l) {
    c10::List<std::optional<at::Tensor>> out;
    for (auto& t : l)
      out.push_back(t);
    return out;
  }
};

/// Draws a call of an operator.
using draw_call = std::function<call()>;

/// What is compared beyond count, dtype, sizes, strides and offset.
struct check_options {
  int draws = 60;
  /// Strides of dimensions of size 1, and of empty tensors, are compared too.
  bool exact_strides = false;
};

// ---- one draw

namespace detail {

/// The metas of a call's results, lists flattened; `numbers` are results that are no tensors.
struct outcome {
  std::vector<std::optional<es::tensor_meta>> tensors;
  std::vector<std::int64_t> numbers;
};

inline std::string text_of(const es::tensor_meta& m) {
  std::ostringstream o;
  const auto list = [&](const es::sym_ints& s) {
    o << '[';
    for (std::size_t i = 0; i != s.size(); ++i)
      o << (i ? ", " : "") << s[i].int_or(-999);
    o << ']';
  };
  o << es::to_string(m.dtype);
  list(m.sizes);
  o << " strides ";
  list(m.strides);
  if (m.storage_offset.int_or(-999) != 0)
    o << " offset " << m.storage_offset.int_or(-999);
  return o.str();
}
inline std::string text_of(const outcome& x) {
  std::string s;
  for (auto& t : x.tensors)
    s += "\n    " + (t ? text_of(*t) : std::string("none"));
  for (auto n : x.numbers)
    s += "\n    number " + std::to_string(n);
  return s.empty() ? " nothing" : s;
}
inline std::string text_of(const c10::IValue& v) {
  if (v.isTensor())
    return v.toTensor().defined() ? text_of(es::meta_of(v.toTensor())) : "undefined";
  if (v.isList()) {
    std::string s;
    for (const c10::IValue& e : v.toListRef())
      s += (s.empty() ? "" : ", ") + text_of(e);
    return '[' + s + ']';
  }
  std::ostringstream o;
  o << v;
  return o.str();
}

/// Metas of a call's arguments; owns what they point at.
class meta_call {
public:
  es::meta_arg arg(const c10::IValue& v, es::arg_kind kind) {
    if (v.isTensor())
      return v.toTensor().defined() ? es::meta_arg(metas_.emplace_back(es::meta_of(v.toTensor())))
                                    : es::meta_arg(std::nullopt);
    if (v.isNone())
      return es::meta_arg(std::nullopt);
    if (v.isInt())
      return kind == es::arg_kind::scalar_type ? es::meta_arg(static_cast<es::scalar_type>(v.toInt()))
                                               : es::meta_arg(es::sym_int(v.toInt()));
    if (v.isBool())
      return es::meta_arg(v.toBool());
    if (v.isDouble())
      return es::meta_arg(v.toDouble());
    if (v.isDevice())
      return es::meta_arg(es::from_c10(v.toDevice()));
    if (v.isString())
      return es::meta_arg(std::string_view(v.toStringRef()));
    if (v.isList()) {
      auto& l = lists_.emplace_back();
      for (const c10::IValue& e : v.toListRef())
        l.push_back(arg(e, kind));
      return es::meta_arg(es::span<const es::meta_arg>(l));
    }
    es::meta_arg other;
    other.form = v.isComplexDouble() ? es::meta_form::complex
                 : v.isGenerator()   ? es::meta_form::none
                                     : es::meta_form::other;
    return other;
  }

private:
  std::deque<es::tensor_meta> metas_;
  std::deque<es::vector<es::meta_arg>> lists_;
};

inline outcome outcome_of(const es::rule_result& r) {
  outcome out;
  for (auto& o : r.outputs)
    if (o.kind == es::rule_output::kind_type::tensor)
      out.tensors.emplace_back(o.tensor);
    else if (o.kind == es::rule_output::kind_type::none)
      out.tensors.emplace_back(std::nullopt);
    else
      out.numbers.push_back(o.number.as_int());
  return out;
}
inline void add_result(outcome& out, const c10::IValue& v) {
  if (v.isTensor()) {
    if (v.toTensor().defined())
      out.tensors.emplace_back(es::meta_of(v.toTensor()));
    else
      out.tensors.emplace_back(std::nullopt);
  } else if (v.isList()) {
    for (const c10::IValue& e : v.toListRef())
      add_result(out, e);
  } else if (v.isInt()) {
    out.numbers.push_back(v.toInt());
  } else {
    out.numbers.push_back(v.isBool() ? v.toBool() : -1);
  }
}

/// Why two results differ, or nothing.
inline std::string difference(const outcome& kernel, const outcome& rule, const check_options& o) {
  if (kernel.tensors.size() != rule.tensors.size())
    return "the number of tensors";
  if (kernel.numbers != rule.numbers)
    return "a number";
  for (std::size_t i = 0; i != kernel.tensors.size(); ++i) {
    const auto &k = kernel.tensors[i], &r = rule.tensors[i];
    const auto nth = " of result " + std::to_string(i);
    if (k.has_value() != r.has_value())
      return "presence" + nth;
    if (!k)
      continue;
    if (k->dtype != r->dtype)
      return "the dtype" + nth;
    if (!(k->sizes == r->sizes))
      return "the sizes" + nth;
    if (r->strides.size() != r->sizes.size())
      return "the number of strides" + nth;
    bool empty = false;
    for (auto& s : k->sizes)
      empty = empty || s.as_int() == 0;
    for (std::size_t d = 0; d != k->dim(); ++d)
      if ((o.exact_strides || (!empty && k->sizes[d].as_int() != 1)) && !(k->strides[d] == r->strides[d]))
        return "the strides" + nth;
    if (!(k->storage_offset == r->storage_offset))
      return "the storage offset" + nth;
  }
  return {};
}

/// Runs one draw. Returns whether the two were compared; fails the RapidCheck case where they differ.
inline bool compare_once(const c10::OperatorHandle& op, es::op_id id, es::rule_fn rule, const call& c,
                         const check_options& o) {
  const auto& arguments = op.schema().arguments();
  torch::jit::Stack stack;
  meta_call metas;
  es::vector<es::meta_arg> full, sparse; // with defaults filled in, and with the defaults absent
  std::string shown;
  for (std::size_t i = 0; i != arguments.size(); ++i) {
    const auto& a = arguments[i];
    std::optional<c10::IValue> given = i < c.args.size() ? c.args[i] : std::nullopt;
    if (const auto n = c.named.find(a.name()); n != c.named.end())
      given = n->second;
    if (!given && !a.default_value())
      throw std::logic_error("the check of " + c10::toString(op.operator_name()) + " draws no '" + a.name() +
                             "'");
    stack.push_back(given ? *given : *a.default_value());
    const auto kind = es::kind_of(*a.real_type());
    full.push_back(metas.arg(stack.back(), kind));
    sparse.push_back(given ? full.back() : es::meta_arg());
    if (given)
      shown += "\n    " + a.name() + ": " + text_of(stack.back());
  }
  outcome kernel;
  try {
    at::NoGradGuard no_grad;
    op.callBoxed(stack);
    for (auto& v : stack)
      add_result(kernel, v);
  } catch (const std::exception&) {
    return false;
  }
  for (const auto* args : {&full, &sparse}) {
    outcome mine;
    const auto head = c10::toString(op.operator_name()) + shown +
                      (args == &sparse ? "\n  (defaults left out)" : "") + "\n  kernel:" + text_of(kernel);
    try {
      mine = outcome_of(rule(es::rule_args(id, es::schema_of(id), *args)));
    } catch (const es::error& e) {
      RC_FAIL("the rule refuses what the kernel does: " + head + "\n  rule: " + e.what());
    }
    if (const auto d = difference(kernel, mine, o); !d.empty())
      RC_FAIL(d + " differs: " + head + "\n  rule:" + text_of(mine));
  }
  return true;
}

inline std::optional<std::string> environment(const char* name) {
  const char* s = std::getenv(name);
  return s && *s ? std::optional<std::string>(s) : std::nullopt;
}

} // namespace detail

// ---- checks

/// The operators of one way of drawing, of one file.
struct checks {
  std::vector<std::string> ops;
  draw_call draw;
  check_options options;
  std::string file;

  checks(std::vector<std::string> names, draw_call d, check_options o = {},
         std::source_location at = std::source_location::current())
      : ops(std::move(names)), draw(std::move(d)), options(o), file(at.file_name()) {
    all().push_back(*this);
  }
  /// All checks of the executable.
  static std::vector<checks>& all() {
    static std::vector<checks> list;
    return list;
  }
};

/// Checks one operator: fails the test where rule and kernel differ, or where no draw was compared. Returns
/// the number of draws compared.
inline int run_op(const std::string& name, const draw_call& draw, const check_options& o) {
  INFO(name);
  const auto dot = name.find('.');
  const auto op = c10::Dispatcher::singleton().findSchema(
      {name.substr(0, dot), dot == name.npos ? std::string() : name.substr(dot + 1)});
  const auto id = es::find_op(name);
  const es::rule_fn rule = id ? es::rule_for(*id) : nullptr;
  if (!op || !rule) {
    FAIL_CHECK(std::string(op ? "the operator has no rule" : "LibTorch has no such operator"));
    return 0;
  }
  rc::detail::TestParams p;
  p.maxSuccess = o.draws;
  if (const auto n = detail::environment("ESPALIER_DRAWS"))
    p.maxSuccess = std::stoi(*n);
  p.seed = std::hash<std::string>()(name);
  if (const auto n = detail::environment("ESPALIER_SEED"))
    p.seed ^= std::hash<std::string>()(*n);
  int compared = 0;
  const auto result = rc::detail::checkTestable(
      [&] {
        if (detail::compare_once(*op, *id, rule, draw(), o))
          ++compared;
      },
      rc::detail::TestMetadata{}, p);
  rc::detail::FailureResult failure;
  rc::detail::Error broken;
  rc::detail::GaveUpResult gave_up;
  if (result.match(failure))
    FAIL_CHECK(failure.description);
  else if (result.match(broken))
    FAIL_CHECK(broken.description);
  else if (result.match(gave_up))
    FAIL_CHECK(gave_up.description);
  else
    CHECK_MESSAGE(compared > p.maxSuccess / 10,
                  "the kernel refused nearly all draws: compared " << compared << " of " << p.maxSuccess);
  return compared;
}

/// Whether strides that lead nowhere are compared: those of dimensions of size 1 and of empty tensors.
enum class strides_of_one { ignored, compared };

/// Runs the checks declared in the calling file.
inline void run_this_file(strides_of_one how = strides_of_one::ignored,
                          std::source_location at = std::source_location::current()) {
  static const bool one_thread = [] {
    at::set_num_threads(1); // the tensors are tiny
    return true;
  }();
  CHECK(one_thread);
  struct silent final : c10::WarningHandler {
    void process(const c10::Warning&) override {}
  } handler;
  c10::WarningUtils::WarningHandlerGuard quiet(&handler);
  const auto only = detail::environment("ESPALIER_CHECK_ONLY");
  int compared = 0, ops = 0;
  for (const auto& c : checks::all())
    if (c.file == at.file_name())
      for (auto& name : c.ops) {
        if (only && *only != name)
          continue;
        auto options = c.options;
        options.exact_strides = options.exact_strides || how == strides_of_one::compared;
        compared += run_op(name, c.draw, options);
        ++ops;
      }
  MESSAGE(compared << " calls of " << ops << " operators compared with the kernels");
  CHECK((only || ops > 0));
}

} // namespace kernel_check
