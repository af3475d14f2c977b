// SPDX-License-Identifier: BSL-1.0
// What the interpreter prepares once for a graph: operators looked up in LibTorch's dispatcher, constants
// built as IValues, and for each operand how to get it, down to whether it may be moved because nobody needs
// it afterwards (so that memory is freed as early as a C++ program would free it). Running is then a loop
// over flat arrays.
#pragma once

#include <espalier/ir/view.hpp>
#include <espalier/program/detail/builtins.hpp>
#include <espalier/program/detail/int_expr.hpp>
#include <espalier/schema/builtin.hpp>
#include <espalier/support/vector.hpp>
#include <espalier/symbolic/expr_text.hpp>

#include <ATen/ScalarOps.h>
#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {
struct higher_order_call; // program/higher_order_call.hpp
}

namespace espalier::detail {

/// `node 'add_3' (aten::add.Tensor)`, and the line of the user's program when the graph knows it.
template <class = when_used>
std::string describe(node n) {
  std::string s = "node '" + std::string(n.name()) + "'";
  if (n.is_call())
    s += " (" + std::string(name_of(n.op())) + ")";
  const auto trace = n.graph().origin_text(n, "stack_trace");
  if (const auto file = trace.rfind("File \""); file != trace.npos) {
    auto line = trace.substr(file);
    if (const auto end = line.find('\n'); end != line.npos) {
      auto code = line.substr(end + 1);
      line = line.substr(0, end);
      while (!code.empty() && code.front() == ' ')
        code.remove_prefix(1);
      s += ", from " + std::string(line) + ": " + std::string(code.substr(0, code.find('\n')));
    } else
      s += ", from " + std::string(line);
  }
  return s;
}

/// The operator in LibTorch's dispatcher, by our name of it: `aten::add.Tensor`.
template <class = when_used>
std::optional<c10::OperatorHandle> find_operator(std::string_view name) {
  const auto colons = name.find("::");
  const auto dot = name.find('.', colons == name.npos ? 0 : colons);
  return c10::Dispatcher::singleton().findSchema(
      {std::string(name.substr(0, dot)),
       dot == name.npos ? std::string() : std::string(name.substr(dot + 1))});
}

// Of program/higher_order.hpp:
using higher_order_run = std::vector<c10::IValue> (*)(higher_order_call&);
/// What runs a higher-order operator, by its name without `higher_order::`; null when it cannot be run here.
higher_order_run find_higher_order(std::string_view name);
/// What to do about one that cannot.
std::string higher_order_cure(std::string_view name);

/// How elements of a list operand are typed when LibTorch wants one list type and not another.
enum class element_kind : std::uint8_t {
  tensor,
  optional_tensor,
  integer,
  floating,
  boolean,
  string,
  scalar,
  generic
};

/// How a run-time value is fitted to a schema's type: Python's callers may pass a number for a Tensor.
enum class fit : std::uint8_t { none, tensor, floating, number, int_list };

struct operand {
  enum class source : std::uint8_t { constant, value, list, symbolic } from = source::constant;
  bool last_use = false; // of a value: it may be moved
  fit as = fit::none;
  element_kind elements = element_kind::generic;
  std::uint32_t index = 0; // of the constant, the value, the first element, or the expression
  std::uint32_t count = 0; // elements; or the length that a number is repeated to
};

struct step {
  enum class call : std::uint8_t { dispatch, builtin, higher_order } how = call::dispatch;
  bool expand_lists = false; // a result that is a list stands for several results of the node
  node_id at{};
  std::uint32_t target = 0; // of the table that `how` names
  std::uint32_t first_operand = 0, num_operands = 0;
  std::uint32_t first_result = 0, num_results = 0;
};

template <class = when_used>
element_kind element_kind_of(const c10::Type& list) {
  const auto* l = list.castRaw<c10::ListType>();
  if (!l)
    return element_kind::generic;
  const auto& e = *l->getElementType();
  switch (e.kind()) {
  case c10::TypeKind::TensorType:
    return element_kind::tensor;
  case c10::TypeKind::OptionalType:
    return e.castRaw<c10::OptionalType>()->getElementType()->kind() == c10::TypeKind::TensorType
               ? element_kind::optional_tensor
               : element_kind::generic;
  case c10::TypeKind::IntType:
  case c10::TypeKind::SymIntType:
    return element_kind::integer;
  case c10::TypeKind::FloatType:
    return element_kind::floating;
  case c10::TypeKind::BoolType:
    return element_kind::boolean;
  case c10::TypeKind::StringType:
    return element_kind::string;
  case c10::TypeKind::NumberType:
    return element_kind::scalar;
  default:
    return element_kind::generic;
  }
}

/// A list of the given element kind; elements are consumed.
template <class = when_used>
c10::IValue make_list(element_kind k, std::vector<c10::IValue> items) {
  const auto fill = [&]<class T>(c10::List<T> l, auto&& get) {
    l.reserve(items.size());
    for (auto& v : items)
      l.push_back(get(std::move(v)));
    return c10::IValue(std::move(l));
  };
  const auto tensor = [](c10::IValue v) {
    return v.isNone()     ? at::Tensor()
           : v.isTensor() ? std::move(v).toTensor()
                          : at::native::wrapped_scalar_tensor(v.toScalar());
  };
  switch (k) {
  case element_kind::tensor:
    return fill(c10::List<at::Tensor>(), tensor);
  case element_kind::optional_tensor:
    return fill(c10::List<std::optional<at::Tensor>>(), [&](c10::IValue v) {
      return v.isNone() ? std::optional<at::Tensor>() : tensor(std::move(v));
    });
  case element_kind::integer:
    return fill(c10::List<std::int64_t>(), [](const c10::IValue& v) {
      return v.isTensor() ? v.toTensor().item<std::int64_t>() : py_number(v).i;
    });
  case element_kind::floating:
    return fill(c10::List<double>(), [](const c10::IValue& v) { return py_number(v).as_double(); });
  case element_kind::boolean:
    return fill(c10::List<bool>(), [](const c10::IValue& v) { return py_number(v).truth(); });
  case element_kind::string:
    return fill(c10::List<std::string>(), [](const c10::IValue& v) { return v.toStringRef(); });
  case element_kind::scalar:
    return fill(c10::List<at::Scalar>(), [](const c10::IValue& v) { return v.toScalar(); });
  case element_kind::generic:
    break;
  }
  auto l = c10::impl::GenericList(c10::AnyType::get());
  for (auto& v : items)
    l.push_back(std::move(v));
  return c10::IValue(std::move(l));
}

/// Fits a value to what the schema wants.
template <class = when_used>
c10::IValue fitted(c10::IValue v, fit f, std::uint32_t count) {
  switch (f) {
  case fit::none:
    return v;
  case fit::tensor:
    if (v.isInt() || v.isDouble() || v.isBool() || v.isComplexDouble())
      return at::native::wrapped_scalar_tensor(v.toScalar());
    return v;
  case fit::floating:
    return v.isDouble() || v.isNone() ? v : c10::IValue(py_number(v).as_double());
  case fit::number:
    if (v.isTensor())
      return c10::IValue(v.toTensor().item());
    return v;
  case fit::int_list: {
    if (!v.isInt())
      return v;
    c10::List<std::int64_t> l;
    for (std::uint32_t i = 0; i != (count ? count : 1); ++i)
      l.push_back(v.toInt());
    return c10::IValue(std::move(l));
  }
  }
  return v;
}

/// The fit that a schema's type asks for.
template <class = when_used>
fit fit_of(const c10::Type& t) {
  switch (t.kind()) {
  case c10::TypeKind::TensorType:
    return fit::tensor;
  case c10::TypeKind::FloatType:
    return fit::floating;
  case c10::TypeKind::NumberType:
    return fit::number;
  case c10::TypeKind::ListType:
    return element_kind_of(t) == element_kind::integer ? fit::int_list : fit::none;
  default:
    return fit::none;
  }
}

/// A scalar constant of a graph as an IValue; a string may stand for a device.
template <class = when_used>
c10::IValue constant_of(arg_view a, const c10::Type* type) {
  switch (a.form()) {
  case arg_form::integer:
    return c10::IValue(a.as_int());
  case arg_form::floating:
    return c10::IValue(a.as_double());
  case arg_form::boolean:
    return c10::IValue(a.as_bool());
  case arg_form::complex:
    return c10::IValue(c10::complex<double>(a[0].as_double(), a[1].as_double()));
  case arg_form::string:
    if (type && type->kind() == c10::TypeKind::DeviceObjType)
      return c10::IValue(c10::Device(std::string(a.as_string())));
    return c10::IValue(std::string(a.as_string()));
  case arg_form::scalar_type:
    return c10::IValue(static_cast<std::int64_t>(a.as_dtype()));
  case arg_form::layout:
    return c10::IValue(static_cast<std::int64_t>(a.as_layout()));
  case arg_form::memory_format:
    return c10::IValue(static_cast<std::int64_t>(a.as_memory_format()));
  case arg_form::device: {
    const auto d = a.as_device();
    return c10::IValue(c10::Device(static_cast<c10::DeviceType>(d.type), d.index));
  }
  case arg_form::subgraph:
    return c10::IValue(static_cast<std::int64_t>(a.as_subgraph()));
  case arg_form::op:
    return c10::IValue(std::string(name_of(a.as_op())));
  default:
    return c10::IValue();
  }
}

/// The prepared form of one graph. Points into the graph, which must neither move nor change while it is
/// used.
struct plan {
  const graph_storage* graph = nullptr;
  vector<step> steps;
  vector<operand> operands;
  std::vector<c10::IValue> constants;
  std::vector<c10::OperatorHandle> handles;
  vector<builtin> builtins;
  vector<higher_order_run> higher_order;
  variable_table symbols;
  vector<int_expr> expressions;
  /// A symbol that becomes known when a value does: the value itself, or one of its sizes.
  struct binding_site {
    std::uint32_t value, slot;
    int dim; // -1: the value
  };
  vector<binding_site> binding_sites; // by value
  vector<std::uint32_t> inputs;       // values of the placeholders
  /// A read of an attribute: a value that is looked up when a run starts.
  struct attribute {
    std::uint32_t value;
    std::string name;
  };
  vector<attribute> attributes;
  std::uint32_t first_output = 0, num_outputs = 0;
  vector<std::unique_ptr<plan>> subplans;

