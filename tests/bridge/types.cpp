// SPDX-License-Identifier: BSL-1.0
// Element types, devices, layouts, memory formats, sizes and metas, both ways, all of them.
#include <espalier/bridge/types.hpp>

#include <doctest/doctest.h>
#include <torch/torch.h>

#include <string>
#include <vector>

namespace es = espalier;

TEST_CASE("every element type goes to c10 and back, with c10's size and Python's name") {
  for (const auto& row : es::detail::scalar_type_rows) {
    CAPTURE(row.torch_name);
    const auto c = es::to_c10(row.type);
    CHECK((es::from_c10(c) == row.type));
    CHECK(c10::elementSize(c) == es::element_size(row.type));
    CHECK(c10::isFloatingType(c) == es::is_floating(row.type));
    CHECK(c10::isComplexType(c) == es::is_complex(row.type));
    CHECK(at::getDtypeNames(c).first == std::string(row.torch_name));
  }
  CHECK((es::to_c10(es::scalar_type::undefined) == c10::ScalarType::Undefined));
  CHECK((es::from_c10(c10::ScalarType::Undefined) == es::scalar_type::undefined));
}

TEST_CASE("c10's element types that have no name here keep their number") {
  for (int i = 0; i != static_cast<int>(c10::ScalarType::NumOptions); ++i) {
    const auto c = static_cast<c10::ScalarType>(i);
    CHECK((es::to_c10(es::from_c10(c)) == c));
  }
}

TEST_CASE("every layout and memory format") {
  for (int i = 0; i != static_cast<int>(c10::Layout::NumOptions); ++i) {
    const auto l = static_cast<c10::Layout>(i);
    CHECK((es::to_c10(es::from_c10(l)) == l));
    CHECK_FALSE(es::to_string(es::from_c10(l)).empty());
  }
  for (int i = 0; i != static_cast<int>(c10::MemoryFormat::NumOptions); ++i) {
    const auto f = static_cast<c10::MemoryFormat>(i);
    CHECK((es::to_c10(es::from_c10(f)) == f));
  }
  CHECK(es::to_string(es::from_c10(c10::Layout::SparseCsr)) == "sparse_csr");
}

TEST_CASE("every device type, with and without an index; the names are c10's") {
  for (int t = 0; t != static_cast<int>(c10::DeviceType::COMPILE_TIME_MAX_DEVICE_TYPES); ++t)
    for (const int index : {-1, 0, 1, 7}) {
      const auto type = static_cast<c10::DeviceType>(t);
      if (type == c10::DeviceType::CPU && index > 0)
        continue; // c10 refuses it
      const c10::Device d(type, static_cast<c10::DeviceIndex>(index));
      CAPTURE(d.str());
      const es::device ours = es::from_c10(d);
      CHECK((es::to_c10(ours) == d));
      CHECK(es::to_string(ours) == d.str());
    }
}

TEST_CASE("sizes: integers go through, symbols of other tracers are refused") {
  CHECK((es::from_c10(c10::SymInt(42)) == es::sym_int(42)));
  CHECK(es::to_c10(es::sym_int(-3)).expect_int() == -3);
  const es::sym_ints some{2, 0, 5};
  CHECK((es::to_int_vector(some) == std::vector<std::int64_t>{2, 0, 5}));
  CHECK((es::from_int_array({2, 0, 5}) == some));
  CHECK((es::from_int_array({}) == es::sym_ints{}));
}

TEST_CASE("the meta of a tensor says all but its data") {
  const auto t = torch::ones({4, 6}, torch::kDouble).t().slice(0, 1, 5, 2).set_requires_grad(true);
  const auto m = es::meta_of(t);
  CHECK((m.dtype == es::scalar_type::f64));
  CHECK((m.sizes == es::sym_ints{2, 4}));
  CHECK((m.strides == es::sym_ints{2, 6}));
  CHECK((m.storage_offset == es::sym_int(1)));
  CHECK(m.requires_grad);
  CHECK((m.dev == es::cpu_device));
  CHECK((es::meta_of(torch::ones({})).sizes == es::sym_ints{}));
  CHECK((es::meta_of(torch::ones({1}, torch::kMeta)).dev == es::from_c10(c10::Device(c10::kMeta))));
  const auto last = es::meta_of(torch::ones({2, 3, 4, 5}).contiguous(at::MemoryFormat::ChannelsLast));
  CHECK((last.strides == es::sym_ints{60, 1, 15, 3}));
}

TEST_CASE("a tensor that is not strided has no meta") {
  try {
    es::meta_of(torch::eye(3).to_sparse());
    FAIL("a sparse tensor has no strides");
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::unsupported);
    CHECK(e.cause().find("sparse_coo") != std::string::npos);
    CHECK(e.cure().find("to_dense") != std::string::npos);
  }
}
