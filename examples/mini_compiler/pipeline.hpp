// SPDX-License-Identifier: BSL-1.0
// The compiler, put together.
//
// The idea: pipelines are types, proven when this file is compiled. `call_kernels` without `fuse_pointwise`
// before it, or that without `dce` before it, would be an error that names the pass, what it needs, and who
// destroyed it.
#pragma once

#include "kernels.hpp"
#include "simplify.hpp"

#include <espalier/passes/canonicalize.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/inline.hpp>
#include <espalier/passes/raise.hpp>
#include <espalier/pipeline/combinators.hpp>
#include <espalier/pipeline/pipeline.hpp>

namespace mini {

/// A program in one graph where it can be (nobody asks for gradients), in few operators, and no more calls
/// than it needs.
inline constexpr auto tidy = es::inline_subgraphs{es::grad_mode::irrelevant} | es::raise{} | simplify |
                             es::canonicalize{} | es::cse{} | es::dce{};
/// And its regions behind one call each: those of branches and loops first, for later the regions are graphs
/// as well.
inline constexpr auto outline = tidy | es::on_subgraphs(fuse_pointwise{}) | fuse_pointwise{};
/// And their kernels in place of them; what is emitted goes into `folder`.
inline auto compiler(fs::path folder) { return outline | call_kernels(std::move(folder)); }

} // namespace mini