  template <class = when_used>
  explicit plan(const graph_storage& g) : graph(&g) {
    std::string missing, cure;
    last_use_.assign(g.value_capacity(), false);
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      subplans.push_back(std::make_unique<plan>(g.subgraph(i)));
    for (node n : nodes(g)) {
      switch (n.kind()) {
      case node_kind::placeholder:
        inputs.push_back(n.result().id().index);
        break;
      case node_kind::call_function:
      case node_kind::call_higher_order:
        add_call(n, missing, cure);
        break;
      case node_kind::output:
        first_output = static_cast<std::uint32_t>(operands.size());
        num_outputs = static_cast<std::uint32_t>(n.num_args());
        add_operands(n, nullptr);
        break;
      case node_kind::get_attr:
        attributes.push_back({n.result().id().index, std::string(n.arg(0).as_string())});
        break;
      case node_kind::erased:
        break;
      }
    }
    if (!missing.empty())
      fail(error_kind::unsupported, "these operators cannot be run here: " + missing, "interpreter",
           cure.empty() ? "load the library that registers them, or lower the program to ATen operators first"
                        : cure);
    mark_last_uses();
    add_binding_sites();
  }

private:
  template <class = when_used>
  void add_call(node n, std::string& missing, std::string& cure) {
    step s;
    s.at = n.id();
    s.first_result = n.num_results() ? n.result(0).id().index : 0;
    s.num_results = static_cast<std::uint32_t>(n.num_results());
    s.expand_lists = n.returns_list();
    s.first_operand = static_cast<std::uint32_t>(operands.size());
    const auto name = name_of(n.op());
    const auto refuse = [&](std::string_view what) {
      if (missing.find(what) == missing.npos)
        missing += (missing.empty() ? "" : ", ") + std::string(what);
    };
    if (n.kind() == node_kind::call_higher_order) {
      s.how = step::call::higher_order;
      const auto plain = name.substr(name.rfind(':') + 1);
      const auto run = find_higher_order(plain);
      if (!run) {
        cure = higher_order_cure(plain);
        return refuse(plain);
      }
      s.target = static_cast<std::uint32_t>(higher_order.size());
      higher_order.push_back(run);
      for (std::size_t i = 0; i != n.num_args(); ++i) // an operator that it calls
        if (const auto a = n.arg(i); a.form() == arg_form::op && !flags_of(a.as_op()).higher_order &&
                                     !find_operator(name_of(a.as_op())))
          return refuse(name_of(a.as_op()));
      add_operands(n, nullptr);
    } else if (const auto b = find_builtin(name)) {
      s.how = step::call::builtin;
      s.target = static_cast<std::uint32_t>(builtins.size());
      builtins.push_back(b);
      add_operands(n, nullptr);
    } else {
      const auto handle = find_operator(name);
      if (!handle)
        return refuse(name);
      s.target = static_cast<std::uint32_t>(handles.size());
      handles.push_back(*handle);
      const auto& schema = handle->schema();
      for (const auto& r : schema.returns())
        s.expand_lists =
            s.expand_lists || (r.type()->kind() == c10::TypeKind::ListType && s.num_results != 1);
      add_operands(n, &schema);
    }
    s.num_operands = static_cast<std::uint32_t>(operands.size()) - s.first_operand - nested_;
    steps.push_back(s);
  }

