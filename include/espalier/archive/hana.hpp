// SPDX-License-Identifier: BSL-1.0
// The structs of the schema as Boost.Hana structs, so that Hana's algorithms run over them: `hana::keys`,
// `hana::at_key`, `hana::accessors`, `hana::to_map`. The structs only move: what copies members (`to_map`,
// `members`, `fold`) takes them as rvalues. Written once over the description that each struct has anyway
// (archive/reflect.hpp).
// The unions, whose alternative is known at run time, are no Hana structs: use `visit`.
//
// umbrella: apart, reading and writing do without Boost.Hana, which takes its time to include
#pragma once

#include <espalier/archive/reflect.hpp>

#include <boost/hana/accessors.hpp>
#include <boost/hana/concept/struct.hpp>
#include <boost/hana/core/when.hpp>
#include <boost/hana/pair.hpp>
#include <boost/hana/string.hpp>
#include <boost/hana/tuple.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace espalier::pt2::detail {

/// Reads one member of a struct, with the reference category of the struct.
template <class Struct, class Member>
struct member_accessor {
  Member Struct::*pointer;

  template <class S>
  constexpr decltype(auto) operator()(S&& s) const noexcept {
    return (static_cast<S&&>(s).*pointer);
  }
};

template <class Struct, std::size_t Index, std::size_t... Char>
constexpr auto member_key(std::index_sequence<Char...>) {
  return boost::hana::string_c<Struct::member_names[Index][Char]...>;
}

struct make_accessors {
  template <class Struct, class... Member>
  constexpr auto operator()(std::type_identity<Struct>, Member Struct::*... pointers) const {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return boost::hana::make_tuple(boost::hana::make_pair(
          member_key<Struct, I>(std::make_index_sequence<Struct::member_names[I].size()>()),
          member_accessor<Struct, Member>{pointers})...);
    }
    (std::index_sequence_for<Member...>());
  }
};

} // namespace espalier::pt2::detail

/// Every struct made with ESPALIER_PT2_STRUCT is a Hana struct of the members that the file knows, in their
/// order; `extra`, which holds what the file knew and the schema does not, is left out.
template <class S>
struct boost::hana::accessors_impl<S, boost::hana::when<espalier::pt2::reflected_struct<S>>> {
  static constexpr auto apply() {
    return S::template apply_to_members<S>(espalier::pt2::detail::make_accessors());
  }
};
