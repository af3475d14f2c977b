// SPDX-License-Identifier: BSL-1.0
// Weights to payloads and back: every element type an archive has, strides, offsets, ties, and files that are
// mapped.
#include <espalier/bridge/weights.hpp>

#include <doctest/doctest.h>
#include <torch/torch.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

namespace es = espalier;
namespace fs = std::filesystem;

namespace {

at::Tensor round_trip(const at::Tensor& t) {
  es::weight_reader reader;
  return reader.tensor(es::to_payload(t, false, "w"), "w");
}
bool same_bytes(const at::Tensor& a, const at::Tensor& b) {
  const auto x = a.contiguous(), y = b.contiguous();
  return x.nbytes() == y.nbytes() &&
         (x.nbytes() == 0 || std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) == 0);
}
es::error caught(const std::function<void()>& f) {
  try {
    f();
  } catch (const es::error& e) {
    CHECK_FALSE(e.cure().empty());
    return e;
  }
  FAIL("nothing was thrown");
  return es::error(es::error_kind::usage, "");
}

} // namespace

TEST_CASE("every element type that archives know") {
  for (const auto& [stored, ours] : es::detail::scalar_type_map) {
    if (ours == es::scalar_type::undefined)
      continue;
    const auto type = es::to_c10(ours);
    CAPTURE(c10::toString(type));
    const auto bytes = torch::arange(64, torch::kByte).clone();
    const auto t = bytes.view(type);
    const auto p = es::to_payload(t, true, "w");
    REQUIRE(p.meta.tensor_meta.has_value());
    CHECK((p.meta.tensor_meta->dtype == stored));
    CHECK(p.meta.is_param);
    es::weight_reader reader;
    const auto back = reader.tensor(p, "w");
    CHECK((back.scalar_type() == type));
    CHECK(back.sizes().vec() == t.sizes().vec());
    CHECK(same_bytes(back, t));
    CHECK(back.const_data_ptr() != t.const_data_ptr()); // read-only bytes are copied
  }
}

TEST_CASE("sizes, strides and offsets") {
  const auto base = torch::arange(24, torch::kFloat).view({2, 3, 4});
  for (const auto& t : {base, base.transpose(0, 2), base.slice(2, 1, 4, 2), base.select(1, 2), base[1][2][3],
                        base.expand({5, 2, 3, 4}), base.narrow(0, 0, 0), torch::ones({}),
                        torch::ones({2, 3, 4, 5}).contiguous(at::MemoryFormat::ChannelsLast)}) {
    const auto back = round_trip(t);
    CHECK(back.sizes().vec() == t.sizes().vec());
    CHECK(back.strides().vec() == t.strides().vec());
    CHECK(back.storage_offset() == t.storage_offset());
    CHECK(at::equal(back, t));
  }
}

TEST_CASE("what shares a storage shares it again") {
  const auto base = torch::arange(6, torch::kFloat);
  const auto a = es::to_payload(base, true, "a"), b = es::to_payload(base.view({2, 3}).t(), true, "b"),
             other = es::to_payload(base.clone(), true, "other");
  es::weight_reader reader;
  const auto x = reader.tensor(a, "a"), y = reader.tensor(b, "b"), z = reader.tensor(other, "other");
  CHECK(x.storage().is_alias_of(y.storage()));
  CHECK_FALSE(x.storage().is_alias_of(z.storage()));
  x[1] = 100;
  CHECK(y[1][0].item<float>() == 100);
  CHECK(base[1].item<float>() == 1);
}

TEST_CASE("gradients and parameters: said in the meta, not in the tensor that is read") {
  const auto p = es::to_payload(torch::ones({2}).set_requires_grad(true), true, "w");
  CHECK(p.meta.tensor_meta->requires_grad);
  es::weight_reader reader;
  CHECK_FALSE(reader.tensor(p, "w").requires_grad());
}