  /// Appends a node's operands: top-level ones in one run, list elements after them.
  template <class = when_used>
  void add_operands(node n, const c10::FunctionSchema* schema) {
    const std::size_t count = schema ? schema->arguments().size() : n.num_args();
    if (schema && n.num_args() > count)
      fail(error_kind::verification, "the node has more arguments than the operator's schema", describe(n),
           "run verify on the program, or export it again with this version's operators");
    const std::size_t first = operands.size();
    operands.resize(first + count);
    for (std::size_t i = 0; i != count; ++i) {
      const auto a = n.arg(i);
      if (a.form() == arg_form::absent) {
        operand o;
        c10::IValue v;
        if (schema) {
          const auto& d = schema->arguments()[i].default_value();
          if (!d)
            fail(error_kind::verification,
                 "the required argument '" + schema->arguments()[i].name() + "' is missing", describe(n),
                 "run verify on the program");
          v = *d;
        }
        o.index = constant(std::move(v));
        operands[first + i] = o;
      } else {
        const c10::Argument* arg = schema ? &schema->arguments()[i] : nullptr;
        const operand o = make(n, a, arg ? arg->type().get() : nullptr,
                               arg && arg->N() ? static_cast<std::uint32_t>(*arg->N()) : 0);
        operands[first + i] = o;
      }
    }
    nested_ = static_cast<std::uint32_t>(operands.size() - first - count);
  }

