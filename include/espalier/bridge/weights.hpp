// SPDX-License-Identifier: BSL-1.0
// Weights between an archive and LibTorch. Reading copies nothing: a tensor's storage is the record's bytes
// in the mapped file, kept alive by the storage, and tensors that share a record share a storage, so ties
// survive. Writing goes by storage too, as `torch/export/pt2_archive/_package.py` does: each storage becomes
// one record.
#pragma once

#include <espalier/archive/detail/notes.hpp>
#include <espalier/archive/file.hpp>
#include <espalier/archive/payload.hpp>
#include <espalier/archive/schema.hpp>
#include <espalier/bridge/types.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/vector.hpp>

#include <ATen/Functions.h>
#include <ATen/core/Tensor.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/Storage.h>

#include <boost/interprocess/file_mapping.hpp>
#include <boost/interprocess/mapped_region.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// Whether the bytes under a payload may be written to.
enum class payload_memory : bool {
  read_only, ///< they are copied when a tensor is made of them
  private_,  ///< they are ours (`map_file_private`): tensors may be trained in place, no file changes
};

/// Maps a file copy-on-write: what is written to the bytes stays in this process, page by page.
template <class = when_used>
shared_bytes map_file_private(const std::string& path) {
  const shared_bytes probe = map_file(path); // its errors are better than the mapping's
  if (probe.empty())
    return probe;
  try {
    namespace ip = boost::interprocess;
    const ip::file_mapping file(path.c_str(), ip::read_only);
    auto region = std::make_shared<ip::mapped_region>(file, ip::copy_on_write);
    return {{static_cast<const std::byte*>(region->get_address()), region->get_size()}, region};
  } catch (const boost::interprocess::interprocess_exception& e) {
    fail(error_kind::io, "the file cannot be mapped: " + std::string(e.what()), path,
         "check the path and its permissions");
  }
}

namespace detail {

/// What a storage over mapped bytes keeps: the bytes, and the checksum that nobody has compared them with.
struct mapped_record {
  shared_bytes bytes;
  pt2::pending_checksum pending;
};
inline void free_mapped_record(void* record) { delete static_cast<mapped_record*>(record); }
/// The checksum that a tensor's storage still has to be compared with. None once the tensor was written to.
template <class = when_used>
pt2::pending_checksum pending_of(const at::Tensor& t) {
  const auto& data = t.storage().data_ptr();
  if (t.is_inference() || t._version() != 0 || data.get_deleter() != &free_mapped_record)
    return {};
  return static_cast<const mapped_record*>(data.get_context())->pending;
}

} // namespace detail

/// Makes tensors of payloads; payloads of one record give tensors of one storage.
class weight_reader {
public:
  explicit weight_reader(payload_memory memory = payload_memory::read_only) noexcept : memory_(memory) {}

  /// The tensor of a raw payload, without gradient. Throws `error` (archive) when its record is too short for
  /// it or it is no plain tensor, and `error` (unsupported) for a pickled one.
  template <class = when_used>
  at::Tensor tensor(const pt2::payload& p, std::string_view name) {
    if (p.meta.use_pickle || !p.meta.tensor_meta)
      fail(error_kind::unsupported,
           "'" + std::string(name) + "' is a pickle (a tensor subclass or an object), which C++ cannot open",
           p.meta.path_name, "save it from Python as a plain tensor");
    pt2::check_extent(p, name, p.meta.path_name);
    const auto& m = *p.meta.tensor_meta;
    const auto dtype = detail::map_from(detail::scalar_type_map, m.dtype);
    const auto dev = detail::from_pt2(m.device);
    if (!dtype || m.layout != pt2::layout::strided || !dev)
      fail(error_kind::archive,
           "'" + std::string(name) +
               "' has an element type, a layout or a device that a raw record cannot hold",
           p.meta.path_name, "save it from Python as a dense tensor");
    vector<std::int64_t> sizes, strides;
    for (const auto& s : m.sizes)
      sizes.push_back(s.as_int());
    for (const auto& s : m.strides)
      strides.push_back(s.as_int());
    const auto type = to_c10(*dtype);
    at::Tensor t;
    if (p.bytes.empty()) // saved without data
      t = at::zeros(sizes, at::TensorOptions().dtype(type));
    else {
      t = at::detail::make_tensor<c10::TensorImpl>(c10::Storage(storage_of(p)),
                                                   c10::DispatchKeySet(c10::DispatchKey::CPU),
                                                   c10::scalarTypeToTypeMeta(type));
      t.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides, m.storage_offset.as_int());
    }
    if (const auto d = to_c10(*dev); !d.is_cpu())
      t = t.to(d);
    return t;
  }

