// SPDX-License-Identifier: BSL-1.0
// How the structs of the archive describe themselves: each names its members once, and reading, writing and
// printing are written once over that description. A member template that calls a visitor with each field is
// all this takes, so that the fifty structs of the schema stay cheap to include.
#pragma once

#include <espalier/support/error.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/owned_ptr.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace espalier::pt2 {

/// A value on the heap, never null until moved from. It lets `argument` hold a graph whose nodes hold
/// arguments.
template <class T>
class box {
public:
  box() : p_(new T()) {}
  box(T x) : p_(new T(std::move(x))) {}

  T& operator*() noexcept { return *p_; }
  const T& operator*() const noexcept { return *p_; }
  T* operator->() noexcept { return p_.get(); }
  const T* operator->() const noexcept { return p_.get(); }

private:
  owned_ptr<T> p_;
};

/// A member of a JSON object that the schema does not know: its name, and its value as JSON text.
struct raw_member {
  std::string name;
  std::string json;
};

/// The unknown members of one object, in the order of the file: one pointer when there are none, which is the
/// rule.
class extra_fields {
public:
  template <class = when_used>
  void add(std::string name, std::string json) {
    if (!list_)
      list_ = owned_ptr(new vector<raw_member>());
    list_->push_back({std::move(name), std::move(json)});
  }
  bool empty() const noexcept { return size() == 0; }
  std::size_t size() const noexcept { return list_ ? list_->size() : 0; }
  const raw_member* begin() const noexcept { return list_ ? list_->data() : nullptr; }
  const raw_member* end() const noexcept { return list_ ? list_->data() + list_->size() : nullptr; }

private:
  owned_ptr<vector<raw_member>> list_;
};

/// One entry of a `dict`.
template <class T>
struct dict_entry {
  std::string key;
  T value;
};

/// A JSON object used as a mapping. Entries keep the order of the file, as Python's dict does; keys are
/// unique.
template <class T>
struct dict {
  using entry = dict_entry<T>;
  vector<entry> entries;

  std::size_t size() const noexcept { return entries.size(); }
  bool empty() const noexcept { return entries.empty(); }
  auto begin() noexcept { return entries.begin(); }
  auto end() noexcept { return entries.end(); }
  auto begin() const noexcept { return entries.begin(); }
  auto end() const noexcept { return entries.end(); }

  /// The value of `key`, or null. Linear: for many look-ups in a large dict, use `index()`.
  const T* find(std::string_view key) const noexcept {
    for (auto& e : entries)
      if (e.key == key)
        return &e.value;
    return nullptr;
  }
  T* find(std::string_view key) noexcept { return const_cast<T*>(std::as_const(*this).find(key)); }
  bool contains(std::string_view key) const noexcept { return find(key) != nullptr; }
  /// Appends. The caller knows that the key is new.
  template <class = when_used>
  T& add(std::string key, T value) {
    return entries.emplace_back(std::move(key), std::move(value)).value;
  }
  /// The value of `key`, made at the end if there is none.
  T& operator[](std::string_view key) {
    if (T* p = find(key))
      return *p;
    return add(std::string(key), T());
  }
  /// Key -> value for many look-ups. Valid until the dict changes.
  hash_map<std::string_view, const T*> index() const {
    hash_map<std::string_view, const T*> m;
    m.reserve(entries.size());
    for (auto& e : entries)
      m.emplace(e.key, &e.value);
    return m;
  }
};

/// A struct that describes its members with ESPALIER_PT2_STRUCT.
template <class T>
concept reflected_struct = requires {
  typename T::espalier_pt2_struct;
};
/// A tagged union made with ESPALIER_PT2_UNION.
template <class T>
concept reflected_union = requires {
  typename T::espalier_pt2_union;
};

