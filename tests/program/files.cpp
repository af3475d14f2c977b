// SPDX-License-Identifier: BSL-1.0
// What the file of a program holds beside it comes through load and save; a damaged weight is found when its
// file is loaded, or, where that was not wanted, before it is given a right checksum.
#include "archive/corpus.hpp"

#include <espalier/espalier.hpp>

#include <doctest/doctest.h>
#include <torch/torch.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace es = espalier;
namespace fs = std::filesystem;

namespace {

struct NetImpl : torch::nn::Module {
  NetImpl() { fc = register_module("fc", torch::nn::Linear(4, 4)); }
  at::Tensor forward(at::Tensor x) { return fc(x); }
  torch::nn::Linear fc{nullptr};
};
TORCH_MODULE(Net);

auto small_program() {
  torch::manual_seed(3);
  return es::export_program(Net(), es::inputs(torch::randn({2, 4})));
}
struct temporary_file {
  std::string path;
  explicit temporary_file(const char* name) : path((fs::temp_directory_path() / name).string()) {}
  ~temporary_file() { fs::remove(path); }
};
es::error error_of(auto&& f) {
  try {
    f();
  } catch (const es::error& e) {
    CHECK_FALSE(e.cure().empty());
    return e;
  }
  FAIL("no error");
  std::abort();
}
/// Flips one bit of a record's data in a file.
void damage(const std::string& path, std::string_view record) {
  std::streamoff at = 0;
  {
    es::zip::reader z(es::map_file(path), path);
    for (const auto& e : z.entries())
      if (e.name.ends_with(record))
        at = static_cast<std::streamoff>(e.offset + e.size / 2);
  }
  REQUIRE(at != 0);
  std::fstream f(path, std::ios::in | std::ios::out | std::ios::binary);
  f.seekg(at);
  const char was = static_cast<char>(f.get());
  f.seekp(at);
  f.put(static_cast<char>(was ^ 4));
}

} // namespace

TEST_CASE("records of others, and members of the tables that are unknown here, go from file to file") {
  std::stringstream first, second, third;
  es::save(small_program(), first);
  es::pt2::archive a = es::pt2::read_archive(first);
  a.others.push_back({"extra/sub/note.txt", es::shared_bytes::own("by the user")});
  a.others.push_back({"unknown/record", es::shared_bytes::own("of a later version")});
  a.models[0].weights.extra.add("layout_hint", "[1, 2]");
  a.models[0].weights.entries.entries[0].value.meta.extra.add("origin", "{\"epoch\":7}");
  es::pt2::write_archive(a, second);

  auto p = es::load(second);
  CHECK(p.rest().records.size() == 2);
  auto lowered = es::exported_program<es::training_ir>(p); // a copy keeps them as well
  es::pipeline{es::raise{}}.run(lowered);
  es::save(lowered, third);
  const es::pt2::archive b = es::pt2::read_archive(third);
  REQUIRE(b.extra_file("sub/note.txt"));
  CHECK(b.extra_file("sub/note.txt")->text() == "by the user");
  CHECK(b.others.size() == 2);
  REQUIRE(b.models[0].weights.extra.size() == 1);
  CHECK(b.models[0].weights.extra.begin()->json == "[1, 2]");
  const auto& entry = b.models[0].weights.entries.entries[0].value.meta.extra;
  REQUIRE(entry.size() == 1);
  CHECK(entry.begin()->name == "origin");
  CHECK(entry.begin()->json == "{\"epoch\":7}");
}

TEST_CASE("several programs bring each record once, and not two under one name") {
  auto p = small_program();
  p.rest().records.push_back({"extra/a", es::shared_bytes::own("A")});
  auto q = p;
  std::stringstream file;
  es::archive_of().add("one", p).add("two", q).save(file);
  CHECK(es::pt2::read_archive(file).others.size() == 1);
  q.rest().records[0].bytes = es::shared_bytes::own("B");
  const auto e = error_of([&] { es::archive_of().add("one", p).add("two", q); });
  CHECK(e.kind() == es::error_kind::usage);
  CHECK(e.cause() == "two programs bring other bytes for the record 'extra/a'");
}

TEST_CASE("a damaged weight is found when its file is loaded") {
  const temporary_file file("espalier_damaged.pt2");
  es::save(small_program(), file.path);
  damage(file.path, "data/weights/weight_0");
  for (const auto& e : {error_of([&] { es::load(file.path); }), error_of([&] {
                          Net net;
                          es::load_state_dict(*net, file.path);
                        })}) {
    CHECK(e.kind() == es::error_kind::archive);
    CHECK(e.place().find("data/weights/weight_0") != std::string::npos);
  }
}

TEST_CASE("where checksums are left for later, damage is not given a right one") {
  const temporary_file file("espalier_damaged_later.pt2");
  es::save(small_program(), file.path);
  const std::string sound = corpus::read(file.path);
  std::stringstream copy;
  es::save(es::load(file.path, {.checksums = false}), copy);
  CHECK(copy.str() == sound);

  damage(file.path, "data/weights/weight_0");
  auto p = es::load(file.path, {.checksums = false});
  std::stringstream to;
  const auto e = error_of([&] { es::save(p, to); });
  CHECK(e.kind() == es::error_kind::archive);
  CHECK(e.place().find("data/weights/weight_0") != std::string::npos);

  // what was changed in place has new bytes by right, and so has all that shares them
  const at::NoGradGuard no_grad;
  const auto w = p.state_dict().at("fc.weight");
  p.constants().set("a_view", w.detach().view({-1}), false);
  w.mul_(2);
  std::stringstream changed;
  es::save(p, changed, {.verify = false});
  CHECK(torch::equal(es::load(changed, {.verify = false}).state_dict().at("fc.weight"), w));
}
