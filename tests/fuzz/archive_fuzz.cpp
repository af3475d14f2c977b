// SPDX-License-Identifier: BSL-1.0
// A mutation fuzzer of the archive reader: `archive_fuzz [SEED [SECONDS]]`. Small archives are made in the
// process and damaged: bytes, numbers, pieces moved and doubled, JSON text changed under a right checksum.
// Whatever comes, the reader gives an archive or an espalier::error; anything else (another exception, a
// sanitizer's report, a hang) is a finding. An archive that was read must also be written and read again.
#include "../archive/small_archive.hpp"

#include <espalier/archive/inspect.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace es = espalier;
namespace pt2 = espalier::pt2;

namespace {
using engine = std::mt19937_64;

std::size_t below(engine& e, std::size_t n) { return n ? std::size_t(e() % n) : 0; }

// Numbers at which readers break.
std::uint64_t nasty(engine& e) {
  static constexpr std::uint64_t values[] = {0,
                                             1,
                                             7,
                                             8,
                                             0x7f,
                                             0x80,
                                             0xff,
                                             0xffff,
                                             0x7fffffff,
                                             0x80000000,
                                             0xfffffffe,
                                             0xffffffff,
                                             0x7fffffffffffffff,
                                             0x8000000000000000,
                                             ~std::uint64_t(0)};
  return e() & 1 ? values[below(e, std::size(values))] : e() >> below(e, 64);
}

void mutate(engine& e, std::string& s) {
  if (s.empty())
    return s.assign("x"), void();
  auto at = below(e, s.size());
  auto length = std::min(s.size() - at, below(e, 1 + below(e, 64)));
  switch (e() % 7) {
  case 0:
    s[at] = char(e());
    break;
  case 1:
    s[at] = char(s[at] ^ (1 << e() % 8));
    break;
  case 2: {
    auto x = nasty(e);
    for (std::size_t i = 0, n = std::size_t(1) << e() % 4; i != n && at + i < s.size(); ++i)
      s[at + i] = char(x >> 8 * i);
    break;
  }
  case 3:
    s.erase(at, length);
    break;
  case 4:
    s.insert(below(e, s.size()), s.substr(at, length));
    break;
  case 5:
    s.resize(at);
    break;
  default: {
    auto to = below(e, s.size() - length + 1);
    auto piece = s.substr(at, length);
    s.replace(to, length, piece);
  }
  }
}

// Damages JSON by its tokens, so that the damage passes the parser and reaches the checks behind it.
void mutate_json(engine& e, std::string& s) {
  static constexpr const char* values[] = {"null",
                                           "true",
                                           "-1",
                                           "0",
                                           "9223372036854775807",
                                           "99999999999999999999",
                                           "1.5",
                                           "1e400",
                                           "NaN",
                                           "\"\"",
                                           "\"../../x\"",
                                           "\"\\ud800\"",
                                           "[]",
                                           "{}",
                                           "{\"as_int\": 3}",
                                           "{\"as_none\": true}",
                                           "[[[[[[[[[[]]]]]]]]]]"};
  if (e() % 3 == 0)
    return mutate(e, s);
  auto from = s.find(": ", below(e, s.size()));
  if (from == s.npos)
    return mutate(e, s);
  from += 2;
  try {
    es::json::reader r(std::string_view(s).substr(from));
    auto old = r.raw();
    s.replace(from, old.size(), values[below(e, std::size(values))]);
  } catch (const es::error&) {
    mutate(e, s);
  }
}

std::string pack(const std::vector<std::pair<std::string, std::string>>& records) {
  std::vector<std::byte> v;
  es::memory_output out(v);
  es::zip::writer z(out);
  for (auto& [name, data] : records)
    z.add(name, data);
  z.finish();
  return {reinterpret_cast<const char*>(v.data()), v.size()};
}

// Damages the contents of an archive whose container is sound.
std::string damaged_records(engine& e, const std::string& file) {
  es::zip::reader z(es::shared_bytes::borrow(file), "seed");
  std::vector<std::pair<std::string, std::string>> records;
  for (auto& r : z.entries())
    records.push_back({std::string(r.name), std::string(z.data(r).text())});
  for (auto n = 1 + below(e, 3); n-- != 0;) {
    auto& [name, data] = records[below(e, records.size())];
    if (name.ends_with(".json"))
      mutate_json(e, data);
    else
      mutate(e, data);
  }
  if (e() % 8 == 0)
    records.erase(records.begin() + std::ptrdiff_t(below(e, records.size())));
  return pack(records);
}

// True if the bytes were read as an archive.
bool attempt(const std::string& file) {
  try {
    pt2::inspect(es::shared_bytes::borrow(file), "fuzz");
  } catch (const es::error&) {
  }
  pt2::archive a;
  try {
    a = pt2::read_archive(es::shared_bytes::borrow(file), "fuzz",
                          file.size() % 2 ? pt2::verify::everything : pt2::verify::structure);
  } catch (const es::error&) {
    return false;
  }
  std::string copy;
  try {
    copy = small::bytes(a);
  } catch (const es::error&) {
    return true; // read, though it cannot be written: two payloads may contradict each other
  }
  if (small::bytes(small::read(copy)) != copy)
    throw std::runtime_error("the copy of the copy differs");
  return true;
}
/// 0 when nothing was found. A failing archive is left as archive_fuzz.found.
int fuzz(std::uint64_t seed, double seconds) {
  auto two = small::archive();
  two.models.push_back(small::model("second"));
  const std::string seeds[] = {small::bytes(small::archive()), small::bytes(two)};
  std::size_t tries = 0, accepted = 0;
  auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::string file;
  try {
    do {
      engine e(seed * 1'000'003 + tries);
      file = seeds[below(e, std::size(seeds))];
      if (e() % 2)
        file = damaged_records(e, file);
      else
        for (auto n = 1 + below(e, 4); n-- != 0;)
          mutate(e, file);
      accepted += attempt(file);
      ++tries;
    } while (std::chrono::steady_clock::now() < end);
  } catch (const std::exception& x) {
    std::printf("FOUND at seed %llu, try %zu: %s\n", static_cast<unsigned long long>(seed), tries, x.what());
    if (auto* f = std::fopen("archive_fuzz.found", "wb")) {
      std::fwrite(file.data(), 1, file.size(), f);
      std::fclose(f);
    }
    return 1;
  }
  std::printf("archive_fuzz: seed %llu, %zu damaged archives, %zu still readable, nothing found\n",
              static_cast<unsigned long long>(seed), tries, accepted);
  return accepted == 0 || accepted == tries; // a fuzzer whose inputs all fail, or all pass, tests nothing
}

} // namespace

#if defined(ESPALIER_FUZZ_MAIN)
int main(int argc, char** argv) {
  return fuzz(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1, argc > 2 ? std::atof(argv[2]) : 30);
}
#else
#include <doctest/doctest.h>
TEST_CASE("damaged archives are read or refused, and nothing else happens") { CHECK(fuzz(1, 5) == 0); }
#endif
