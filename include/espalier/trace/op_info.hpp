// SPDX-License-Identifier: BSL-1.0
// What tracing needs to know of an operator, found out once for each: reading a c10 schema takes
// microseconds, tracing a call should take one.
#pragma once

#include <espalier/bridge/ivalue.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/schema/schema.hpp>
#include <espalier/support/config.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/vector.hpp>

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/enum_tag.h>
#include <ATen/core/function_schema.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

namespace espalier::detail {

/// An argument of an operator.
struct op_argument {
  arg_kind kind = arg_kind::other;
  bool kwarg_only = false;
  bool is_write = false;
  bool has_default = false;
  c10::IValue dflt;
};

/// A result of an operator.
struct op_result {
  enum class form : std::uint8_t { tensor, tensor_list, other } is = form::other;
  std::int16_t alias_of = -1; ///< the argument whose memory it shares, by the schema
  bool is_write = false;      ///< it is that argument, changed
};

/// Names of operators that are treated one by one.
enum class special_op : std::uint8_t { none, equal, item, empty, silent, keeps_value, transform, set_data };

struct op_info {
  op_id id{};
  vector<op_argument> args;
  vector<op_result> results;
  std::size_t positional = 0;     ///< arguments that are not keyword-only: a prefix
  std::int16_t device_arg = -1;   ///< index of the device argument
  bool has_tensor_result = false; ///< else it gives numbers, or nothing
  bool has_tensor_arg = false;
  bool mutates = false;
  bool data_dependent = false; ///< a number or a shape depends on data
  bool differentiable = true;  ///< a floating-point result tracks gradients when an argument does
  bool keeps_layout = false;   ///< its results' strides follow from those of its arguments
  bool cuts_gradients = false; ///< its result is its argument without its history (`detach`, `detach_`)
  bool composite_implicit = false, composite_explicit = false, meta_kernel = false;
  bool builds_literal = false; ///< `torch::tensor` calls it to build its tensor
  special_op special = special_op::none;
  const void* rule = nullptr; ///< the shape rule, when there is one (see trace/fake_engine.hpp)
  bool rule_looked_up = false;
};

template <class = when_used>
special_op special_of(std::string_view name) noexcept {
  if (name == "aten::equal")
    return special_op::equal;
  if (name == "aten::item" || name == "aten::_local_scalar_dense" || name == "aten::is_nonzero")
    return special_op::item;
  if (name == "aten::empty")
    return special_op::empty;
  if (name == "aten::_has_compatible_shallow_copy_type") // set_data asks it, and is no operator itself
    return special_op::set_data;
  if (name == "aten::_add_batch_dim" || name == "aten::_remove_batch_dim")
    return special_op::transform;
  if (name.starts_with("profiler::"))
    return special_op::silent;
  if (name == "aten::to" || name == "aten::detach" || name == "aten::lift_fresh")
    return special_op::keeps_value;
  return special_op::none;
}

/// Whether gradients end at the operator though its results are floating point: copies of shape without
/// content.
template <class = when_used>
bool ends_gradients(std::string_view name) noexcept {
  return name == "aten::detach" || name == "aten::detach_" || name.ends_with("_like") ||
         name.starts_with("aten::new_") || name == "aten::sgn_" || name == "aten::bernoulli";
}

template <class = when_used>
op_info make_op_info(const c10::OperatorHandle& op) {
  const c10::FunctionSchema& schema = op.schema();
  op_info i;
  const std::string qualified = c10::toString(op.operator_name());
  const std::string& name = op.operator_name().name;
  if (const auto known = find_op(qualified))
    i.id = *known;
  else {
    try {
      i.id = intern_op(qualified, c10::toString(schema));
    } catch (const error&) {
      i.id = intern_op(qualified, ""); // types that our schema parser does not know
    }
  }
  for (const auto& a : schema.arguments()) {
    op_argument x;
    x.kind = kind_of(*a.real_type());
    x.kwarg_only = a.kwarg_only();
    x.is_write = a.alias_info() && a.alias_info()->isWrite();
    x.has_default = a.default_value().has_value();
    if (x.has_default)
      x.dflt = *a.default_value();
    i.has_tensor_arg = i.has_tensor_arg || x.kind == arg_kind::tensor;
    i.mutates = i.mutates || x.is_write;
    if (x.kind == arg_kind::device)
      i.device_arg = static_cast<std::int16_t>(i.args.size());
    if (!x.kwarg_only)
      i.positional = i.args.size() + 1;
    i.args.push_back(std::move(x));
  }
  for (const auto& r : schema.returns()) {
    op_result x;
    const c10::Type& t = *r.real_type();
    const bool tensor = kind_of(t) == arg_kind::tensor;
    if (tensor)
      x.is = t.kind() == c10::TypeKind::ListType ? op_result::form::tensor_list : op_result::form::tensor;
    i.has_tensor_result = i.has_tensor_result || tensor;
    if (r.alias_info()) {
      x.is_write = r.alias_info()->isWrite();
      const auto& sets = r.alias_info()->beforeSets();
      for (std::size_t k = 0; k != schema.arguments().size() && x.alias_of < 0; ++k) {
        const auto* of = schema.arguments()[k].alias_info();
        if (of && std::any_of(sets.begin(), sets.end(),
                              [&](c10::Symbol s) { return of->beforeSets().count(s) != 0; }))
          x.alias_of = static_cast<std::int16_t>(k);
      }
      // `split` and its kin: the list is marked `(a)[]`, the argument `(a -> *)`
      if (x.alias_of < 0 && !x.is_write)
        for (std::size_t k = 0; k != schema.arguments().size() && x.alias_of < 0; ++k)
          if (schema.arguments()[k].alias_info())
            x.alias_of = static_cast<std::int16_t>(k);
    }
    i.results.push_back(x);
  }
  i.data_dependent = op.hasTag(at::Tag::data_dependent_output) || op.hasTag(at::Tag::dynamic_output_shape);
  i.differentiable = !ends_gradients(name);
  i.keeps_layout = op.hasTag(at::Tag::pointwise) || name == "aten::clone" || name == "aten::to";
  i.cuts_gradients = name == "aten::detach" || name == "aten::detach_";
  i.composite_implicit = op.hasKernelForDispatchKey(c10::DispatchKey::CompositeImplicitAutograd);
  i.composite_explicit = op.hasKernelForDispatchKey(c10::DispatchKey::CompositeExplicitAutograd) ||
                         op.hasKernelForDispatchKey(c10::DispatchKey::CompositeExplicitAutogradNonFunctional);
  i.meta_kernel = op.hasKernelForDispatchKey(c10::DispatchKey::Meta);
  i.special = special_of(name);
  i.builds_literal = name == "aten::empty" || name == "aten::scalar_tensor" || name == "aten::select" ||
                     name == "aten::fill_" || name == "aten::to";
  return i;
}

/// Operators met so far, by the address of their dispatcher entry, which is stable while they are registered.
class ESPALIER_SHARED op_info_cache {
public:
  template <class = when_used>
  static op_info_cache& instance() {
    static op_info_cache c;
    return c;
  }
  template <class = when_used>
  op_info& find(const c10::OperatorHandle& op) {
    const void* key = &op.operator_name();
    std::lock_guard lock(mutex_);
    auto& slot = known_[key];
    // an operator library may be unloaded and another one loaded at its place
    if (!slot || !(slot->name == op.operator_name()))
      slot = std::make_unique<entry>(entry{op.operator_name(), make_op_info(op)});
    return slot->info;
  }

private:
  struct entry {
    c10::OperatorName name;
    op_info info;
  };
  std::mutex mutex_;
  hash_map<const void*, std::unique_ptr<entry>> known_;
};

/// The cache in front of that one: no lock, direct mapped. One for each mode.
class op_info_front {
public:
  template <class = when_used>
  op_info& find(const c10::OperatorHandle& op) {
    const void* key = &op.operator_name();
    auto& e = table_[(reinterpret_cast<std::uintptr_t>(key) >> 6) % table_.size()];
    if (e.key != key)
      e = {key, &op_info_cache::instance().find(op)};
    return *e.info;
  }

private:
  struct entry {
    const void* key = nullptr;
    op_info* info = nullptr;
  };
  vector<entry> table_ = vector<entry>(256);
};

} // namespace espalier::detail
