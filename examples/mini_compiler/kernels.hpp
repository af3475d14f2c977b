// SPDX-License-Identifier: BSL-1.0
// The compiler's third pass and its operator: regions become calls of `mini::pointwise`, which runs a kernel.
//
// The idea: an operator of one's own is one line of schema. From it come the type that calls are checked
// against, the name in printed graphs, and LibTorch's registration; the interpreter finds it in LibTorch's
// dispatcher, like any other.
#pragma once

#include "compile.hpp"
#include "emit.hpp"
#include "fuse.hpp"

#include <espalier/bridge/types.hpp>
#include <espalier/rewrite/rule.hpp>
#include <espalier/schema/op_traits.hpp>

#include <ATen/ExpandUtils.h>
#include <ATen/TensorIterator.h>
#include <torch/library.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace mini {

using pointwise = es::op<"mini::pointwise(int kernel, Tensor[] inputs) -> Tensor[]">;

using kernel_function = void(char** data, const std::int64_t* strides, std::int64_t n);

/// A kernel in this process.
struct loaded_kernel {
  kernel_function* run;
  std::vector<at::ScalarType> results;
};
/// All of them: an operator's argument is a number in this table.
inline std::vector<loaded_kernel>& loaded_kernels() {
  static std::vector<loaded_kernel> kernels;
  return kernels;
}

/// `mini::pointwise`. TensorIterator broadcasts the inputs, merges dimensions, and gives each thread its
/// rows.
inline std::vector<at::Tensor> run_pointwise(std::int64_t number, at::TensorList inputs) {
  const loaded_kernel& kernel = loaded_kernels().at(static_cast<std::size_t>(number));
  at::DimVector sizes;
  for (const at::Tensor& t : inputs)
    sizes = at::infer_size_dimvector(sizes, t.sizes());
  std::vector<at::Tensor> results;
  results.reserve(kernel.results.size());
  at::TensorIteratorConfig config;
  config.check_all_same_dtype(false).resize_outputs(false);
  for (const at::ScalarType type : kernel.results) {
    results.push_back(at::empty(sizes, type));
    config.add_output(results.back());
  }
  for (const at::Tensor& t : inputs)
    config.add_const_input(t);
  const std::size_t operands = results.size() + inputs.size();
  config.build().for_each([&](char** base, const std::int64_t* strides, std::int64_t n, std::int64_t rows) {
    std::vector<char*> data(base, base + operands);
    for (std::int64_t row = 0; row != rows; ++row) {
      kernel.run(data.data(), strides, n);
      for (std::size_t i = 0; i != operands; ++i)
        data[i] += strides[operands + i];
    }
  });
  return results;
}

TORCH_LIBRARY(mini, library) {
  library.def(pointwise::schema_str);
  library.impl("pointwise", c10::DispatchKey::CPU, TORCH_FN(run_pointwise));
}

/// Compiles the regions and calls their kernels.
struct call_kernels : es::pass {
  static constexpr std::string_view name = "call-kernels";
  using needs = es::properties<regions_outlined>; // without it, this pipeline would not compile
  using destroys = es::properties<regions_outlined>;

  explicit call_kernels(fs::path f) : folder(std::move(f)) {}
  fs::path folder; ///< for what is emitted

  es::pass_result run(es::graph_storage& g, es::pass_context& c) const {
    kernel_source source;
    const es::pass_result done = call_in(g, source, loaded_kernels().size());
    if (!done)
      return done;
    c.count("kernels", source.kernels().size());
    const auto start = std::chrono::steady_clock::now();
    const loaded_library library = compile(source.text(), folder);
    c.count("milliseconds of the C++ compiler",
            static_cast<std::size_t>(
                std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count()));
    for (const kernel& k : source.kernels()) {
      loaded_kernel loaded{library.function<kernel_function>(k.name), {}};
      for (const es::scalar_type t : k.results)
        loaded.results.push_back(es::to_c10(t));
      loaded_kernels().push_back(std::move(loaded));
    }
    return done;
  }

private:
  /// Calls kernels in a graph and, branches and loops first, in the graphs that it calls. The kernels of
  /// `source` will be loaded from number `first` on.
  static es::pass_result call_in(es::graph_storage& g, kernel_source& source, std::size_t first) {
    es::pass_result done;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      if (!g.text(g.subgraph_name(i)).starts_with(region_prefix))
        done += call_in(g.subgraph(i), source, first);
    espalier::vector<es::node_id> made;
    for (es::node n : es::nodes(g)) {
      const es::graph_storage* region = region_of(n);
      if (!region)
        continue;
      espalier::vector<es::value> inputs;
      for (es::value v : n.operands())
        inputs.push_back(v);
      es::rewriter<es::torch_ir> builder(g, n, made);
      const es::node call =
          builder.call_list<pointwise>(n.num_results(), first + source.add(*region), inputs);
      for (std::size_t i = 0; i != n.num_results(); ++i) {
        g.set_meta(call.result(i).id(), g.meta_of(n.result(i).id()));
        g.replace_all_uses(n.result(i).id(), call.result(i).id());
      }
      g.erase(n);
      ++done.rewritten;
    }
    return done;
  }
  /// The graph of a region that `fuse_pointwise` made.
  static const es::graph_storage* region_of(es::node n) {
    if (n.kind() != es::node_kind::call_higher_order ||
        n.op() != *es::find_op("higher_order::invoke_subgraph"))
      return nullptr;
    return n.arg(1).as_string().starts_with(region_prefix) ? &n.arg(0).subgraph() : nullptr;
  }
};

} // namespace mini
