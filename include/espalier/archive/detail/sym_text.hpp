// SPDX-License-Identifier: BSL-1.0
// Symbolic expressions of an archive (SymPy's srepr), parsed once for each text: a graph repeats a handful of
// sizes on thousands of values.
#pragma once

#include <espalier/support/error.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/symbolic/expr_text.hpp>
#include <espalier/symbolic/sym_int.hpp>

#include <string>
#include <string_view>

namespace espalier::detail {

/// An expression's text as archives hold it.
inline std::string srepr_of(const expr* e) { return to_srepr(e); }

/// Parsed expressions of one file, by their text.
class expression_cache {
public:
  struct parsed {
    const expr* e = nullptr;
    std::string canonical; ///< the text we would write
  };
  /// The reference holds until the next call. Throws `error` (archive) with the place when the text is not
  /// understood.
  template <class = when_used>
  const parsed& parse(const std::string& text, std::string_view place) {
    if (last_ && last_->first == text)
      return last_->second;
    auto it = by_text_.find(text);
    if (it == by_text_.end()) {
      parsed p;
      try {
        p.e = parse_srepr(text);
      } catch (const error& e) {
        throw error(error_kind::archive, e.cause(), std::string(place), e.cure());
      }
      p.canonical = srepr_of(p.e);
      it = by_text_.emplace(text, std::move(p)).first;
    }
    last_ = it; // and no entry is added but here
    return it->second;
  }

private:
  hash_map<std::string, parsed> by_text_;
  const hash_map<std::string, parsed>::value_type* last_ = nullptr;
};

} // namespace espalier::detail