  template <class = when_used>
  operand make(node n, arg_view a, const c10::Type* type, std::uint32_t length) {
    operand o;
    if (type)
      if (const auto* opt = type->castRaw<c10::OptionalType>())
        type = opt->getElementType().get();
    switch (a.form()) {
    case arg_form::value:
      o.from = operand::source::value;
      o.index = a.as_value().id().index;
      o.as = type ? fit_of(*type) : fit::none;
      o.count = length;
      return o;
    case arg_form::symbolic: {
      const auto text = sym_text(a.as_sym_int().as_expr());
      auto e = int_expr::compile(text, symbols);
      if (!e)
        fail(error_kind::unsupported, "the expression '" + text + "' cannot be evaluated", describe(n),
             "compute it by nodes of the graph");
      o.from = operand::source::symbolic;
      o.as = type ? fit_of(*type) : fit::none;
      o.count = length;
      o.index = static_cast<std::uint32_t>(expressions.size());
      expressions.push_back(std::move(*e));
      return o;
    }
    case arg_form::list: {
      const c10::Type* element = nullptr;
      if (type && type->kind() == c10::TypeKind::ListType) {
        o.elements = element_kind_of(*type);
        element = type->castRaw<c10::ListType>()->getElementType().get();
      }
      bool constant_only = true;
      for (std::size_t i = 0; i != a.size(); ++i)
        constant_only = constant_only && is_constant(a[i]);
      vector<operand> items;
      for (std::size_t i = 0; i != a.size(); ++i)
        items.push_back(make(n, a[i], element, 0));
      if (constant_only) {
        std::vector<c10::IValue> values;
        for (const auto& i : items)
          values.push_back(constants[i.index]);
        o.index = constant(make_list(o.elements, std::move(values)));
        return o;
      }
      o.from = operand::source::list;
      o.index = static_cast<std::uint32_t>(operands.size());
      o.count = static_cast<std::uint32_t>(items.size());
      operands.insert(operands.end(), items.begin(), items.end());
      return o;
    }
    case arg_form::opaque:
      fail(error_kind::unsupported,
           "an argument that this version does not understand: " + std::string(a.as_opaque()), describe(n),
           "update espalier, or re-export the program");
    case arg_form::dict:
      fail(error_kind::unsupported, "an argument is a dict, which no operator run here takes", describe(n),
           "lower the higher-order call first");
    default:
      o.index = constant(fitted(constant_of(a, type), type ? fit_of(*type) : fit::none, length));
      return o;
    }
  }