namespace detail {
[[noreturn]] ESPALIER_COLD inline void wrong_alternative(std::string_view type, std::string_view held,
                                                         std::string_view asked) {
  fail(error_kind::usage,
       "a pt2::" + std::string(type) + " holds '" + std::string(held) + "', but '" + std::string(asked) +
           "' was asked for",
       {}, "switch over which() first");
}
struct destroyer {
  template <class Tag, class T>
  void operator()(Tag, T& x) const noexcept {
    x.~T();
  }
};
template <class T>
void construct(T& place, T&& x) noexcept {
  ::new (static_cast<void*>(std::addressof(place))) T(std::move(x));
}
template <class Union>
struct mover {
  Union& to;
  template <class Tag, class T>
  void operator()(Tag tag, T& x) const noexcept {
    construct(to.storage(tag), std::move(x));
  }
};
} // namespace detail

} // namespace espalier::pt2

// The preprocessor's "for each", by re-scanning: up to 64 items, eight of them a scan. (One item a scan is
// shorter to write; the compiler keeps the tokens of all scans.)
#define ESPALIER_PP_PARENS ()
#define ESPALIER_PP_EXPAND(...) ESPALIER_PP_EXPAND1(ESPALIER_PP_EXPAND1(__VA_ARGS__))
#define ESPALIER_PP_EXPAND1(...) ESPALIER_PP_EXPAND0(ESPALIER_PP_EXPAND0(__VA_ARGS__))
#define ESPALIER_PP_EXPAND0(...) __VA_ARGS__
#define ESPALIER_PP_EACH(macro, ...) __VA_OPT__(ESPALIER_PP_EXPAND(ESPALIER_PP_EACH1(macro, __VA_ARGS__)))
#define ESPALIER_PP_EACH1(macro, x, ...) macro(x) __VA_OPT__(ESPALIER_PP_EACH2(macro, __VA_ARGS__))
#define ESPALIER_PP_EACH2(macro, x, ...) macro(x) __VA_OPT__(ESPALIER_PP_EACH3(macro, __VA_ARGS__))
#define ESPALIER_PP_EACH3(macro, x, ...) macro(x) __VA_OPT__(ESPALIER_PP_EACH4(macro, __VA_ARGS__))
#define ESPALIER_PP_EACH4(macro, x, ...) macro(x) __VA_OPT__(ESPALIER_PP_EACH5(macro, __VA_ARGS__))
#define ESPALIER_PP_EACH5(macro, x, ...) macro(x) __VA_OPT__(ESPALIER_PP_EACH6(macro, __VA_ARGS__))
#define ESPALIER_PP_EACH6(macro, x, ...) macro(x) __VA_OPT__(ESPALIER_PP_EACH7(macro, __VA_ARGS__))
#define ESPALIER_PP_EACH7(macro, x, ...) macro(x) __VA_OPT__(ESPALIER_PP_EACH8(macro, __VA_ARGS__))
#define ESPALIER_PP_EACH8(macro, x, ...)                                                                     \
  macro(x) __VA_OPT__(ESPALIER_PP_EACH_AGAIN ESPALIER_PP_PARENS(macro, __VA_ARGS__))
#define ESPALIER_PP_EACH_AGAIN() ESPALIER_PP_EACH1

#define ESPALIER_PT2_VISIT_FIELD(field) visitor(std::string_view(#field), self.field);

#define ESPALIER_PT2_FIELD_NAME(field) #field,
#define ESPALIER_PT2_FIELD_POINTER(field) , &Self::field

