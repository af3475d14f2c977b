// SPDX-License-Identifier: BSL-1.0
// The one exception of the library. What went wrong at run time is told in three parts: the cause (what was
// found, and why it is wrong), the place (file and record, node, operator, line of the user's program), and
// the cure (what to do about it). Misuse that the compiler can see never gets here: it does not compile.
#pragma once

#include <espalier/support/config.hpp>

#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// What kind of failure an `error` reports: enough for a program to decide, where `what()` is for people.
enum class error_kind : unsigned char {
  usage,        ///< the call itself is wrong: arguments, options, order of calls
  io,           ///< the system refused: no such file, no space, no permission
  archive,      ///< a file is truncated, corrupt, hostile, foreign or too new
  verification, ///< a graph, signature or program breaks its dialect's rules
  constraint,   ///< inputs do not meet the program's shapes, ranges or guards
  trace,        ///< a model does something that cannot be recorded faithfully
  unsupported,  ///< a legal request that this version cannot serve
};

/// The name of a kind, as printed.
constexpr std::string_view to_string(error_kind k) noexcept {
  switch (k) {
  case error_kind::usage:
    return "usage";
  case error_kind::io:
    return "io";
  case error_kind::archive:
    return "archive";
  case error_kind::verification:
    return "verification";
  case error_kind::constraint:
    return "constraint";
  case error_kind::trace:
    return "trace";
  case error_kind::unsupported:
    return "unsupported";
  }
  return "?";
}

/// A failure known only at run time. `what()` is one line, `CAUSE (at PLACE); CURE`, parts left out when
/// empty.
class ESPALIER_SHARED error : public std::exception {
public:
  error(error_kind kind, std::string cause, std::string place = {}, std::string cure = {})
      : kind_(kind), cause_(std::move(cause)), place_(std::move(place)), cure_(std::move(cure)) {
    compose();
  }

  /// What was found, and why it is wrong.
  const std::string& cause() const noexcept { return cause_; }
  /// Where: a record, a node, an operator, a line of the user's program. May be empty.
  const std::string& place() const noexcept { return place_; }
  /// What to do about it. May be empty.
  const std::string& cure() const noexcept { return cure_; }
  error_kind kind() const noexcept { return kind_; }
  const char* what() const noexcept override { return text_.c_str(); }

  /// The same error, seen from further out: `outer` goes before the place (`model.json: node 'add'`).
  error within(std::string_view outer) const {
    std::string p(outer);
    if (!place_.empty())
      p += ": " + place_;
    return error(kind_, cause_, std::move(p), cure_);
  }

private:
  void compose() {
    text_ = cause_;
    if (!place_.empty())
      text_ += " (at " + place_ + ")";
    if (!cure_.empty())
      text_ += "; " + cure_;
  }
  error_kind kind_;
  std::string cause_, place_, cure_, text_;
};

/// Throws an `error`. Cold and out of line, so that the callers' frames stay small.
[[noreturn]] ESPALIER_COLD inline void fail(error_kind kind, std::string cause, std::string place = {},
                                            std::string cure = {}) {
  throw error(kind, std::move(cause), std::move(place), std::move(cure));
}

} // namespace espalier
