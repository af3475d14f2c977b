// SPDX-License-Identifier: BSL-1.0
// Files that were damaged, made to harm, or made for others: each gives one error that names the record (or,
// where the file as a whole is at fault, the file), what was found there, and what to do.
#include "small_archive.hpp"

#include <espalier/archive/loaded_program.hpp>
#include <espalier/archive/pt2_archive.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>

namespace es = espalier;
namespace pt2 = espalier::pt2;
using small::altered;
using small::pack;

namespace {

constexpr const char* program_record = "models/model.json";

/// `file` is refused: the place names `place`, the cause says `found`, the cure says `cure`.
void check_refused(const std::string& what, const std::string& file, std::string_view place,
                   std::string_view found, std::string_view cure) {
  CAPTURE(what);
  try {
    es::open_programs(small::read(file), "memory");
    FAIL_CHECK("it was read");
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::archive);
    CHECK_MESSAGE(e.place().find("memory") == 0, e.place());
    CHECK_MESSAGE(e.place().find(place) != std::string::npos, e.place());
    CHECK_MESSAGE(e.cause().find(found) != std::string::npos, e.cause());
    CHECK_MESSAGE(e.cure().find(cure) != std::string::npos, e.cure());
    CHECK(std::string_view(e.what()).find('\n') == std::string_view::npos);
  }
}

// -- damage to the container of a sound archive

std::string put(std::string s, std::size_t at, std::uint64_t x, int bytes) {
  for (int i = 0; i != bytes; ++i)
    s[at + std::size_t(i)] = static_cast<char>(x >> 8 * i);
  return s;
}
/// Where a record's own header, and its line in the directory, begin.
std::pair<std::size_t, std::size_t> headers(const std::string& file, std::string_view record) {
  const auto first = file.find(record), last = file.rfind(record);
  return {first - 30 - 8, last - 46 - 8}; // before "archive/" and the fixed fields
}
const std::string weight = "data/weights/weight_0";

std::string replaced(std::string s, std::string_view from, std::string_view to) {
  for (std::size_t p = 0; (p = s.find(from, p)) != s.npos; p += to.size())
    s.replace(p, from.size(), to);
  return s;
}

// -- programs

constexpr std::string_view meta =
    R"({"dtype": 7, "sizes": [SIZE], "requires_grad": false, "device": {"type": "cpu"}, "strides": [{"as_int": 1}], "storage_offset": {"as_int": 0}, "layout": 7})";

/// A program of the input x and the output y, as JSON.
std::string program(const std::string& nodes, const std::string& size = R"({"as_int": 2})",
                    const std::string& output = "y", const std::string& in_spec = "") {
  const auto m = replaced(std::string(meta), "SIZE", size);
  return R"({"graph_module": {"graph": {"inputs": [{"as_tensor": {"name": "x"}}], "outputs": [{"as_tensor": {"name": ")" +
         output + R"("}}], "nodes": [)" + nodes + R"(], "tensor_values": {"x": )" + m + R"(, "y": )" + m +
         R"(}, "sym_int_values": {}, "sym_bool_values": {}}, "signature": {"input_specs": [{"user_input": {"arg": {"as_tensor": {"name": "x"}}}}], "output_specs": [{"user_output": {"arg": {"as_tensor": {"name": "y"}}}}]}, "module_call_graph": [)" +
         in_spec +
         R"(]}, "opset_version": {}, "range_constraints": {}, "schema_version": {"major": 8, "minor": 20}, "verifiers": ["TRAINING"]})";
}
std::string relu(const std::string& of, const std::string& to) {
  return R"({"target": "torch.ops.aten.relu.default", "inputs": [{"name": "self", "arg": {"as_tensor": {"name": ")" +
         of + R"("}}, "kind": 1}], "outputs": [{"as_tensor": {"name": ")" + to +
         R"("}}], "metadata": {}, "name": ")" + to + R"("})";
}
std::string with_program(const std::string& json) { return altered(program_record, json.c_str()); }

} // namespace

