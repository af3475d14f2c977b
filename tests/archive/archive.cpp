// SPDX-License-Identifier: BSL-1.0
// Whole archives: what goes in comes out, damage is refused under the name of its record, saving is atomic.
#include "corpus.hpp"
#include "small_archive.hpp"

#include <espalier/archive/inspect.hpp>
#include <espalier/archive/pt2_archive.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace es = espalier;
namespace pt2 = espalier::pt2;
namespace fs = std::filesystem;

namespace {
struct folder {
  fs::path path;
  folder() {
    std::string name = (fs::temp_directory_path() / "espalier-test-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~folder() { fs::remove_all(path); }
  std::string file(const char* name) const { return (path / name).string(); }
  std::size_t count() const {
    return std::size_t(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
  }
};
void put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}
std::string refusal(const std::string& file) {
  try {
    small::read(file);
  } catch (const es::error& e) {
    CHECK(!e.cure().empty());
    return e.what();
  }
  return "no error";
}
bool has(const std::string& s, std::string_view part) { return s.find(part) != s.npos; }
using small::altered;
using small::pack;
} // namespace

TEST_CASE("an archive comes back as it was") {
  auto a = small::archive();
  auto file = small::bytes(a);
  auto b = small::read(file);
  REQUIRE(b.models.size() == 1);
  auto& m = b.models[0];
  CHECK(pt2::to_json(m.program) == pt2::to_json(a.models[0].program));
  CHECK(m.sample_inputs.text() == "not looked into");
  REQUIRE(b.extra_file("notes.txt"));
  CHECK(b.extra_file("notes.txt")->text() == "kept");
  CHECK(b.others.size() == 2);
  CHECK(m.weights.size() == 3);
  CHECK(m.constants.find("table")->bytes.size() == 8);
  CHECK(small::bytes(b) == file);
  CHECK(small::bytes(small::archive()) == file);
}

TEST_CASE("the bytes do not depend on the run") {
  // what another run, of another build, gave; a change of the format changes it
  CHECK(es::detail::crc32(es::shared_bytes::borrow(small::bytes(small::archive())).span()) == 0x830ecd22u);
}

TEST_CASE("weights are mapped, tied weights stay tied, equal ones stay apart") {
  folder d;
  pt2::write_archive(small::archive(), d.file("a.pt2"));
  auto b = pt2::read_archive(d.file("a.pt2"));
  auto& w = b.models[0].weights;
  CHECK(w.find("a.weight")->bytes.data() == w.find("tied.weight")->bytes.data());
  CHECK(w.find("a.weight")->bytes.data() != w.find("b.weight")->bytes.data());
  CHECK(w.find("a.weight")->bytes.owner() == w.find("b.weight")->bytes.owner());
  CHECK(reinterpret_cast<std::uintptr_t>(w.find("b.weight")->bytes.data()) % 64 == 0);
  auto kept = w.find("b.weight")->bytes;
  b = {};
  CHECK(kept.text() == std::string(24, '\x3f')); // the mapping lives on
}

TEST_CASE("several models share the folders without sharing records") {
  auto a = small::archive();
  a.models.push_back(small::model("second"));
  auto b = small::read(small::bytes(a));
  REQUIRE(b.models.size() == 2);
  CHECK(b.find("second"));
  CHECK(b.models[0].weights.find("a.weight")->meta.path_name == "weight_0");
  CHECK(b.models[1].weights.find("a.weight")->meta.path_name == "weight_2");
}

TEST_CASE("streams and files give the same") {
  folder d;
  std::ostringstream out;
  pt2::write_archive(small::archive(), out);
  pt2::write_archive(small::archive(), d.file("a.pt2"));
  CHECK(corpus::read(d.file("a.pt2")) == out.str());
  std::istringstream in(out.str());
  CHECK(small::bytes(pt2::read_archive(in)) == out.str());
}

TEST_CASE("the serialization id follows the contents") {
  auto file = altered(".data/serialization_id", "0123456789012345678901234567890123456789");
  auto a = small::read(file);
  CHECK(small::bytes(a) == file); // nothing changed: the id of the file is kept
  a.others.clear();
  CHECK(small::read(small::bytes(a)).serialization_id != a.serialization_id);
}

TEST_CASE("unknown members of the payload configs survive") {
  auto a = small::archive();
  a.models[0].weights.extra.add("future", "[1]");
  a.models[0].weights.entries.find("a.weight")->meta.extra.add("hint", "\"x\"");
  auto file = small::bytes(a);
  CHECK(has(file, "\"hint\": \"x\""));
  CHECK(small::bytes(small::read(file)) == file);
}

TEST_CASE("damage is refused under the record's name") {
  CHECK(has(refusal(altered("models/model.json", "{")), "models/model.json"));
  CHECK(has(refusal(altered("models/model.json", R"({"schema_version": {"major": 9, "minor": 0}})")),
            "newer espalier"));
  CHECK(has(refusal(altered("models/model.json", R"({"schema_version": {"major": 7, "minor": 0}})")),
            "export it again"));
  CHECK(has(refusal(altered("data/weights/model_weights_config.json", nullptr)), "is missing"));
  CHECK(has(refusal(altered("data/weights/weight_0", nullptr)), "data/weights/weight_0"));
  CHECK(has(refusal(altered("data/weights/weight_0", "12345678")), "needs 24 bytes, but its storage has 8"));
  CHECK(has(refusal(altered("data/weights/weight_0", "1234567")), "do not divide"));
  CHECK(has(refusal(altered("data/constants/tensor_0", "1234")), "'table'"));
  CHECK(has(refusal(altered("archive_version", "7")), "layout version '7'"));
  CHECK(has(refusal(altered("byteorder", "big")), "byte order"));
}

TEST_CASE("payloads that reach out of their storage are refused") {
  auto config = [](std::string sizes, std::string strides, std::string offset = "0",
                   std::string dtype = "7") {
    return R"({"config": {"w": {"path_name": "weight_0", "is_param": true, "use_pickle": false, "tensor_meta": {"dtype": )" +
           dtype + R"(, "sizes": [{"as_int": )" + sizes +
           R"(}], "requires_grad": false, "device": {"type": "cpu"}, "strides": [{"as_int": )" + strides +
           R"(}], "storage_offset": {"as_int": )" + offset + R"(}, "layout": 7}}}})";
  };
  auto with = [&](const std::string& c) {
    return refusal(altered("data/weights/model_weights_config.json", c.c_str()));
  };
  CHECK(with(config("6", "1")) == "no error");
  CHECK(has(with(config("7", "1")), "needs 28 bytes"));
  CHECK(has(with(config("6", "1", "1")), "needs 28 bytes"));
  CHECK(has(with(config("2", "9223372036854775807")), "beyond any storage"));
  CHECK(has(with(config("9223372036854775807", "9223372036854775807")), "beyond any storage"));
  CHECK(has(with(config("-1", "1")), "-1"));
  CHECK(has(with(config("6", "1", "0", "77")), "element type number 77"));
  auto climbing = config("6", "1");
  climbing.replace(climbing.find("weight_0"), 8, "../../constants/tensor_0");
  CHECK(has(with(climbing), "is missing"));
}

TEST_CASE("foreign files are named, with what loads them") {
  CHECK(has(refusal(""), "empty"));
  CHECK(has(refusal("just text"), "unknown kind"));
  CHECK(has(refusal("\x80\x02pickle"), "torch.save"));
  CHECK(has(refusal(pack({{"m/data.pkl", "x"}, {"m/data/0", "x"}})), "torch::pickle_load"));
  CHECK(has(refusal(pack({{"m/data.pkl", "x"}, {"m/code/a.py", "x"}, {"m/constants.pkl", "x"}})),
            "torch::jit::load"));
  CHECK(has(refusal(pack({{"m/archive_format", "pt2"}, {"m/data/aotinductor/model/a.so", "x"}})),
            "AOTIModelPackageLoader"));
  CHECK(has(refusal(pack({{"serialized_exported_program.json", "{}"}, {"version", "5.3"}})),
            "before PyTorch 2.8"));
  CHECK(has(refusal(pack({{"a.txt", "x"}})), "'a.txt'"));
  CHECK(has(refusal(pack({})), "without records"));
}

TEST_CASE("inspect tells what a file is") {
  folder d;
  pt2::write_archive(small::archive(), d.file("a.pt2"));
  auto info = pt2::inspect(d.file("a.pt2"));
  CHECK(info.kind == pt2::archive_kind::exported_program);
  REQUIRE(info.models.size() == 1);
  CHECK(info.models[0].name == "model");
  CHECK(info.models[0].nodes == 1);
  CHECK(info.models[0].torch_version == "2.15.0");
  CHECK(info.models[0].schema_major == 8);
  CHECK(info.models[0].verifiers == std::vector<std::string>{"TRAINING"});
  CHECK(info.weight_bytes == 48);
  CHECK(info.constant_bytes == 8);
  CHECK(info.extra_files == std::vector<std::string>{"notes.txt"});
  CHECK(has(pt2::to_string(info), "1 nodes"));
  put(d.file("t"), "text");
  CHECK(pt2::inspect(d.file("t")).kind == pt2::archive_kind::unknown);
  CHECK_THROWS_WITH(pt2::inspect(d.file("none")), doctest::Contains("cannot be opened"));
}

TEST_CASE("a save replaces the file whole, or not at all") {
  folder d;
  put(d.file("a.pt2"), "old");
  {
    es::atomic_file f(d.file("a.pt2"));
    f.write("half of it");
  } // no commit: an exception passed
  CHECK(corpus::read(d.file("a.pt2")) == "old");
  CHECK(d.count() == 1);
  pt2::write_archive(small::archive(), d.file("a.pt2"));
  auto mapped = pt2::read_archive(d.file("a.pt2"));
  pt2::write_archive(mapped, d.file("a.pt2")); // over the file that it is mapped from
  CHECK(small::bytes(pt2::read_archive(d.file("a.pt2"))) == small::bytes(small::archive()));
  CHECK(mapped.models[0].weights.find("b.weight")->bytes.text() == std::string(24, '\x3f'));
  CHECK(d.count() == 1);
  CHECK_THROWS_AS(pt2::write_archive(small::archive(), d.file("no/such/folder.pt2")), es::error);
}

TEST_CASE("a disk without space leaves the old file and nothing else") {
  folder d;
  put(d.file("a.pt2"), "old");
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit tight{1000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &tight);
  std::string message;
  try {
    pt2::write_archive(small::archive(), d.file("a.pt2"));
  } catch (const es::error& e) {
    message = e.what();
    CHECK(e.kind() == es::error_kind::io);
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(has(message, "writing failed"));
  CHECK(corpus::read(d.file("a.pt2")) == "old");
  CHECK(d.count() == 1);
}

TEST_CASE("a device that is always full is reported" * doctest::skip(!fs::exists("/dev/full"))) {
  try {
    pt2::write_archive(small::archive(), std::string("/dev/full"));
    FAIL("no error");
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::io);
    CHECK(e.place() == "/dev/full");
    CHECK(has(e.cause(), "No space left"));
    CHECK(has(e.cure(), "space"));
  }
  std::ofstream full("/dev/full", std::ios::binary);
  CHECK_THROWS_WITH(pt2::write_archive(small::archive(), full), doctest::Contains("stream"));
}

TEST_CASE("a file that is open already is written behind what it holds" *
          doctest::skip(!fs::exists("/dev/fd"))) {
  folder d;
  put(d.file("log"), "before ");
  const int log = ::open(d.file("log").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  REQUIRE(log >= 0);
  for (const std::string where : {"/dev/fd/", "/proc/self/fd/"}) {
    es::atomic_file f(where + std::to_string(log));
    f.write("after ");
    f.commit();
  }
  ::close(log);
  CHECK(corpus::read(d.file("log")) == "before after after ");
  CHECK(d.count() == 1);
  CHECK_THROWS_WITH(es::atomic_file("/dev/fd/" + std::to_string(log)),
                    doctest::Contains("cannot be opened for writing"));
}

TEST_CASE("a kill at any moment leaves one whole file or the other") {
  folder d;
  const auto path = d.file("a.pt2");
  auto one = small::archive(), two = small::archive();
  two.models[0].weights.entries.find("b.weight")->bytes = es::shared_bytes::own(std::string(1 << 20, 'b'));
  pt2::write_archive(one, path);
  const auto first = small::bytes(one), second = small::bytes(two);
  std::size_t seen[2] = {};
  for (int round = 0; round != 20; ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      for (;;) { // until killed
        pt2::write_archive(two, path);
        pt2::write_archive(one, path);
      }
    }
    ::usleep(static_cast<useconds_t>(1000 + 777 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    const auto file = corpus::read(path);
    const bool whole = file == first || file == second;
    CHECK(whole);
    ++seen[file == second];
  }
  CHECK(seen[0] + seen[1] == 20);
}

TEST_CASE("a symbolic link stays one") {
  folder d;
  put(d.file("real.pt2"), "old");
  fs::create_symlink("real.pt2", d.file("link.pt2"));
  pt2::write_archive(small::archive(), d.file("link.pt2"));
  CHECK(fs::is_symlink(d.file("link.pt2")));
  CHECK(corpus::read(d.file("real.pt2")) == small::bytes(small::archive()));
}

TEST_CASE("payloads that contradict each other are not written") {
  auto a = small::archive();
  a.models[0].weights.entries.find("a.weight")->meta.path_name = "weight_0";
  auto* b = a.models[0].weights.entries.find("b.weight");
  b->meta.path_name = "weight_0";
  b->bytes = es::shared_bytes::own(std::string(24, 'b'));
  CHECK_THROWS_WITH(small::bytes(a), doctest::Contains("has other bytes"));
}

TEST_CASE("every archive of the corpus (ESPALIER_CORPUS; none, if unset) is written back record for record") {
  for (auto& path : corpus::archives()) {
    CAPTURE(path.string());
    auto a = pt2::read_archive(path.string());
    auto copy = small::bytes(a);
    es::zip::reader before(es::map_file(path.string()), path.string());
    es::zip::reader after(es::shared_bytes::borrow(copy), "copy");
    CHECK(before.entries().size() == after.entries().size());
    for (auto& e : before.entries()) {
      CAPTURE(std::string(e.name));
      auto* c = after.find(e.name);
      REQUIRE(c);
      CHECK(before.data(e).text() == after.data(*c).text());
    }
    if (const char* out = std::getenv("ESPALIER_ARCHIVE_COPIES")) {
      fs::create_directories(fs::path(out) / path.parent_path().filename());
      put((fs::path(out) / path.parent_path().filename() / path.filename()).string(), copy);
    }
  }
}
