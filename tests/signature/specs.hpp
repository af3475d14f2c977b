// SPDX-License-Identifier: BSL-1.0
// Rows of a signature, in one line each.
#pragma once

#include <espalier/signature/signature.hpp>

#include <string>
#include <utility>

namespace specs {

inline espalier::input_spec input(espalier::input_kind k, std::string name, std::string target = {}) {
  espalier::input_spec s;
  s.kind = k;
  s.arg.name = std::move(name);
  s.target = std::move(target);
  return s;
}
inline espalier::output_spec output(espalier::output_kind k, std::string name, std::string target = {}) {
  espalier::output_spec s;
  s.kind = k;
  s.arg.name = std::move(name);
  s.target = std::move(target);
  return s;
}

} // namespace specs
