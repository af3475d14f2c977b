// SPDX-License-Identifier: BSL-1.0
// The hazards of the container, one by one: each is an altered copy of a sound archive.
#include <espalier/archive/zip.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace es = espalier;
namespace zip = espalier::zip;

namespace {
std::string pack(std::vector<std::pair<std::string, std::string>> records) {
  es::vector<std::byte> v;
  es::memory_output out(v);
  zip::writer z(out);
  for (auto& [name, data] : records)
    z.add(name, data);
  z.finish();
  return {reinterpret_cast<const char*>(v.data()), v.size()};
}
const std::string sound = pack({{"m/aa", "first"}, {"m/bb", std::string(100, 'x')}});

zip::reader open(std::string file) { return {es::shared_bytes::own(std::move(file)), "memory"}; }
std::string refusal(const std::string& file) {
  try {
    auto z = open(file);
    for (auto& e : z.entries())
      z.verify(e);
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::archive);
    CHECK(!e.cure().empty());
    CHECK(e.place().find("memory") == 0);
    return e.what();
  }
  return "no error";
}
bool has(const std::string& s, std::string_view part) { return s.find(part) != s.npos; }
std::string replaced(std::string s, std::string_view from, std::string_view to) {
  for (std::size_t p = 0; (p = s.find(from, p)) != s.npos; p += to.size())
    s.replace(p, from.size(), to);
  return s;
}
std::string with(std::string s, std::size_t at, std::uint64_t x, int bytes) {
  for (int i = 0; i != bytes; ++i)
    s[at + std::size_t(i)] = char(x >> 8 * i);
  return s;
}
std::size_t directory(const std::string& s, int entry = 0) {
  std::size_t p = s.find("PK\1\2");
  while (entry-- > 0)
    p = s.find("PK\1\2", p + 4);
  return p;
}
} // namespace

TEST_CASE("records come back, aligned, with their checksums") {
  auto z = open(sound);
  REQUIRE(z.entries().size() == 2);
  auto* e = z.find("m/aa");
  REQUIRE(e);
  CHECK(z.data(*e).text() == "first");
  for (auto& x : z.entries())
    CHECK(x.offset % zip::writer::alignment == 0);
  CHECK(z.find("m/cc") == nullptr);
  CHECK(refusal(sound) == "no error");
  CHECK(open(pack({})).entries().empty());
  auto nine = es::shared_bytes::borrow("123456789");
  CHECK(es::detail::crc32(nine.span()) == 0xcbf43926u);
}

TEST_CASE("the same records give the same bytes") {
  CHECK(pack({{"m/aa", "first"}, {"m/bb", std::string(100, 'x')}}) == sound);
}

TEST_CASE("more than 65,535 records need ZIP64, and have it") {
  std::vector<std::pair<std::string, std::string>> many;
  for (int i = 0; i != 70000; ++i)
    many.push_back({"m/" + std::to_string(i), "x"});
  auto file = pack(many);
  auto z = open(file);
  CHECK(z.entries().size() == 70000);
  CHECK(z.find("m/69999") != nullptr);
}

TEST_CASE("a truncated file is refused at every length") {
  for (std::size_t n = 0; n != sound.size(); ++n)
    CHECK(refusal(sound.substr(0, n)) != "no error");
  CHECK(has(refusal(sound.substr(0, sound.size() - 30)), "truncated"));
  CHECK(has(refusal("hello, this is a text and no archive"), "no zip archive"));
}

TEST_CASE("a changed byte of data is noticed, and the record is named") {
  auto bad = sound;
  bad[bad.find("xxxx")] = 'y';
  CHECK(has(refusal(bad), "checksum"));
  CHECK(has(refusal(bad), "m/bb"));
}

TEST_CASE("names that climb out are refused") {
  for (auto [name, why] : {std::pair{"../b", "climbs out"},
                           {"a/..", "climbs out"},
                           {"/abc", "absolute"},
                           {"C:/a", "absolute"},
                           {"m\\bb", "backslash"},
                           {"m/\nb", "control character"}}) {
    auto e = refusal(replaced(sound, "m/bb", name));
    CHECK_MESSAGE(has(e, why), e);
    CHECK(has(e, "record '"));
  }
}

TEST_CASE("two records of one name are refused") {
  CHECK(has(refusal(replaced(sound, "m/bb", "m/aa")), "two records have this name"));
  es::vector<std::byte> v;
  es::memory_output out(v);
  zip::writer z(out);
  z.add("a", "1");
  CHECK_THROWS_AS(z.add("a", "2"), es::error);
}

TEST_CASE("sizes that lie are refused") {
  auto d = directory(sound, 1);
  CHECK(has(refusal(with(with(sound, d + 24, 1 << 20, 4), d + 20, 1 << 20, 4)), "are there"));
  CHECK(has(refusal(with(sound, d + 24, 50, 4)), "sizes differ"));
  CHECK(has(refusal(with(with(sound, d + 24, 50, 4), d + 20, 50, 4)), "its header gives it 100 bytes"));
  CHECK(has(refusal(with(sound, d + 42, 7, 4)), "header is not where"));
  auto end = sound.size() - 22;
  CHECK(has(refusal(with(sound, end + 10, 60000, 2)), "60000 records"));
  CHECK(has(refusal(with(sound, end + 12, 0x7fffffff, 4)), "outside the file"));
  CHECK(has(refusal(with(sound, end + 16, 0xfffffff0, 4)), "outside the file"));
}

TEST_CASE("records that overlap are refused") {
  // two lines of the directory for one piece of the file, under two names
  auto file = pack({{"m/aa", "first"}, {"m/bb", "first"}});
  auto d = directory(file, 1);
  auto first = file.find("PK\3\4"), second = file.find("PK\3\4", first + 4);
  // the second record's header goes into the first one's data range
  auto bad = with(file, directory(file) + 20, 40, 4);
  bad = with(bad, directory(file) + 24, 40, 4);
  bad = with(bad, first + 18, 40, 4);
  bad = with(bad, first + 22, 40, 4);
  CHECK(second > 0);
  CHECK(d > 0);
  CHECK(has(refusal(bad), "overlaps"));
}

TEST_CASE("a compressed record is seen but never unpacked") {
  auto d = directory(sound, 1), header = sound.find("PK\3\4", 4);
  auto packed = with(with(sound, d + 10, 8, 2), header + 8, 8, 2);
  packed = with(packed, d + 24, 0xf0000000, 4); // it claims four gigabytes
  auto z = open(with(packed, header + 22, 0xf0000000, 4));
  CHECK(z.entries().size() == 2);
  CHECK_THROWS_WITH(z.data(*z.find("m/bb")), doctest::Contains("zip -0"));
}

TEST_CASE("an encrypted record is refused") {
  CHECK(has(refusal(with(sound, directory(sound) + 8, 1, 2)), "encrypted"));
}
