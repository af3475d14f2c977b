// SPDX-License-Identifier: BSL-1.0
// Higher-order operators that stand for one call of an ordinary function (`torch/_higher_order_ops`):
// `auto_functionalized` makes a mutating operator functional by copies, `with_effects` orders effects by
// tokens, `call_torchbind` calls a method of a custom object. They name arguments, which other calls in a
// graph do not.
#pragma once

#include <espalier/archive/detail/notes.hpp>
#include <espalier/program/higher_order_call.hpp>
#include <espalier/support/vector.hpp>

#include <ATen/Functions.h>
#include <ATen/core/class_type.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/function.h>

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier::detail {

/// A value as a schema's type wants it: lists of the right element type, numbers as tensors, devices.
template <class = when_used>
c10::IValue typed_as(c10::IValue v, const c10::Type& t) {
  if (const auto* optional = t.castRaw<c10::OptionalType>())
    return v.isNone() ? v : typed_as(std::move(v), *optional->getElementType());
  if (t.kind() == c10::TypeKind::ListType && v.isList()) {
    const auto given = v.toListRef();
    return make_list(element_kind_of(t), std::vector<c10::IValue>(given.begin(), given.end()));
  }
  if (t.kind() == c10::TypeKind::DeviceObjType && v.isString())
    return c10::IValue(c10::Device(v.toStringRef()));
  return fitted(std::move(v), fit_of(t), 1);
}

/// The arguments of one call, by position or name.
struct call_arguments {
  std::vector<c10::IValue> positional;
  vector<std::pair<std::string, c10::IValue>> named;

  template <class = when_used>
  bool has(std::string_view name) const {
    for (const auto& n : named)
      if (n.first == name)
        return true;
    return false;
  }
  /// The named argument, which is removed; nothing when there is none of that name.
  template <class = when_used>
  std::optional<c10::IValue> take(std::string_view name) {
    for (auto it = named.begin(); it != named.end(); ++it)
      if (it->first == name) {
        auto v = std::move(it->second);
        named.erase(it);
        return v;
      }
    return std::nullopt;
  }
  template <class = when_used>
  c10::IValue need(const std::string& name) {
    if (auto v = take(name))
      return *std::move(v);
    fail(error_kind::verification, "the call has no argument '" + name + "'", "",
         "export the program again with the PyTorch version that this one follows (2.15)");
  }
};

/// The arguments of a higher-order call from the `first` on. Graphs keep arguments by position; the names
/// that a file gave them are in a note of the node.
template <class = when_used>
call_arguments arguments_of(const higher_order_call& c, std::size_t first) {
  call_arguments out;
  auto text = c.at.graph().origin_text(c.at, note::args);
  for (std::size_t i = 0; i != c.args.size(); ++i) {
    const auto item = text.substr(0, text.find(','));
    text.remove_prefix(item.size() == text.size() ? text.size() : item.size() + 1);
    const auto name = item.substr(0, item.rfind(':'));
    if (i < first)
      continue;
    if (name.empty())
      out.positional.push_back(c.args[i]);
    else
      out.named.emplace_back(name, c.args[i]);
  }
  return out;
}

/// The operator that argument `i` names.
template <class = when_used>
c10::OperatorHandle operator_of(const higher_order_call& c, std::size_t i) {
  if (i < c.args.size() && c.args[i].isString())
    if (const auto handle = find_operator(c.args[i].toStringRef()))
      return *handle;
  fail(error_kind::unsupported,
       i < c.args.size() && c.args[i].isString()
           ? "it calls '" + c.args[i].toStringRef() + "', which LibTorch's dispatcher does not know"
           : "it calls no operator of LibTorch's dispatcher",
       "", "link or load the library that registers the operator, or run the program in Python");
}

/// Arguments by position and name in the order of a schema, its defaults for the rest.
template <class = when_used>
torch::jit::Stack arranged(const c10::FunctionSchema& schema, const std::string& name, call_arguments args) {
  torch::jit::Stack stack;
  const auto& formal = schema.arguments();
  const auto refuse = [&](const std::string& what) {
    fail(error_kind::verification, name + what, "",
         "export the program again with this version of the operator");
  };
  for (std::size_t i = 0; i != formal.size(); ++i) {
    if (i < args.positional.size())
      stack.push_back(typed_as(std::move(args.positional[i]), *formal[i].type()));
    else if (auto v = args.take(formal[i].name()))
      stack.push_back(typed_as(*std::move(v), *formal[i].type()));
    else if (const auto& d = formal[i].default_value())
      stack.push_back(*d);
    else
      refuse(" got no argument '" + formal[i].name() + "'");
  }
  if (args.positional.size() > formal.size())
    refuse(" got too many arguments");
  if (!args.named.empty())
    refuse(" has no argument '" + args.named.front().first + "'");
  return stack;
}
/// Calls an operator with arguments by position and name.
template <class = when_used>
torch::jit::Stack call_operator(const c10::OperatorHandle& op, call_arguments args) {
  auto stack = arranged(op.schema(), toString(op.schema().operator_name()), std::move(args));
  op.callBoxed(stack);
  return stack;
}

/// A copy with the same sizes, strides and offset: an operator that writes may depend on them.
template <class = when_used>
at::Tensor copy_in_layout(const at::Tensor& t) {
  if (!t.defined())
    return t;
  std::int64_t extent = t.numel() ? 1 : 0;
  for (std::int64_t d = 0; d != t.dim() && extent; ++d)
    extent += (t.size(d) - 1) * t.stride(d);
  const auto offset = t.storage_offset();
  const auto all = at::as_strided(t, {extent + offset}, {1}, 0);
  return at::as_strided(at::clone(all, at::MemoryFormat::Contiguous), t.sizes(), t.strides(), offset);
}
/// The same of each tensor of a list.
template <class = when_used>
c10::IValue copied_in_layout(const c10::IValue& v) {
  if (v.isTensor())
    return copy_in_layout(v.toTensor());
  if (!v.isList())
    return v;
  c10::impl::GenericList out(c10::AnyType::get());
  for (const c10::IValue& e : v.toListRef())
    out.push_back(copied_in_layout(e));
  return c10::IValue(std::move(out));
}

template <class = when_used>
bool is_written(const c10::Argument& a) {
  return a.alias_info() && a.alias_info()->isWrite();
}
/// What the operator gave: None stands for no result.
template <class = when_used>
std::vector<c10::IValue> results_or_none(torch::jit::Stack stack) {
  if (stack.empty())
    stack.emplace_back();
  return stack;
}

/// auto_functionalized(operator, **arguments): copies what the operator writes to, calls it, gives its
/// results and the copies.
template <class = when_used>
std::vector<c10::IValue> run_auto_functionalized(higher_order_call& c) {
  const auto op = operator_of(c, 0);
  auto args = arguments_of(c, 1);
  std::vector<c10::IValue> written;
  for (const auto& a : op.schema().arguments())
    if (is_written(a))
      for (auto& [name, v] : args.named)
        if (name == a.name()) {
          v = typed_as(copied_in_layout(v), *a.type());
          written.push_back(v);
        }
  auto out = results_or_none(call_operator(op, std::move(args)));
  out.insert(out.end(), written.begin(), written.end());
  return out;
}

/// The view of a base that `_NAME_*` arguments describe.
template <class = when_used>
c10::IValue rebuilt_view(call_arguments& args, const std::string& prefix,
                         const std::vector<at::Tensor>& bases) {
  const auto index = args.need(prefix + "_base_index");
  if (index.isNone())
    return {};
  const auto& base = bases.at(static_cast<std::size_t>(index.toInt()));
  if (args.take(prefix + "_alias"))
    return at::alias(base);
  if (auto offset = args.take(prefix + "_storage_offset")) {
    const auto ints = [](const c10::IValue& v) {
      vector<std::int64_t> out;
      for (const c10::IValue& e : v.toListRef())
        out.push_back(py_number(e).i);
      return out;
    };
    const auto sizes = ints(args.need(prefix + "_size")), strides = ints(args.need(prefix + "_stride"));
    return at::as_strided(base, sizes, strides, py_number(*offset).i);
  }
  if (auto dim = args.take(prefix + "_slice_dim")) {
    const auto end = [](const c10::IValue& v) {
      return v.isNone() ? std::nullopt : std::optional<std::int64_t>(py_number(v).i);
    };
    const auto from = args.need(prefix + "_slice_start"), to = args.need(prefix + "_slice_end");
    return at::slice(base, dim->toInt(), end(from), end(to));
  }
  return base;
}

/// auto_functionalized_v2(operator, _all_bases=[...], ...): what the operator writes to are views of bases,
/// described by further arguments. Copies the bases, rebuilds the views, calls the operator, gives its
/// results and the new bases.
template <class = when_used>
std::vector<c10::IValue> run_auto_functionalized_v2(higher_order_call& c) {
  const auto op = operator_of(c, 0);
  auto args = arguments_of(c, 1);
  const auto& formal = op.schema().arguments();
  std::optional<std::set<std::int64_t>> only;
  if (const auto these = args.take("_only_clone_these_bases"); these && these->isList()) {
    only.emplace();
    for (const c10::IValue& e : these->toListRef())
      only->insert(e.toInt());
  }
  std::vector<at::Tensor> bases;
  if (const auto all = args.take("_all_bases"); all && all->isList())
    for (const c10::IValue& b : all->toListRef()) {
      const bool copied = !only || only->contains(static_cast<std::int64_t>(bases.size()));
      bases.push_back(b.isNone() ? at::Tensor() : copied ? copy_in_layout(b.toTensor()) : b.toTensor());
    }
  for (const auto& a : formal) {
    if (!is_written(a))
      continue;
    const std::string prefix = "_" + a.name();
    if (auto length = args.take(prefix + "_length")) { // a list of tensors
      c10::impl::GenericList views(c10::AnyType::get());
      for (std::int64_t i = 0; !length->isNone() && i != length->toInt(); ++i)
        views.push_back(rebuilt_view(args, prefix + "_" + std::to_string(i), bases));
      args.named.emplace_back(a.name(), length->isNone() ? c10::IValue() : c10::IValue(std::move(views)));
    } else if (args.has(prefix + "_base_index")) {
      args.named.emplace_back(a.name(), rebuilt_view(args, prefix, bases));
    } else
      fail(error_kind::unsupported,
           "nothing tells which tensor '" + a.name() + "' of " + toString(op.schema().operator_name()) +
               " is",
           "", "call the operator's functional form in the model, or run the program in Python");
  }
  auto out = results_or_none(call_operator(op, std::move(args)));
  for (auto& b : bases)
    out.emplace_back(std::move(b));
  return out;
}

/// print(format, *args, **kwargs): Python's `{}`, `{0}` and `{name}`, without format specifications.
template <class = when_used>
std::vector<c10::IValue> run_print(const call_arguments& args) {
  const std::string format = args.positional.empty() ? std::string() : args.positional[0].toStringRef();
  std::size_t next = 1;
  std::string text;
  for (std::size_t i = 0; i != format.size(); ++i) {
    const char ch = format[i];
    if ((ch == '{' || ch == '}') && i + 1 != format.size() && format[i + 1] == ch) {
      text += ch;
      ++i;
      continue;
    }
    const auto end = ch == '{' ? format.find('}', i) : format.npos;
    if (end == format.npos) {
      text += ch;
      continue;
    }
    const auto field = format.substr(i + 1, end - i - 1);
    const c10::IValue* v = nullptr;
    if (field.empty() || field.find_first_not_of("0123456789") == field.npos) {
      const auto at = field.empty() ? next++ : static_cast<std::size_t>(std::stoul(field)) + 1;
      v = at < args.positional.size() ? &args.positional[at] : nullptr;
    } else
      for (const auto& n : args.named)
        if (n.first == field)
          v = &n.second;
    if (!v)
      fail(error_kind::unsupported,
           "the format '" + format + "' has the field {" + field + "}, which is not understood", "",
           "print with plain fields: {}, {0}, {name}");
    if (v->isString())
      text += v->toStringRef();
    else {
      std::ostringstream s;
      s << *v;
      text += s.str();
    }
    i = end;
  }
  std::cout << text << '\n';
  return {c10::IValue()};
}

/// with_effects(token, operator, *args, **kwargs): the operator's results after a new token. Order needs none
/// here: nodes run one after the other.
template <class = when_used>
std::vector<c10::IValue> run_with_effects(higher_order_call& c) {
  auto args = arguments_of(c, 2);
  std::vector<c10::IValue> out{c10::IValue()};
  auto results = c.args[1].isString() && c.args[1].toStringRef() == "higher_order::print"
                     ? run_print(args)
                     : results_or_none(call_operator(operator_of(c, 1), std::move(args)));
  out.insert(out.end(), std::make_move_iterator(results.begin()), std::make_move_iterator(results.end()));
  return out;
}

/// call_torchbind(object, method, *args, **kwargs): a method of an object whose C++ class is registered.
template <class = when_used>
std::vector<c10::IValue> run_call_torchbind(higher_order_call& c) {
  const auto object = c.args[0].toObject();
  const auto& name = c.args[1].toStringRef();
  auto* method = object->type()->findMethod(name);
  if (!method)
    fail(error_kind::unsupported, "the class '" + object->type()->str() + "' has no method '" + name + "'",
         "", "link the version of the library that the program was exported with");
  auto args = arguments_of(c, 2);
  args.positional.insert(args.positional.begin(), c.args[0]);
  torch::jit::Stack stack = arranged(method->getSchema(), name, std::move(args));
  method->run(stack);
  if (stack.size() == 1 && stack[0].isTuple())
    return stack[0].toTupleRef().elements().vec();
  return results_or_none(std::move(stack));
}

} // namespace espalier::detail
