// SPDX-License-Identifier: BSL-1.0
// A flipped byte in a weight: found at once with verify::everything, and with verify::structure as soon as
// somebody asks, or writes the weight.
#include "small_archive.hpp"

#include <espalier/archive/inspect.hpp>
#include <espalier/archive/loaded_program.hpp>
#include <espalier/archive/pt2_archive.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace es = espalier;
namespace pt2 = espalier::pt2;

namespace {

/// A sound archive with one bit of one record's data flipped.
std::string flipped(const pt2::archive& sound, std::string_view record) {
  auto file = small::bytes(sound);
  std::size_t at = 0;
  {
    es::zip::reader z(es::shared_bytes::borrow(file), "memory");
    auto* e = z.find("archive/" + std::string(record));
    REQUIRE(e);
    at = e->offset + e->size / 2;
  }
  file[at] = static_cast<char>(file[at] ^ 4);
  return file;
}
std::string flipped(std::string_view record) { return flipped(small::archive(), record); }
/// A program whose one input is its output.
pt2::exported_program program() {
  es::graph_storage g;
  const es::argument x[] = {
      g.result(g.placeholder(es::input_kind::user_input, "x",
                             g.intern_meta(es::value_meta(es::make_meta(es::scalar_type::f32, {2})))))};
  g.output(x);
  es::program_info info;
  info.signature.inputs.resize(1);
  info.signature.inputs[0].arg.name = "x";
  info.signature.outputs.resize(1);
  info.signature.outputs[0].arg.name = "x";
  return es::to_archive(g, info);
}
template <class F>
es::error error_of(F&& f) {
  try {
    f();
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::archive);
    CHECK(!e.cure().empty());
    return e;
  }
  FAIL("no error");
  return {es::error_kind::usage, ""};
}
bool has(std::string_view s, std::string_view part) { return s.find(part) != s.npos; }

} // namespace

TEST_CASE("verify::everything finds a flipped byte of any record and names the record") {
  const auto sound = small::bytes(small::archive());
  CHECK_NOTHROW(small::read(sound, pt2::verify::everything));
  for (std::string_view record : {"data/weights/weight_0", "data/weights/weight_1", "data/constants/tensor_0",
                                  "data/sample_inputs/model.pt", "models/model.json", "extra/notes.txt",
                                  "data/weights/model_weights_config.json"}) {
    CAPTURE(record);
    const auto bad = flipped(record);
    const auto e = error_of([&] { small::read(bad, pt2::verify::everything); });
    CHECK(has(e.place(), record));
    CHECK(has(e.place(), "memory"));
    CHECK(has(e.cause(), "checksum"));
    const auto f = error_of([&] { pt2::verify_records(es::shared_bytes::borrow(bad), "memory"); });
    CHECK(has(f.place(), record));
  }
  CHECK(pt2::verify_records(es::shared_bytes::borrow(sound), "memory") > 48);
}

TEST_CASE("verify::structure leaves weights alone until they are asked for") {
  const auto a = small::read(flipped("data/weights/weight_1"), pt2::verify::structure);
  const auto& weights = a.models[0].weights;
  CHECK_NOTHROW(pt2::verify_bytes(*weights.find("a.weight"), "a.weight"));
  const auto one = error_of([&] { pt2::verify_bytes(*weights.find("b.weight"), "b.weight"); });
  CHECK(has(one.place(), "weight_1"));
  CHECK(has(one.place(), "b.weight"));
  CHECK(has(error_of([&] { pt2::verify_payloads(a); }).place(), "weight_1"));

  CHECK_NOTHROW(pt2::verify_payloads(small::read(small::bytes(small::archive()), pt2::verify::structure)));
  // the program itself is always compared
  const auto bad = flipped("models/model.json");
  CHECK(has(error_of([&] { small::read(bad, pt2::verify::structure); }).place(), "models/model.json"));
}

TEST_CASE("a damaged weight is never written under a right checksum") {
  auto a = small::read(flipped("data/weights/weight_1"), pt2::verify::structure);
  CHECK(has(error_of([&] { small::bytes(a); }).place(), "data/weights/weight_1"));

  // other bytes in its place are written: the checksum does not speak of them
  auto c = small::read(flipped("data/weights/weight_1"), pt2::verify::structure);
  c.models[0].weights.entries.find("b.weight")->bytes = es::shared_bytes::own(std::string(24, 'b'));
  const auto d = small::read(small::bytes(c));
  CHECK(d.models[0].weights.find("b.weight")->bytes.text() == std::string(24, 'b'));
}

TEST_CASE("a program without LibTorch carries the checksums along, from file to file") {
  std::string folder = (std::filesystem::temp_directory_path() / "espalier-test-XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()));
  const auto path = folder + "/bad.pt2", copy = folder + "/copy.pt2";
  auto sound = small::archive();
  sound.models[0].program = program();
  for (bool damaged : {false, true}) {
    std::ofstream(path, std::ios::binary)
        << (damaged ? flipped(sound, "data/constants/tensor_0") : small::bytes(sound));
    auto p = es::load_program(path, {}, pt2::verify::structure);
    if (!damaged) {
      es::save_program(p, copy);
      continue;
    }
    CHECK(has(error_of([&] { es::load_program(path); }).place(), path));
    const auto before = pt2::verify_records(copy);
    CHECK(has(error_of([&] { es::save_program(p, copy); }).place(), "data/constants/tensor_0"));
    CHECK(pt2::verify_records(copy) == before); // what was there before is whole
  }
  std::filesystem::remove_all(folder);
}