/// Inside a struct, after its members: names those that the file knows. As in a Python dataclass, the first
/// `required_count` must be present when read, the others have defaults. The struct gets the member `extra`,
/// which carries what the file knew and we do not. `for_each_field(x, visitor)` calls `visitor(name, field)`;
/// `apply_to_members<type>(f)` calls `f(std::type_identity<type>(), &type::field...)` (archive/hana.hpp).
#define ESPALIER_PT2_STRUCT(type, required_count, ...)                                                       \
  ::espalier::pt2::extra_fields extra{};                                                                     \
  using espalier_pt2_struct = type;                                                                          \
  static constexpr std::string_view type_name = #type;                                                       \
  static constexpr std::size_t required_fields = required_count;                                             \
  static constexpr std::string_view member_names[] = {                                                       \
      ESPALIER_PP_EACH(ESPALIER_PT2_FIELD_NAME, __VA_ARGS__)};                                               \
  template <class Self, class Visitor>                                                                       \
  static constexpr void for_each_field(Self& self, Visitor&& visitor) {                                      \
    ESPALIER_PP_EACH(ESPALIER_PT2_VISIT_FIELD, __VA_ARGS__)                                                  \
  }                                                                                                          \
  template <class Self, class F>                                                                             \
  static constexpr auto apply_to_members(F f) {                                                              \
    return f(std::type_identity<Self>() ESPALIER_PP_EACH(ESPALIER_PT2_FIELD_POINTER, __VA_ARGS__));          \
  }                                                                                                          \
  static_assert(required_count <= sizeof member_names / sizeof member_names[0],                              \
                "ESPALIER_PT2_STRUCT requires at least as many fields as are required; correct the count")