private:
  template <class = when_used>
  const c10::Storage& storage_of(const pt2::payload& p) {
    const auto [it, fresh] = storages_.try_emplace(p.bytes.data());
    if (!fresh)
      return it->second;
    const std::size_t size = p.bytes.size();
    auto* const bytes =
        const_cast<std::byte*>(p.bytes.data()); // written to only when `memory_` says that it may be
    constexpr std::uintptr_t alignment = 16;    // of the largest element
    if (memory_ == payload_memory::private_ && p.bytes.owned() &&
        reinterpret_cast<std::uintptr_t>(bytes) % alignment == 0) {
      c10::DataPtr data(bytes, new detail::mapped_record{p.bytes, p.pending}, &detail::free_mapped_record,
                        c10::Device(c10::kCPU));
      it->second = c10::Storage(c10::Storage::use_byte_size_t(), size, std::move(data), nullptr, false);
    } else {
      pt2::verify_bytes(p, p.meta.path_name); // they are read now
      auto copy = c10::GetCPUAllocator()->allocate(size);
      std::memcpy(copy.get(), bytes, size);
      it->second =
          c10::Storage(c10::Storage::use_byte_size_t(), size, std::move(copy), c10::GetCPUAllocator(), false);
    }
    return it->second;
  }
  payload_memory memory_;
  hash_map<const std::byte*, c10::Storage> storages_;
};

/// A tensor's meta as archives hold it.
template <class = when_used>
pt2::tensor_meta to_pt2_meta(const at::Tensor& t) {
  const auto dtype = detail::map_to(detail::scalar_type_map, from_c10(t.scalar_type()));
  if (!dtype)
    fail(error_kind::unsupported,
         "archives have no number for the element type " + std::string(c10::toString(t.scalar_type())),
         "weights", "convert the weight to another type");
  using number = pt2::sym_int;
  pt2::tensor_meta m;
  m.dtype = *dtype;
  for (const auto s : t.sizes())
    m.sizes.push_back(number::make<number::tag::as_int>(s));
  for (const auto s : t.strides())
    m.strides.push_back(number::make<number::tag::as_int>(s));
  m.storage_offset = number::make<number::tag::as_int>(t.storage_offset());
  m.requires_grad = t.requires_grad();
  m.device = detail::to_pt2(from_c10(t.device()));
  m.layout = pt2::layout::strided;
  return m;
}

/// A tensor as a payload: its whole storage, which the payload keeps alive, so that tensors which share one
/// share a record. A tensor of another device is copied to the CPU, its meta keeps the device.
template <class = when_used>
pt2::payload to_payload(const at::Tensor& t, bool is_parameter, std::string_view name) {
  if (!t.defined() || t.layout() != c10::Layout::Strided || t.is_quantized())
    fail(error_kind::unsupported, "a weight that is not a plain strided tensor cannot be saved",
         "weight '" + std::string(name) + "'", "convert it with to_dense() or dequantize() first");
  if (t.is_conj() || t.is_neg())
    return to_payload(t.resolve_conj().resolve_neg(), is_parameter, name);
  const at::Tensor host = t.is_cpu() ? t.detach() : t.detach().cpu();
  pt2::payload p;
  p.meta.is_param = is_parameter;
  p.meta.tensor_meta = to_pt2_meta(t.is_cpu() ? t : host);
  p.meta.tensor_meta->requires_grad = t.requires_grad();
  p.meta.tensor_meta->device = detail::to_pt2(from_c10(t.device()));
  auto keep = std::make_shared<const c10::Storage>(host.storage());
  p.bytes = shared_bytes({static_cast<const std::byte*>(keep->data()), keep->nbytes()}, keep);
  if (t.is_cpu())
    p.pending = detail::pending_of(t);
  return p;
}

} // namespace espalier
