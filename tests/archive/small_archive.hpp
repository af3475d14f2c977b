// SPDX-License-Identifier: BSL-1.0
// A small archive made in the process, for tests that change its bytes.
#pragma once

#include <espalier/archive/pt2_archive.hpp>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace small {

namespace es = espalier;
namespace pt2 = espalier::pt2;

inline pt2::argument tensor(std::string name) {
  pt2::tensor_argument t;
  t.name = std::move(name);
  return pt2::argument::make<pt2::argument::tag::as_tensor>(std::move(t));
}
inline pt2::tensor_meta meta(std::vector<std::int64_t> sizes) {
  pt2::tensor_meta m;
  m.dtype = pt2::scalar_type::float_;
  m.device.type = "cpu";
  m.layout = pt2::layout::strided;
  std::int64_t stride = 1;
  for (auto s : sizes)
    stride *= s;
  for (auto s : sizes) {
    stride = s ? stride / s : 1;
    m.sizes.push_back(pt2::sym_int::make<pt2::sym_int::tag::as_int>(s));
    m.strides.push_back(pt2::sym_int::make<pt2::sym_int::tag::as_int>(stride));
  }
  m.storage_offset.emplace<pt2::sym_int::tag::as_int>(0);
  return m;
}
inline pt2::payload weight(es::shared_bytes bytes, std::vector<std::int64_t> sizes) {
  pt2::payload p;
  p.bytes = std::move(bytes);
  p.meta.is_param = true;
  p.meta.tensor_meta = meta(std::move(sizes));
  return p;
}
inline pt2::model model(std::string name) {
  pt2::model m;
  m.name = std::move(name);
  auto bytes = es::shared_bytes::own(std::string(24, '\x3f'));
  m.weights.add("a.weight", weight(bytes, {2, 3}));
  m.weights.add("tied.weight", weight(bytes, {3, 2}));
  m.weights.add("b.weight", weight(es::shared_bytes::own(std::string(24, '\x3f')), {6}));
  m.constants.add("table", weight(es::shared_bytes::own(std::string(8, '\0')), {2}));
  m.sample_inputs = es::shared_bytes::own("not looked into");
  auto& g = m.program.graph_module.graph;
  g.inputs.push_back(tensor("p_a_weight"));
  pt2::node n;
  n.target = "torch.ops.aten.mul.Tensor";
  n.inputs.push_back({"self", tensor("p_a_weight"), pt2::argument_kind::positional});
  n.inputs.push_back(
      {"other", pt2::argument::make<pt2::argument::tag::as_float>(0.1), pt2::argument_kind::keyword});
  n.outputs.push_back(tensor("mul"));
  n.metadata.add("stack_trace", "File \"m.py\", line 1\n  x * 0.1 \xe2\x82\xac");
  n.name = "mul";
  g.nodes.push_back(std::move(n));
  g.outputs.push_back(tensor("mul"));
  g.tensor_values.add("p_a_weight", meta({2, 3}));
  g.tensor_values.add("mul", meta({2, 3}));
  m.program.torch_version = "2.15.0";
  m.program.verifiers.push_back("TRAINING");
  return m;
}
inline pt2::archive archive() {
  pt2::archive a;
  a.models.push_back(model("model"));
  a.others.push_back({"extra/notes.txt", es::shared_bytes::own("kept")});
  a.others.push_back({"data/unknown/record", es::shared_bytes::own(std::string("\0\1\2", 3))});
  return a;
}
inline std::string bytes(const pt2::archive& a) {
  es::vector<std::byte> v;
  es::memory_output out(v);
  pt2::write_archive(a, out);
  return {reinterpret_cast<const char*>(v.data()), v.size()};
}
inline pt2::archive read(const std::string& file, pt2::verify how = pt2::verify::everything) {
  return pt2::read_archive(es::shared_bytes::own(file), "memory", how);
}

/// An archive of other records than ours would have.
inline std::string pack(std::vector<std::pair<std::string, std::string>> records) {
  es::vector<std::byte> v;
  es::memory_output out(v);
  es::zip::writer z(out);
  for (auto& [name, data] : records)
    z.add(name, data);
  z.finish();
  return {reinterpret_cast<const char*>(v.data()), v.size()};
}
/// The records of a sound archive, one of them changed (or dropped, when `to` is null).
inline std::string altered(std::string_view record, const char* to) {
  auto file = bytes(archive());
  es::zip::reader z(es::shared_bytes::borrow(file), "memory");
  std::vector<std::pair<std::string, std::string>> records;
  bool found = false;
  for (auto& e : z.entries()) {
    std::string name(e.name.substr(e.name.find('/') + 1));
    bool hit = name == record;
    found |= hit;
    if (!hit || to)
      records.push_back({std::string(e.name), hit ? to : std::string(z.data(e).text())});
  }
  if (!found)
    throw std::logic_error("the archive has no record " + std::string(record));
  return pack(records);
}

} // namespace small
