// SPDX-License-Identifier: BSL-1.0
// JSON text to the schema's structs and back, written once over their reflection: straight from one to the
// other, with no document tree between. The structs' rules are Python's (torch/_export/serde/serialize.py:
// _dict_to_dataclass, _dataclass_to_dict), except that what is unknown is kept rather than dropped.
#pragma once

#include <espalier/archive/json.hpp>
#include <espalier/archive/reflect.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>

namespace espalier::pt2 {

/// Reads the next value of `r` into `x`. Throws `error` with the path of what is wrong: a value of the wrong
/// kind, a missing or repeated member, a union of no or several members.
template <class T>
void read_json(json::reader& r, T& x);
/// Writes `x`. A union that was never given an alternative throws.
template <class T>
void write_json(json::writer& w, const T& x);

namespace detail {

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<optional<T>> = true;
template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<vector<T>> = true;
template <class T>
inline constexpr bool is_dict = false;
template <class T>
inline constexpr bool is_dict<dict<T>> = true;
template <class T>
inline constexpr bool is_box = false;
template <class T>
inline constexpr bool is_box<box<T>> = true;

[[noreturn]] ESPALIER_COLD inline void repeated_member(json::reader& r, std::string_view key) {
  r.fail_here("the member '" + std::string(key.substr(0, 40)) + "' appears twice");
}

// The loops below are written once for all types: each type adds only the function that reads its member
// number `index`, which keeps the whole schema's reader small.
using read_member = void (*)(json::reader&, void* self, std::size_t index);

template <class = when_used>
void read_struct(json::reader& r, void* self, extra_fields& extra, std::string_view type_name,
                 span<const std::string_view> names, std::size_t required, read_member read) {
  std::uint32_t seen = 0;
  std::size_t next = 0; // members mostly come in the schema's order
  for (json::object o(r); o.next();) {
    std::size_t i = next;
    while (i != names.size() && names[i] != o.key())
      ++i;
    if (i == names.size()) {
      i = 0;
      while (i != next && names[i] != o.key())
        ++i;
      if (i == next) {
        std::string name(o.key());
        extra.add(std::move(name), std::string(r.raw()));
        continue;
      }
    }
    if (seen >> i & 1)
      repeated_member(r, o.key());
    seen |= 1u << i;
    read(r, self, i);
    next = i + 1;
  }
  for (std::size_t i = 0; i != required; ++i)
    if (!(seen >> i & 1))
      r.fail_here("a " + std::string(type_name) + " lacks its member '" + std::string(names[i]) + "'");
}

inline void read_union(json::reader& r, void* self, std::string_view type_name,
                       span<const std::string_view> names, read_member read,
                       void (*keep)(void* self, std::string name, std::string_view json)) {
  json::object o(r);
  if (!o.next())
    r.fail_here("a " + std::string(type_name) + " is empty; it must have one member");
  std::size_t i = 1; // 0 stands for what the schema does not know
  while (i != names.size() && names[i] != o.key())
    ++i;
  if (i != names.size()) {
    read(r, self, i);
  } else {
    std::string name(o.key());
    keep(self, std::move(name), r.raw());
  }
  if (o.next())
    r.fail_here("a " + std::string(type_name) + " has several members; it must have one");
}

template <class T>
void read_field(json::reader& r, void* self, std::size_t index) {
  T::for_each_field(*static_cast<T*>(self), [&](std::string_view, auto& field) {
    if (index-- == 0)
      read_json(r, field);
  });
}
template <class T, typename T::tag Tag>
void read_as(json::reader& r, T& x) {
  read_json(r, x.template emplace<Tag>({}));
}
template <class T, std::size_t... I>
void read_alternative(json::reader& r, T& x, std::size_t index, std::index_sequence<I...>) {
  static constexpr void (*table[])(json::reader&, T&) = {&read_as<T, typename T::tag(I + 1)>...};
  table[index - 1](r, x);
}

template <class T>
void read_dict(json::reader& r, dict<T>& x) {
  x.entries.clear();
  for (json::object o(r); o.next();) {
    auto& e = x.entries.emplace_back();
    e.key = o.key();
    read_json(r, e.value);
  }
}
// A dict's keys are unique. A few (a node's metadata) are compared with each other, many are hashed.
template <class T>
void check_unique(json::reader& r, const dict<T>& x) {
  if (x.size() <= 8) {
    for (std::size_t i = 1; i < x.size(); ++i)
      for (std::size_t j = 0; j != i; ++j)
        if (x.entries[i].key == x.entries[j].key)
          repeated_member(r, x.entries[i].key);
  } else {
    hash_set<std::string_view> keys;
    keys.reserve(x.size());
    for (auto& e : x)
      if (!keys.insert(e.key).second)
        repeated_member(r, e.key);
  }
}

struct field_writer {
  json::writer& w;
  template <class T>
  void operator()(std::string_view name, const T& x) const {
    w.key(name);
    write_json(w, x);
  }
};

} // namespace detail

template <class T>
void read_json(json::reader& r, T& x) {
  if constexpr (std::is_same_v<T, bool>) {
    x = r.boolean();
  } else if constexpr (std::is_same_v<T, std::int64_t> || std::is_enum_v<T>) {
    x = T(r.integer());
  } else if constexpr (std::is_same_v<T, double>) {
    x = r.number();
  } else if constexpr (std::is_same_v<T, std::string>) {
    r.string(x);
  } else if constexpr (detail::is_optional<T>) {
    if (r.null())
      x.reset();
    else
      read_json(r, x.emplace());
  } else if constexpr (std::is_same_v<T, vector<bool>>) {
    x.clear();
    for (json::array a(r); a.next();)
      x.push_back(r.boolean());
  } else if constexpr (detail::is_vector<T>) {
    x.clear();
    for (json::array a(r); a.next();) {
      if (x.capacity() == 0)
        x.reserve(4); // most are shapes and arguments
      read_json(r, x.emplace_back());
    }
  } else if constexpr (detail::is_dict<T>) {
    detail::read_dict(r, x);
    detail::check_unique(r, x);
  } else if constexpr (detail::is_box<T>) {
    read_json(r, *x);
  } else if constexpr (reflected_union<T>) {
    detail::read_union(
        r, &x, T::type_name, T::tag_names,
        [](json::reader& r_, void* self, std::size_t i) {
          detail::read_alternative(r_, *static_cast<T*>(self), i,
                                   std::make_index_sequence<std::size(T::tag_names) - 1>());
        },
        [](void* self, std::string name, std::string_view json) {
          static_cast<T*>(self)->template emplace<T::tag::unknown>({std::move(name), std::string(json)});
        });
  } else {
    static_assert(reflected_struct<T>,
                  "espalier::pt2::read_json requires a type of the schema; describe yours with "
                  "ESPALIER_PT2_STRUCT or ESPALIER_PT2_UNION");
    detail::read_struct(r, &x, x.extra, T::type_name, T::member_names, T::required_fields,
                        &detail::read_field<T>);
  }
}

template <class T>
[[gnu::noinline]] void write_json(json::writer& w, const T& x) {
  if constexpr (std::is_same_v<T, bool>) {
    w.boolean(x);
  } else if constexpr (std::is_same_v<T, std::int64_t> || std::is_enum_v<T>) {
    w.integer(std::int64_t(x));
  } else if constexpr (std::is_same_v<T, double>) {
    w.number(x);
  } else if constexpr (std::is_same_v<T, std::string>) {
    w.string(x);
  } else if constexpr (detail::is_optional<T>) {
    if (x)
      write_json(w, *x);
    else
      w.null();
  } else if constexpr (std::is_same_v<T, vector<bool>>) {
    w.begin_array();
    for (bool b : x)
      w.boolean(b);
    w.end_array();
  } else if constexpr (detail::is_vector<T>) {
    w.begin_array();
    for (auto& e : x)
      write_json(w, e);
    w.end_array();
  } else if constexpr (detail::is_dict<T>) {
    w.begin_object();
    for (auto& [key, value] : x) {
      w.key(key);
      write_json(w, value);
    }
    w.end_object();
  } else if constexpr (detail::is_box<T>) {
    write_json(w, *x);
  } else if constexpr (reflected_union<T>) {
    w.begin_object();
    w.key(x.tag_name());
    T::visit(x, [&]<class Tag, class V>(Tag, const V& v) {
      if constexpr (Tag::value == T::tag::unknown) {
        if (v.json.empty())
          fail(error_kind::usage, "a pt2::" + std::string(T::type_name) + " was given no alternative", {},
               "set it with emplace<tag>() before writing");
        w.raw(v.json);
      } else {
        write_json(w, v);
      }
    });
    w.end_object();
  } else {
    static_assert(reflected_struct<T>,
                  "espalier::pt2::write_json requires a type of the schema; describe yours with "
                  "ESPALIER_PT2_STRUCT or ESPALIER_PT2_UNION");
    w.begin_object();
    T::for_each_field(x, detail::field_writer{w});
    for (auto& m : x.extra) {
      w.key(m.name);
      w.raw(m.json);
    }
    w.end_object();
  }
}

/// The struct that a whole JSON text describes. `place` names the text in errors.
template <class T>
T from_json(std::string_view text, std::string_view place = "JSON text") {
  json::reader r(text, place);
  T x;
  read_json(r, x);
  r.finish();
  return x;
}

/// The JSON text of a struct. `expected_size` is how much is set aside for it at once.
template <class T>
std::string to_json(const T& x, std::size_t expected_size = 0) {
  json::writer w;
  w.reserve(expected_size);
  write_json(w, x);
  return std::move(w).text();
}

} // namespace espalier::pt2