TEST_CASE("conjugated and negated views are resolved") {
  const auto c = at::complex(torch::arange(3, torch::kFloat), torch::ones({3}));
  CHECK(at::equal(round_trip(c.conj()), c.conj()));
  const auto imaginary = at::imag(c.conj()); // a negated view
  REQUIRE(imaginary.is_neg());
  CHECK(at::equal(round_trip(imaginary), imaginary));
}

TEST_CASE("a payload keeps the storage alive") {
  es::pt2::payload p;
  {
    auto t = torch::full({4}, 7.f);
    p = es::to_payload(t, false, "w");
  }
  es::weight_reader reader;
  CHECK(reader.tensor(p, "w").sum().item<float>() == 28);
}

TEST_CASE("a payload without data gives zeros") {
  auto p = es::to_payload(torch::ones({2, 3}), false, "w");
  p.bytes = {};
  es::weight_reader reader;
  const auto t = reader.tensor(p, "w");
  CHECK(t.sizes().vec() == std::vector<std::int64_t>{2, 3});
  CHECK(t.abs().sum().item<float>() == 0);
}

TEST_CASE("mapped bytes are used as they are, written in memory, never in the file") {
  const auto file = fs::temp_directory_path() / ("espalier_weights_" + std::to_string(::getpid()));
  const std::vector<float> data{1, 2, 3, 4};
  std::ofstream(file, std::ios::binary).write(reinterpret_cast<const char*>(data.data()), 16);
  {
    const auto mapped = es::map_file_private(file.string());
    REQUIRE(mapped.size() == 16);
    auto p = es::to_payload(torch::ones({4}), true, "w");
    p.bytes = mapped;
    es::weight_reader reader(es::payload_memory::private_);
    const auto t = reader.tensor(p, "w");
    CHECK(t.const_data_ptr() == static_cast<const void*>(mapped.data())); // not copied
    t.mul_(10);
    CHECK(t.sum().item<float>() == 100);
  }
  std::vector<float> again(4);
  std::ifstream(file, std::ios::binary).read(reinterpret_cast<char*>(again.data()), 16);
  CHECK(again == data);

  { // bytes that do not lie at a multiple of an element's size are copied
    const auto mapped = es::map_file_private(file.string());
    auto p = es::to_payload(torch::ones({2}), true, "w");
    p.bytes = es::shared_bytes(mapped.span().subspan(4, 8), std::make_shared<es::shared_bytes>(mapped));
    es::weight_reader reader(es::payload_memory::private_);
    const auto t = reader.tensor(p, "w");
    CHECK(t[0].item<float>() == 2);
    CHECK(t.const_data_ptr() != static_cast<const void*>(p.bytes.data()));
  }
  fs::remove(file);
  CHECK(caught([&] { es::map_file_private(file.string()); }).kind() == es::error_kind::io);
}

TEST_CASE("what no raw record can hold is refused, with the weight's name") {
  for (const auto& t : {at::Tensor(), torch::eye(2).to_sparse(),
                        at::quantize_per_tensor(torch::ones({2}), 0.1, 0, torch::kQInt8)}) {
    const auto e = caught([&] { es::to_payload(t, false, "layer.w"); });
    CHECK(e.kind() == es::error_kind::unsupported);
    CHECK(e.place().find("layer.w") != std::string::npos);
  }
}

TEST_CASE("payloads of damaged files are refused") {
  es::weight_reader reader;
  auto pickled = es::to_payload(torch::ones({2}), false, "w");
  pickled.meta.use_pickle = true;
  CHECK(caught([&] { reader.tensor(pickled, "w"); }).kind() == es::error_kind::unsupported);
  auto truncated = es::to_payload(torch::ones({4}), false, "w");
  truncated.bytes = es::shared_bytes(truncated.bytes.span().first(12), nullptr);
  CHECK(caught([&] { reader.tensor(truncated, "w"); }).kind() == es::error_kind::archive);
  auto sparse = es::to_payload(torch::ones({4}), false, "w");
  sparse.meta.tensor_meta->layout = es::pt2::layout::sparse_coo;
  CHECK(caught([&] { reader.tensor(sparse, "w"); }).kind() == es::error_kind::archive);
}
