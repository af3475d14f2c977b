// SPDX-License-Identifier: BSL-1.0
// One operator called twice: by its shape rule and by its CPU kernel. Used by torch_rules.cpp.
#pragma once

#include <espalier/meta/rules.hpp>

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace rule_test {
namespace es = espalier;

inline es::tensor_meta meta_of(const at::Tensor& t) {
  es::tensor_meta m;
  m.dtype = static_cast<es::scalar_type>(t.scalar_type());
  for (auto s : t.sizes())
    m.sizes.push_back(s);
  for (auto s : t.strides())
    m.strides.push_back(s);
  m.storage_offset = t.storage_offset();
  return m;
}

inline std::string show(const es::tensor_meta& m) {
  std::string s(es::to_string(m.dtype));
  const auto list = [&](const es::sym_ints& l) {
    s += '[';
    for (std::size_t i = 0; i != l.size(); ++i)
      s += (i ? "," : "") + std::to_string(l[i].as_int());
    s += ']';
  };
  list(m.sizes);
  list(m.strides);
  return s + '+' + std::to_string(m.storage_offset.as_int());
}

/// Sizes, dtype, offset and the strides that address something.
inline bool same(const es::tensor_meta& a, const es::tensor_meta& b) {
  if (a.dtype != b.dtype || a.sizes != b.sizes || a.strides.size() != b.strides.size())
    return false;
  for (auto& s : a.sizes)
    if (s.as_int() == 0)
      return true;
  for (std::size_t i = 0; i != a.dim(); ++i)
    if (a.sizes[i].as_int() != 1 && !(a.strides[i] == b.strides[i]))
      return false;
  return a.storage_offset == b.storage_offset;
}

/// The arguments of a call as a rule reads them.
class meta_arguments {
public:
  es::meta_arg convert(const c10::IValue& v, es::arg_kind kind) {
    if (v.isTensor())
      return v.toTensor().defined() ? es::meta_arg(metas_.emplace_back(meta_of(v.toTensor())))
                                    : es::meta_arg(std::nullopt);
    if (v.isInt())
      return kind == es::arg_kind::scalar_type ? es::meta_arg(static_cast<es::scalar_type>(v.toInt()))
                                               : es::meta_arg(v.toInt());
    if (v.isBool())
      return v.toBool();
    if (v.isDouble())
      return v.toDouble();
    if (v.isString())
      return std::string_view(v.toStringRef());
    if (!v.isList())
      return std::nullopt;
    std::vector<es::meta_arg> items;
    for (const c10::IValue& e : v.toListRef())
      items.push_back(convert(e, kind));
    return std::span<const es::meta_arg>(lists_.emplace_back(std::move(items)));
  }

private:
  std::deque<es::tensor_meta> metas_;
  std::deque<std::vector<es::meta_arg>> lists_;
};

inline void read_results(const c10::IValue& v, std::vector<std::string>& text,
                         std::vector<es::tensor_meta>& metas, std::vector<bool>& is_tensor) {
  if (v.isTensorList()) {
    for (const at::Tensor& t : v.toTensorList().vec())
      read_results(t, text, metas, is_tensor);
    return;
  }
  if (v.isTensor() && v.toTensor().defined()) {
    metas.push_back(meta_of(v.toTensor()));
    text.push_back(show(metas.back()));
    is_tensor.push_back(true);
  } else {
    metas.emplace_back();
    text.push_back(v.isInt() ? std::to_string(v.toInt()) : "none");
    is_tensor.push_back(false);
  }
}

/// How the rule and the kernel differ, or nothing. A call that the kernel refuses says nothing about the
/// rule.
inline std::string compare_call(std::string_view op, std::vector<c10::IValue> args) {
  const std::string qualified = "aten::" + std::string(op);
  const auto id = es::find_op(qualified);
  if (!id)
    return qualified + " is not an operator";
  const es::rule_fn rule = es::rule_for(*id);
  if (!rule)
    return qualified + " has no rule";
  const auto dot = op.find('.');
  const auto handle = c10::Dispatcher::singleton().findSchemaOrThrow(
      ("aten::" + std::string(op.substr(0, dot))).c_str(),
      dot == op.npos ? "" : std::string(op.substr(dot + 1)).c_str());
  const auto& schema = handle.schema();
  const es::op_schema& ours = *es::schema_of(*id);

  meta_arguments convert;
  std::vector<es::meta_arg> metas;
  std::string call = qualified + '(';
  for (std::size_t i = 0; i != args.size(); ++i) {
    metas.push_back(convert.convert(args[i], ours.args[i].type.kind));
    if (i)
      call += ", ";
    if (args[i].isTensor())
      call += show(meta_of(args[i].toTensor()));
    else if (args[i].isTensorList())
      for (const at::Tensor& t : args[i].toTensorList().vec())
        call += show(meta_of(t)) + ' ';
    else
      call += c10::str(args[i]);
  }
  call += ')';
  torch::jit::Stack stack = std::move(args);
  for (std::size_t i = stack.size(); i != schema.arguments().size(); ++i) {
    const auto& dflt = schema.arguments()[i].default_value();
    stack.push_back(dflt ? *dflt : c10::IValue());
  }
  try {
    handle.callBoxed(stack);
  } catch (const std::exception&) {
    return {};
  }
  std::vector<std::string> kernel;
  std::vector<es::tensor_meta> expected;
  std::vector<bool> is_tensor;
  for (auto& v : stack)
    read_results(v, kernel, expected, is_tensor);
  es::rule_result result;
  try {
    result = rule(es::rule_args(*id, &ours, metas));
  } catch (const es::error& e) {
    return call + ": the kernel gives " + (kernel.empty() ? "nothing" : kernel[0]) +
           ", the rule refuses: " + e.what();
  }
  if (result.outputs.size() != kernel.size())
    return call + ": the kernel gives " + std::to_string(kernel.size()) + " results, the rule " +
           std::to_string(result.outputs.size());
  for (std::size_t i = 0; i != kernel.size(); ++i) {
    const auto& o = result.outputs[i];
    const bool equal =
        is_tensor[i] ? o.kind == es::rule_output::kind_type::tensor && same(o.tensor, expected[i])
        : o.kind == es::rule_output::kind_type::integer ? std::to_string(o.number.as_int()) == kernel[i]
                                                        : o.kind == es::rule_output::kind_type::none;
    if (!equal)
      return call + ": result " + std::to_string(i) + " is " + kernel[i] + " of the kernel, " +
             (o.kind == es::rule_output::kind_type::tensor ? show(o.tensor)
                                                           : std::string("a number or nothing")) +
             " of the rule";
  }
  return {};
}

} // namespace rule_test