  template <class = when_used>
  static bool is_constant(arg_view a) {
    if (a.form() == arg_form::value || a.form() == arg_form::symbolic)
      return false;
    for (std::size_t i = 0; i != a.size(); ++i)
      if (!is_constant(a[i]))
        return false;
    return true;
  }
  template <class = when_used>
  std::uint32_t constant(c10::IValue v) {
    constants.push_back(std::move(v));
    return static_cast<std::uint32_t>(constants.size() - 1);
  }

  /// From the end: the first time a value is met is its last use. Outputs come last of all.
  template <class = when_used>
  void mark_last_uses() {
    const auto visit = [&](auto& self, operand& o) -> void {
      if (o.from == operand::source::value) {
        o.last_use = !last_use_[o.index];
        last_use_[o.index] = true;
      } else if (o.from == operand::source::list)
        for (std::uint32_t i = o.count; i-- != 0;)
          self(self, operands[o.index + i]);
    };
    for (std::uint32_t i = num_outputs; i-- != 0;)
      visit(visit, operands[first_output + i]);
    for (std::size_t s = steps.size(); s-- != 0;)
      for (std::uint32_t i = steps[s].num_operands; i-- != 0;)
        visit(visit, operands[steps[s].first_operand + i]);
  }

  template <class = when_used>
  void add_binding_sites() {
    if (symbols.size() == 0 && subplans.empty())
      return;
    const auto& g = *graph;
    for (const auto& p : subplans)
      for (std::uint32_t i = 0; i != p->symbols.size(); ++i)
        symbols.slot(p->symbols.name(i));
    if (symbols.size() == 0)
      return;
    for (node n : nodes(g))
      for (std::size_t r = 0; r != n.num_results(); ++r) {
        const auto& m = n.result(r).meta();
        const auto site = [&](const sym_int& s, int dim) {
          if (!s.is_symbolic())
            return;
          if (const auto slot = symbols.find(sym_text(s.as_expr())))
            binding_sites.push_back({n.result(r).id().index, *slot, dim});
        };
        if (m.kind == value_kind::sym_int)
          site(m.symbol, -1);
        if (m.kind == value_kind::tensor)
          for (std::size_t d = 0; d != m.tensor.dim(); ++d)
            site(m.tensor.sizes[d], static_cast<int>(d));
      }
  }

  vector<bool> last_use_;
  std::uint32_t nested_ = 0;

public:
  /// Whether anything uses a value; others are dropped as soon as they are computed.
  bool used(std::uint32_t value) const { return last_use_[value]; }
};

} // namespace espalier::detail