#define ESPALIER_PT2_TAG_(name, ...) name,
#define ESPALIER_PT2_TAG(alternative) ESPALIER_PT2_TAG_ alternative
#define ESPALIER_PT2_NAME_(name, ...) #name,
#define ESPALIER_PT2_NAME(alternative) ESPALIER_PT2_NAME_ alternative
#define ESPALIER_PT2_MEMBER_(name, ...) __VA_ARGS__ name##_;
#define ESPALIER_PT2_MEMBER(alternative) ESPALIER_PT2_MEMBER_ alternative
#define ESPALIER_PT2_VISIT_(name, ...)                                                                       \
  case tag::name:                                                                                            \
    return visitor(std::integral_constant<tag, tag::name>(), self.name##_);
#define ESPALIER_PT2_VISIT(alternative) ESPALIER_PT2_VISIT_ alternative
#define ESPALIER_PT2_STORAGE_(name, ...)                                                                     \
  __VA_ARGS__& storage(std::integral_constant<tag, tag::name>) noexcept { return name##_; }
#define ESPALIER_PT2_STORAGE(alternative) ESPALIER_PT2_STORAGE_ alternative
#define ESPALIER_PT2_TYPE_(name, ...)                                                                        \
  static std::type_identity<__VA_ARGS__> alternative_of(std::integral_constant<tag, tag::name>);
#define ESPALIER_PT2_TYPE(alternative) ESPALIER_PT2_TYPE_ alternative
#define ESPALIER_PT2_ACCESS_(name, ...)                                                                      \
  bool is_##name() const noexcept { return held_.now == tag::name; }                                         \
  const __VA_ARGS__& name() const {                                                                          \
    expect(tag::name);                                                                                       \
    return held_.name##_;                                                                                    \
  }                                                                                                          \
  __VA_ARGS__& name() {                                                                                      \
    expect(tag::name);                                                                                       \
    return held_.name##_;                                                                                    \
  }
#define ESPALIER_PT2_ACCESS(alternative) ESPALIER_PT2_ACCESS_ alternative

/// A tagged union, written in JSON as an object of one member: `ESPALIER_PT2_UNION(sym_int, (as_expr,
/// sym_expr), (as_int, std::int64_t));` gives `enum class sym_int::tag`, `which()`, `is_as_int()`, `as_int()`
/// (throws when another alternative is held), `make<sym_int::tag::as_int>(4)` and `visit`. A tag that the
/// schema does not know is kept as JSON text: `tag::unknown`, `unknown()`. A real union and a switch:
/// a std::variant of `argument`'s 31 alternatives is instantiated over and over by every visit. Its holder is
/// a template, so that who has no such value compiles neither its moves nor its destructor.
#define ESPALIER_PT2_UNION(self_type, ...)                                                                   \
  class self_type {                                                                                          \
  public:                                                                                                    \
    enum class tag : std::uint8_t { unknown, ESPALIER_PP_EACH(ESPALIER_PT2_TAG, __VA_ARGS__) };              \
    using espalier_pt2_union = self_type;                                                                    \
    ESPALIER_PP_EACH(ESPALIER_PT2_TYPE, (unknown, ::espalier::pt2::raw_member), __VA_ARGS__)                 \
    template <tag Tag>                                                                                       \
    using alternative = typename decltype(alternative_of(std::integral_constant<tag, Tag>()))::type;         \
    static constexpr std::string_view type_name = #self_type;                                                \
    static constexpr std::string_view tag_names[] = {"", ESPALIER_PP_EACH(ESPALIER_PT2_NAME, __VA_ARGS__)};  \
                                                                                                             \
    tag which() const noexcept { return held_.now; }                                                         \
    std::string_view tag_name() const noexcept {                                                             \
      const auto i = std::size_t(which());                                                                   \
      return i - 1 < std::size(tag_names) - 1 ? tag_names[i] : std::string_view(held_.unknown_.name);        \
    }                                                                                                        \
    template <tag Tag>                                                                                       \
    auto& emplace(alternative<Tag> v) {                                                                      \
      auto& place = held_.storage(std::integral_constant<tag, Tag>());                                       \
      held_.destroy();                                                                                       \
      ::espalier::pt2::detail::construct(place, std::move(v));                                               \
      held_.now = Tag;                                                                                       \
      return place;                                                                                          \
    }                                                                                                        \
    template <tag Tag>                                                                                       \
    static self_type make(alternative<Tag> v) {                                                              \
      self_type u;                                                                                           \
      u.template emplace<Tag>(std::move(v));                                                                 \
      return u;                                                                                              \
    }                                                                                                        \
    ESPALIER_PP_EACH(ESPALIER_PT2_ACCESS, (unknown, ::espalier::pt2::raw_member), __VA_ARGS__)               \
    template <class Self, class Visitor>                                                                     \
    static auto visit(Self& self, Visitor&& visitor) {                                                       \
      return self.held_.visit(self.held_, visitor);                                                          \
    }                                                                                                        \
                                                                                                             \
  private:                                                                                                   \
    void expect(tag t) const {                                                                               \
      if (held_.now != t)                                                                                    \
        ::espalier::pt2::detail::wrong_alternative(type_name, tag_name(), tag_names[std::size_t(t)]);        \
    }                                                                                                        \
    template <class = ::espalier::when_used>                                                                 \
    struct holder {                                                                                          \
      tag now = tag::unknown;                                                                                \
      union {                                                                                                \
        ESPALIER_PP_EACH(ESPALIER_PT2_MEMBER, (unknown, ::espalier::pt2::raw_member), __VA_ARGS__)           \
      };                                                                                                     \
      holder() noexcept : unknown_() {}                                                                      \
      holder(holder&& o) noexcept { take(o); }                                                               \
      holder& operator=(holder&& o) noexcept {                                                               \
        if (this != &o) {                                                                                    \
          destroy();                                                                                         \
          take(o);                                                                                           \
        }                                                                                                    \
        return *this;                                                                                        \
      }                                                                                                      \
      ~holder() { destroy(); }                                                                               \
      ESPALIER_PP_EACH(ESPALIER_PT2_STORAGE, (unknown, ::espalier::pt2::raw_member), __VA_ARGS__)            \
      template <class Self, class Visitor>                                                                   \
      static auto visit(Self& self, Visitor&& visitor) {                                                     \
        switch (self.now) {                                                                                  \
          ESPALIER_PP_EACH(ESPALIER_PT2_VISIT, __VA_ARGS__)                                                  \
        case tag::unknown:                                                                                   \
          break;                                                                                             \
        }                                                                                                    \
        return visitor(std::integral_constant<tag, tag::unknown>(), self.unknown_);                          \
      }                                                                                                      \
      [[gnu::noinline]] void destroy() noexcept { visit(*this, ::espalier::pt2::detail::destroyer()); }      \
      [[gnu::noinline]] void take(holder& o) noexcept {                                                      \
        visit(o, ::espalier::pt2::detail::mover<holder>{*this});                                             \
        now = o.now;                                                                                         \
      }                                                                                                      \
    };                                                                                                       \
    holder<> held_;                                                                                          \
  }
