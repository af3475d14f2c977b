// SPDX-License-Identifier: BSL-1.0
// Example inputs of programs: `(args, kwargs)` as Python's `torch.save` writes them. LibTorch's unpickler
// reads what holds no classes but torch's; what it cannot read stays closed and is written back as it was.
// LibTorch's pickler would mark typed lists and dicts in a way that Python's `torch.load(weights_only=True)`
// refuses, so the few containers that inputs are made of are pickled here.
#pragma once

#include <espalier/archive/file.hpp>
#include <espalier/archive/tree_spec_json.hpp>
#include <espalier/archive/zip.hpp>
#include <espalier/signature/tree_spec.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

namespace detail {

/// Writes Python's pickle protocol 2 with torch's persistent ids for storages (`torch/serialization.py`:
/// _save).
class torch_pickler {
public:
  template <class = when_used>
  vector<std::byte> save(const c10::IValue& v) {
    out_ = "\x80\x02";
    put(v);
    out_ += '.';
    vector<std::byte> bytes;
    {
      memory_output to(bytes);
      zip::writer z(to);
      z.add("archive/data.pkl", out_);
      z.add("archive/.format_version", "1");
      z.add("archive/.storage_alignment", "64");
      z.add("archive/byteorder", "little");
      for (std::size_t i = 0; i != storages_.size(); ++i)
        z.add(
            "archive/data/" + std::to_string(i),
            {static_cast<const std::byte*>(storages_[i].storage().data()), storages_[i].storage().nbytes()});
      z.add("archive/version", "3\n");
      z.finish();
    }
    return bytes;
  }

private:
  template <class = when_used>
  void u32(std::uint32_t x) {
    for (int i = 0; i != 4; ++i)
      out_ += static_cast<char>(x >> (8 * i));
  }
  template <class = when_used>
  void text(std::string_view s) {
    out_ += 'X';
    u32(static_cast<std::uint32_t>(s.size()));
    out_ += s;
  }
  template <class = when_used>
  void integer(std::int64_t x) {
    if (x >= INT32_MIN && x <= INT32_MAX) {
      out_ += 'J';
      u32(static_cast<std::uint32_t>(static_cast<std::int32_t>(x)));
      return;
    }
    out_ += '\x8a';
    out_ += '\x08';
    for (int i = 0; i != 8; ++i)
      out_ += static_cast<char>(static_cast<std::uint64_t>(x) >> (8 * i));
  }
  template <class = when_used>
  void global(std::string_view module, std::string_view name) {
    out_ += 'c';
    out_ += module;
    out_ += '\n';
    out_ += name;
    out_ += '\n';
  }
  template <class = when_used>
  void sizes(c10::IntArrayRef s) {
    out_ += '(';
    for (const auto x : s)
      integer(x);
    out_ += 't';
  }
  template <class = when_used>
  static std::string_view storage_class(c10::ScalarType t) {
    switch (t) {
    case c10::ScalarType::Byte:
      return "ByteStorage";
    case c10::ScalarType::Char:
      return "CharStorage";
    case c10::ScalarType::Short:
      return "ShortStorage";
    case c10::ScalarType::Int:
      return "IntStorage";
    case c10::ScalarType::Long:
      return "LongStorage";
    case c10::ScalarType::Half:
      return "HalfStorage";
    case c10::ScalarType::Float:
      return "FloatStorage";
    case c10::ScalarType::Double:
      return "DoubleStorage";
    case c10::ScalarType::ComplexFloat:
      return "ComplexFloatStorage";
    case c10::ScalarType::ComplexDouble:
      return "ComplexDoubleStorage";
    case c10::ScalarType::Bool:
      return "BoolStorage";
    case c10::ScalarType::BFloat16:
      return "BFloat16Storage";
    default:
      fail(error_kind::unsupported,
           "a tensor of type " + std::string(c10::toString(t)) + " cannot be pickled here", "example inputs",
           "convert it to another type, or save without example inputs");
    }
  }
  template <class = when_used>
  void tensor(at::Tensor t) {
    const bool grad = t.requires_grad();
    if (t.layout() != c10::Layout::Strided || t.is_quantized())
      fail(error_kind::unsupported, "a tensor that is not dense cannot be pickled here", "example inputs",
           "save without example inputs");
    t = t.detach().resolve_conj().resolve_neg().cpu();
    const auto [it, fresh] = index_.try_emplace(t.storage().unsafeGetStorageImpl(), storages_.size());
    if (fresh)
      storages_.push_back(t);
    global("torch._utils", "_rebuild_tensor_v2");
    out_ += "((";
    text("storage");
    global("torch", storage_class(t.scalar_type()));
    text(std::to_string(it->second));
    text("cpu");
    integer(static_cast<std::int64_t>(t.storage().nbytes() / t.element_size()));
    out_ += "tQ";
    integer(t.storage_offset());
    sizes(t.sizes());
    sizes(t.strides());
    out_ += grad ? '\x88' : '\x89';
    global("collections", "OrderedDict");
    out_ += ")R";
    out_ += "tR";
  }
  template <class = when_used>
  void put(const c10::IValue& v) {
    if (v.isNone())
      out_ += 'N';
    else if (v.isTensor())
      v.toTensor().defined() ? tensor(v.toTensor()) : static_cast<void>(out_ += 'N');
    else if (v.isBool())
      out_ += v.toBool() ? '\x88' : '\x89';
    else if (v.isInt())
      integer(v.toInt());
    else if (v.isDouble()) {
      out_ += 'G';
      const auto b = std::bit_cast<std::uint64_t>(v.toDouble());
      for (int i = 7; i >= 0; --i)
        out_ += static_cast<char>(b >> (8 * i));
    } else if (v.isString())
      text(v.toStringRef());
    else if (v.isTuple()) {
      out_ += '(';
      for (const auto& e : v.toTupleRef().elements())
        put(e);
      out_ += 't';
    } else if (v.isList()) {
      out_ += "](";
      for (const c10::IValue& e : v.toList())
        put(e);
      out_ += 'e';
    } else if (v.isGenericDict()) {
      out_ += "}(";
      for (const auto& e : v.toGenericDict()) {
        put(e.key());
        put(e.value());
      }
      out_ += 'u';
    } else
      fail(error_kind::unsupported, "a value of kind " + v.tagKind() + " cannot be pickled here",
           "example inputs", "save without example inputs");
  }

