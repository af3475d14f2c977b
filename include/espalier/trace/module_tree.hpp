// SPDX-License-Identifier: BSL-1.0
// The module hierarchy as a tree of scopes, and what is known of LibTorch's own modules: which of them call
// nothing but their children, and which run their operators all at once. `scope_inference.hpp` places nodes
// in it; `nn_module_stack` is written from it.
#pragma once

#include <espalier/support/vector.hpp>
#include <espalier/trace/trace_result.hpp>

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace espalier::detail {

/// A scope's index in its tree; the root is 0.
using scope_id = std::uint32_t;
inline constexpr scope_id root_scope = 0;
inline constexpr scope_id no_scope = 0xffff'ffffu;

/// What a module's type tells of the operators it runs by itself.
enum class module_role : std::uint8_t {
  user,      ///< anything: operators before, between and after its children's and its state's
  holder,    ///< never called, only indexed (ModuleList): it is in no stack
  container, ///< runs its children and nothing else (Sequential)
  leaf,      ///< one of LibTorch's layers: its operators come with its state
  recurrent, ///< makes initial states first, then runs one operator
};

template <class = when_used>
module_role role_of(std::string_view type) noexcept {
  constexpr std::string_view ours = "torch::nn::";
  if (!type.starts_with(ours))
    return module_role::user;
  type.remove_prefix(ours.size());
  if (type.ends_with("Impl"))
    type.remove_suffix(4);
  if (type == "ModuleList" || type == "ModuleDict" || type == "ParameterList" || type == "ParameterDict")
    return module_role::holder;
  if (type == "Sequential")
    return module_role::container;
  if (type == "LSTM" || type == "GRU" || type == "RNN")
    return module_role::recurrent;
  if (type == "Module" || type == "MultiheadAttention" || type.starts_with("Transformer"))
    return module_role::user;
  return module_role::leaf;
}

/// The operator that a stateless layer of LibTorch is named after: `torch::nn::MaxPool2dImpl` runs
/// `max_pool2d`. Empty for other types.
template <class = when_used>
std::string layer_operator(std::string_view type) {
  if (role_of(type) != module_role::leaf)
    return {};
  type.remove_prefix(std::string_view("torch::nn::").size());
  if (type.ends_with("Impl"))
    type.remove_suffix(4);
  std::string out;
  const auto upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  for (std::size_t i = 0; i != type.size(); ++i) {
    if (upper(type[i])) {
      if (i && !upper(type[i - 1]))
        out += '_';
      out += static_cast<char>(type[i] - 'A' + 'a');
    } else
      out += type[i];
  }
  // the two names that do not follow from the type's
  return out == "re_lu" ? "relu" : out == "si_lu" ? "silu" : out;
}

class module_tree {
public:
  /// Modules in any order; the root's path is "". Missing parents are added. The modules must live as long as
  /// the tree, which refers to their names.
  template <class = when_used>
  explicit module_tree(const vector<traced_module>& modules) {
    scopes_.push_back({"", "torch::nn::Module", root_scope, 0, module_role::user, false, false, {}});
    by_path_.emplace("", root_scope);
    scopes_.reserve(modules.size() + 1);
    by_path_.reserve(modules.size() + 1);
    by_object_.reserve(modules.size());
    for (const auto& m : modules) {
      const scope_id s = at_path(m.path);
      describe(s, m.type);
      if (m.object)
        by_object_.emplace(m.object, s);
    }
  }

  struct scope {
    std::string_view path, type;
    scope_id parent;
    std::uint32_t depth;
    module_role role;
    bool is_module; ///< else it is a scope that the user named
    bool has_state;
    std::string_view layer_op; ///< see `layer_operator`
  };
  const scope& operator[](scope_id s) const noexcept { return scopes_[s]; }
  std::size_t size() const noexcept { return scopes_.size(); }

  /// The module that owns a parameter or buffer, by its name; marks it as one with state.
  template <class = when_used>
  scope_id owner_of_state(std::string_view fqn) {
    scope_id s = root_scope;
    for (std::size_t dot = fqn.rfind('.'); dot != fqn.npos && dot; dot = fqn.rfind('.', dot - 1))
      if (const auto at = by_path_.find(fqn.substr(0, dot)); at != by_path_.end()) {
        s = at->second;
        break;
      }
    scopes_[s].has_state = true;
    return s;
  }
  /// The scope of a module object, or `no_scope`.
  template <class = when_used>
  scope_id of_object(const void* module) const {
    const auto at = by_object_.find(module);
    return at == by_object_.end() ? no_scope : at->second;
  }
  /// The scope `name` in scope `in`: a module's path below it, or one that is added.
  template <class = when_used>
  scope_id inside(scope_id in, std::string_view name) {
    std::string path(scopes_[in].path);
    if (!path.empty() && !name.empty())
      path += '.';
    path += name;
    const auto known = by_path_.find(path);
    return known != by_path_.end() ? known->second : at_path(names_.emplace_back(std::move(path)));
  }

  template <class = when_used>
  scope_id common(scope_id a, scope_id b) const noexcept {
    while (a != b)
      if (scopes_[a].depth >= scopes_[b].depth)
        a = scopes_[a].parent;
      else
        b = scopes_[b].parent;
    return a;
  }
  /// Whether `a` is `b` or above it.
  template <class = when_used>
  bool contains(scope_id a, scope_id b) const noexcept {
    return common(a, b) == a;
  }
  /// The child of `a` on the way down to `b`, which it contains; `a` itself when they are the same.
  template <class = when_used>
  scope_id step_toward(scope_id a, scope_id b) const noexcept {
    while (b != a && scopes_[b].parent != a)
      b = scopes_[b].parent;
    return b;
  }

private:
  template <class = when_used>
  scope_id at_path(std::string_view path) {
    if (const auto at = by_path_.find(path); at != by_path_.end())
      return at->second;
    const auto dot = path.rfind('.');
    const scope_id parent = at_path(path.substr(0, dot == path.npos ? 0 : dot));
    const auto s = static_cast<scope_id>(scopes_.size());
    scopes_.push_back(
        {path, "espalier::scope", parent, scopes_[parent].depth + 1, module_role::user, false, false, {}});
    by_path_.emplace(path, s);
    return s;
  }
  template <class = when_used>
  void describe(scope_id s, std::string_view type) {
    auto [known, fresh] = types_.try_emplace(type);
    if (fresh)
      known->second = {role_of(type), layer_operator(type)};
    scopes_[s].type = type;
    scopes_[s].role = known->second.role;
    scopes_[s].is_module = true;
    scopes_[s].layer_op = known->second.layer_op;
  }
  struct type_facts {
    module_role role = module_role::user;
    std::string layer_op;
  };
  vector<scope> scopes_;
  boost::unordered_flat_map<std::string_view, scope_id> by_path_;
  boost::unordered_flat_map<const void*, scope_id> by_object_;
  std::map<std::string_view, type_facts> types_; // a model has many modules, of few types
  std::deque<std::string> names_;                // of scopes that are no modules
};

/// Follows the nodes in order from scope to scope and writes their stacks. Leaving a module and entering it
/// again is another call of it, which Python's unflattener must be told: `L__self__relu@1`.
class module_calls {
public:
  explicit module_calls(const module_tree& tree) : tree_(tree), calls_(tree.size(), 0) {}

  /// The serialised `nn_module_stack` of the next node: `key,path,type` for each module that is called,
  /// outermost first.
  template <class = when_used>
  const std::string& enter(scope_id s) {
    path_.clear();
    for (;; s = tree_[s].parent) {
      path_.push_back(s);
      if (s == root_scope)
        break;
    }
    std::reverse(path_.begin(), path_.end());
    std::size_t same = 0;
    while (same != open_.size() && same != path_.size() && open_[same].scope == path_[same])
      ++same;
    if (same == open_.size() && same == path_.size())
      return text_;
    open_.resize(same);
    for (; same != path_.size(); ++same)
      open_.push_back({path_[same], calls_[path_[same]]++});
    text_.clear();
    for (const auto& o : open_) {
      const auto& x = tree_[o.scope];
      if (x.role == module_role::holder)
        continue;
      text_.append(text_.empty() ? "L__self__" : ";L__self__").append(x.path);
      if (o.call)
        text_.append("@").append(std::to_string(o.call));
      text_.append(",").append(x.path).append(",").append(x.type);
    }
    return text_;
  }

private:
  struct open_call {
    scope_id scope;
    std::uint32_t call;
  };
  const module_tree& tree_;
  vector<std::uint32_t> calls_; // of each module, so far
  vector<open_call> open_;
  vector<scope_id> path_;
  std::string text_;
};

} // namespace espalier::detail