TEST_CASE("the programs that the cases below damage are sound") {
  CHECK_NOTHROW(es::open_programs(small::read(with_program(program(relu("x", "y")))), "memory"));
}

TEST_CASE("zip bombs: nothing is unpacked, no byte belongs to two records") {
  auto file = small::bytes(small::archive());
  const auto [local, central] = headers(file, weight);
  file = put(put(file, local + 8, 8, 2), central + 10, 8, 2);
  file = put(put(file, local + 22, 0xf000'0000, 4), central + 24, 0xf000'0000, 4);
  check_refused("a record that unfolds to 4 GB", file, weight, "24 bytes for 4026531840", "zip -0");

  file = small::bytes(
      small::archive()); // as in David Fifield's bomb: one record's data takes in the next one's header
  const auto [l, c] = headers(file, weight);
  file = put(put(put(put(file, l + 18, 512, 4), l + 22, 512, 4), c + 20, 512, 4), c + 24, 512, 4);
  check_refused("records that overlap", file, "weight_1",
                "overlaps the record 'archive/data/weights/weight_0'", "fresh copy");
}

TEST_CASE("names that climb out") {
  const auto sound = small::bytes(small::archive());
  for (auto [to, found] : {std::pair{"archive/../../../../weight_0x", "climbs out"},
                           {"/rchive/data/weights/weight_0", "absolute path"},
                           {"archive\\data\\weights\\weight_0", "backslash"}})
    check_refused(to, replaced(sound, "archive/" + weight, to), to[0] == '/' ? "rchive/" : "archive", found,
                  "do not trust");
  const std::string config =
      R"({"config": {"w": {"path_name": "../../../etc/passwd", "is_param": true, "use_pickle": false, "tensor_meta": null}}})";
  check_refused("a weight's path that climbs out",
                altered("data/weights/model_weights_config.json", config.c_str()), "",
                "'data/weights/../../../etc/passwd' is missing", "incomplete");
}

TEST_CASE("sizes and counts that lie") {
  const auto sound = small::bytes(small::archive());
  const auto [local, central] = headers(sound, weight);
  check_refused("longer than the file", put(put(sound, central + 20, 1 << 30, 4), central + 24, 1 << 30, 4),
                weight, "said to be 1073741824 bytes", "fresh copy");
  check_refused("header and directory differ", put(sound, local + 22, 23, 4), weight,
                "its header gives it 23 bytes, the directory 24", "fresh copy");
  check_refused("a header elsewhere", put(sound, central + 42, 3, 4), weight,
                "header is not where the directory says", "fresh copy");
  check_refused("60,000 records", put(sound, sound.size() - 12, 60000, 2), "", "60000 records", "fresh copy");
  check_refused(
      "a tensor larger than its storage",
      altered(
          "data/weights/model_weights_config.json",
          (R"({"config": {"w": {"path_name": "weight_0", "is_param": true, "use_pickle": false, "tensor_meta": )" +
           replaced(std::string(meta), "SIZE", R"({"as_int": 1000000000000})") + "}}}")
              .c_str()),
      weight, "needs 4000000000000 bytes, but its storage has 24", "fresh copy");
  check_refused(
      "a list of a negative size",
      altered(
          "data/weights/model_weights_config.json",
          (R"({"config": {"w": {"path_name": "weight_0", "is_param": true, "use_pickle": false, "tensor_meta": )" +
           replaced(std::string(meta), "SIZE", R"({"as_int": -4})") + "}}}")
              .c_str()),
      weight, "-4", "fresh copy");
}

TEST_CASE("truncated and corrupt") {
  const auto sound = small::bytes(small::archive());
  check_refused("cut off", sound.substr(0, sound.size() / 2), "", "truncated", "fresh copy");
  auto bad = sound;
  const auto at = bad.find("torch.ops.aten.mul");
  bad[at] = 'T';
  check_refused("a changed byte", bad, program_record, "checksum", "fresh copy");
}

TEST_CASE("nesting without end") {
  check_refused("arrays", with_program(R"({"graph_module": )" + std::string(100'000, '[')), program_record,
                "nest more than 512 levels", "");
  std::string deep = R"({"graph_module": )";
  for (int i = 0; i != 100'000; ++i)
    deep += R"({"x": )";
  check_refused("objects", with_program(deep), program_record, "nest more than 512 levels", "");
  std::string sum;
  for (int i = 0; i != 100'000; ++i)
    sum += "Add(Integer(1), ";
  check_refused("an expression",
                with_program(program(relu("x", "y"), R"({"as_expr": {"expr_str": ")" + sum + "\"}}")),
                program_record, "", "");
  std::string tree = R"([1, )";
  for (int i = 0; i != 10'000; ++i)
    tree += R"({\"type\": \"builtins.tuple\", \"context\": \"null\", \"children_spec\": [)";
  const auto entry = R"({"fqn": "", "signature": {"inputs": [], "outputs": [], "in_spec": ")" + tree +
                     R"(", "out_spec": "", "forward_arg_names": null}})";
  check_refused("a tree spec", with_program(program(relu("x", "y"), R"({"as_int": 2})", "y", entry)),
                program_record, "nest more than 512 levels", "");
}

TEST_CASE("names that dangle or go in circles") {
  check_refused("a value that nobody computes", with_program(program(relu("nowhere", "y"))), program_record,
                "'nowhere', which nothing before it computes", "");
  check_refused("a node that uses itself", with_program(program(relu("y", "y"))), program_record,
                "'y' uses the value 'y'", "");
  check_refused("two nodes that use each other",
                with_program(program(relu("b", "a") + ", " + relu("a", "b"))), program_record,
                "'a' uses the value 'b'", "");
  check_refused("a value computed twice", with_program(program(relu("x", "y") + ", " + relu("x", "y"))),
                program_record, "two values are named 'y'", "");
  check_refused("an output that nobody computes",
                with_program(program(relu("x", "y"), R"({"as_int": 2})", "gone")), program_record, "'gone'",
                "");
  check_refused("a value without a name", with_program(program(relu("x", ""))), program_record, "empty name",
                "");
  check_refused("a node without a target",
                with_program(replaced(program(relu("x", "y")), "torch.ops.aten.relu.default", "")),
                program_record, "empty target", "");
  check_refused("a weight without its record", altered("data/weights/weight_0", nullptr), "",
                "'data/weights/weight_0' is missing", "incomplete");
}

TEST_CASE("files of others, named with what loads them") {
  check_refused("an AOTInductor package",
                pack({{"m/archive_format", "pt2"}, {"m/data/aotinductor/model/a.so", "x"}}), "",
                "an AOTInductor package", "torch::inductor::AOTIModelPackageLoader");
  check_refused(
      "a TorchScript file",
      pack({{"m/data.pkl", "x"}, {"m/code/__torch__.py", "x"}, {"m/constants.pkl", "x"}, {"m/version", "3"}}),
      "", "a TorchScript file", "torch::jit::load");
  check_refused("a file of torch.save", pack({{"m/data.pkl", "x"}, {"m/data/0", "x"}}), "",
                "a file of torch.save", "torch::pickle_load");
  check_refused("the layout before PyTorch 2.8", pack({{"serialized_exported_program.json", "{}"}}), "",
                "before PyTorch 2.8", "save it again");
  check_refused("no archive", "<html>not found</html>", "", "begins with the bytes 3c 68 74 6d", ".pt2 file");
}

TEST_CASE("files of a later time") {
  check_refused("schema 9",
                with_program(R"({"graph_module": 1, "schema_version": {"major": 9, "minor": 1}})"),
                program_record, "version 9.1 of the schema, and version 8 is known", "newer espalier");
  check_refused("schema 7", with_program(R"({"schema_version": {"major": 7, "minor": 0}})"), program_record,
                "version 7.0", "export it again");
  check_refused("archive layout 1", altered("archive_version", "1"), "", "layout version '1'",
                "newer espalier");
}
