// SPDX-License-Identifier: BSL-1.0
// LibTorch's own reader opens what our writer makes, and ours opens what LibTorch's writer makes.
#include "corpus.hpp"
#include "small_archive.hpp"

#include <caffe2/serialize/inline_container.h>

#include <doctest/doctest.h>

#include <cstring>
#include <sstream>
#include <string>

namespace es = espalier;
using caffe2::serialize::PyTorchStreamReader;
using caffe2::serialize::PyTorchStreamWriter;

TEST_CASE("PyTorchStreamReader reads every record of our archives, aligned") {
  auto check = [](const std::string& file) {
    es::zip::reader ours(es::shared_bytes::borrow(file), "memory");
    std::istringstream in(file);
    PyTorchStreamReader theirs(&in);
    CHECK(theirs.version() == 6);
    CHECK(theirs.getAllRecords().size() == ours.entries().size());
    for (auto& e : ours.entries()) {
      std::string name(e.name.substr(e.name.find('/') + 1));
      CAPTURE(name);
      auto [data, size] = theirs.getRecord(name);
      REQUIRE(size == e.size);
      CHECK((size == 0 || std::memcmp(data.get(), ours.data(e).data(), size) == 0));
      CHECK(theirs.getRecordOffset(name) == e.offset);
      CHECK(theirs.getRecordOffset(name) % 64 == 0);
    }
  };
  check(small::bytes(small::archive()));
  for (auto& path : corpus::archives())
    check(small::bytes(es::pt2::read_archive(path.string())));
}

TEST_CASE("our reader reads what PyTorchStreamWriter writes") {
  std::string file;
  {
    PyTorchStreamWriter w([&](const void* data, std::size_t size) {
      file.append(static_cast<const char*>(data), size);
      return size;
    });
    w.writeRecord("small", "abc", 3);
    w.writeRecord("empty", "", 0);
    std::string large(100000, 'x');
    w.writeRecord("folder/large", large.data(), large.size());
    w.writeEndOfFile();
  }
  es::zip::reader z(es::shared_bytes::borrow(file), "memory");
  auto root = std::string(z.entries().front().name.substr(0, z.entries().front().name.find('/')));
  for (auto& e : z.entries())
    z.verify(e);
  REQUIRE(z.find(root + "/small"));
  CHECK(z.data(*z.find(root + "/small")).text() == "abc");
  CHECK(z.find(root + "/empty")->size == 0);
  CHECK(z.data(*z.find(root + "/folder/large")).text() == std::string(100000, 'x'));
}