  std::string out_;
  hash_map<const void*, std::size_t> index_;
  std::vector<at::Tensor> storages_;
};

/// A value of the structure `t` with the next leaves.
template <class = when_used>
c10::IValue nest(const tree_spec& t, span<const c10::IValue> leaves, std::size_t& at) {
  if (t.is_leaf())
    return at < leaves.size() ? leaves[at++] : c10::IValue();
  if (t.type == "builtins.dict" || t.type == "collections.OrderedDict") {
    c10::impl::GenericDict d(c10::StringType::get(), c10::AnyType::get());
    const auto keys = keys_of(t);
    if (keys.size() != t.children.size())
      fail(error_kind::unsupported, "a dict whose keys are not all strings", "example inputs",
           "save without example inputs");
    for (std::size_t i = 0; i != keys.size(); ++i)
      d.insert(keys[i], nest(t.children[i], leaves, at));
    return c10::IValue(std::move(d));
  }
  std::vector<c10::IValue> items;
  for (const auto& c : t.children)
    items.push_back(nest(c, leaves, at));
  if (t.type == "builtins.list") {
    c10::impl::GenericList l(c10::AnyType::get());
    for (auto& i : items)
      l.push_back(std::move(i));
    return c10::IValue(std::move(l));
  }
  if (t.type != "builtins.tuple")
    fail(error_kind::unsupported, "inputs hold a '" + t.type + "', whose class is Python's", "example inputs",
         "save without example inputs");
  return c10::IValue(c10::ivalue::Tuple::create(std::move(items)));
}

/// The leaves of a value of the structure `t`, in order.
template <class = when_used>
void flatten_like(const c10::IValue& v, const tree_spec& t, std::vector<c10::IValue>& out) {
  const auto refuse = [&] {
    fail(error_kind::unsupported, "the pickled inputs do not have the program's structure", "example inputs",
         "pass inputs to the call");
  };
  if (t.is_leaf()) {
    out.push_back(v);
    return;
  }
  if (v.isGenericDict()) {
    const auto keys = keys_of(t);
    const auto d = v.toGenericDict();
    if (keys.size() != t.children.size())
      refuse();
    for (std::size_t i = 0; i != keys.size(); ++i) {
      const auto it = d.find(c10::IValue(keys[i]));
      if (it == d.end())
        refuse();
      flatten_like(it->value(), t.children[i], out);
    }
    return;
  }
  std::vector<c10::IValue> items;
  if (v.isTuple())
    for (const auto& e : v.toTupleRef().elements())
      items.push_back(e);
  else if (v.isList())
    for (const c10::IValue& e : v.toList())
      items.push_back(e);
  if (items.size() != t.children.size())
    refuse();
  for (std::size_t i = 0; i != items.size(); ++i)
    flatten_like(items[i], t.children[i], out);
}

} // namespace detail

/// What Python's `torch.load` reads: tensors, numbers, strings, None, tuples, lists and dicts of these.
template <class = when_used>
vector<std::byte> torch_save(const c10::IValue& v) {
  return detail::torch_pickler().save(v);
}

/// What Python's `torch.save` wrote. Throws `error` (unsupported) when it holds classes that C++ does not
/// know, or is in the format from before PyTorch 1.6, which is no zip archive (`torch/serialization.py`:
/// _legacy_save); `error` (archive) when it is neither.
template <class = when_used>
c10::IValue torch_load(span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19."))
    fail(error_kind::unsupported, "this is the format of torch.save from before PyTorch 1.6",
         "torch.save file",
         "save it again in Python: torch.save(torch.load(path), path), without "
         "_use_new_zipfile_serialization=False");
  if (!text.starts_with("PK"))
    fail(error_kind::archive, "this is no file of torch.save: it is no zip archive", "torch.save file",
         "write it with torch.save(values, path)");
  try {
    return torch::jit::pickle_load(std::vector<char>(text.begin(), text.end()));
  } catch (const std::exception& e) {
    std::string what = e.what();
    fail(error_kind::unsupported, "the pickle cannot be read: " + what.substr(0, what.find('\n')),
         "torch.save file", "save plain tensors, numbers and containers of them");
  }
}

} // namespace espalier
