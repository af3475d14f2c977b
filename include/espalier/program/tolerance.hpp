// SPDX-License-Identifier: BSL-1.0
// How far numbers may be apart: for what compares them, and for what only reads how far.
#pragma once

namespace espalier {

/// How far two results may differ: `|a - b| <= absolute + relative * |b|`, and both NaN counts as equal.
struct tolerance {
  double relative = 1e-4, absolute = 1e-5;
};

} // namespace espalier
