// SPDX-License-Identifier: BSL-1.0
// Our structs of the schema against those that LibTorch generates from Python's
// (torch/csrc/utils/generated_serialization_types.h): the same members, tags, enumerators and defaults, and
// the same JSON for samples of every struct and for every archive of the corpus. LibTorch's need
// nlohmann/json.
#if __has_include(<nlohmann/json.hpp>)
#include "archive/corpus.hpp"

#include <espalier/archive/schema.hpp>
#include <espalier/archive/schema_json.hpp>
#include <espalier/archive/zip.hpp>

#include <cmath>
#include <limits>
#include <memory>

#include <nlohmann/json.hpp>
#include <torch/csrc/utils/generated_serialization_types.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace es = espalier;
namespace pt2 = espalier::pt2;
namespace te = torch::_export;
using nlohmann::json;

namespace {

// -- samples: every member set, unions at their alternative number `k` (modulo their number)

constexpr int depth = 4;
template <class T>
void fill(T& x, std::size_t k, int left);

template <class T, std::size_t... I>
void fill_union(T& x, std::size_t k, int left, std::index_sequence<I...>) {
  (void)((k % sizeof...(I) == I && (fill(x.template emplace<typename T::tag(I + 1)>({}), k, left), true)) ||
         ...);
}
template <class T>
void fill(T& x, std::size_t k, int left) {
  namespace d = pt2::detail;
  if constexpr (std::is_same_v<T, bool>)
    x = true;
  else if constexpr (std::is_same_v<T, double>)
    x = 0.5;
  else if constexpr (std::is_same_v<T, std::int64_t>)
    x = 3;
  else if constexpr (std::is_enum_v<T>)
    x = T(2);
  else if constexpr (std::is_same_v<T, std::string>)
    x = "s";
  else if constexpr (std::is_same_v<T, std::vector<bool>>)
    x = {true, false};
  else if constexpr (d::is_optional<T>) {
    if (left > 0)
      fill(x.emplace(), k, left - 1);
  } else if constexpr (d::is_vector<T>) {
    if (left > 0)
      fill(x.emplace_back(), k, left - 1);
  } else if constexpr (d::is_dict<T>) {
    if (left > 0)
      fill(x["key"], k, left - 1);
  } else if constexpr (d::is_box<T>) {
    if (left > 0)
      fill(*x, k, left - 1);
  } else if constexpr (pt2::reflected_union<T>)
    fill_union(x, k, left, std::make_index_sequence<std::size(T::tag_names) - 1>());
  else
    T::for_each_field(x, [&](std::string_view, auto& field) { fill(field, k, left); });
}
template <class T>
T sample(std::size_t k) {
  T x;
  fill(x, k, depth);
  return x;
}

template <class Theirs>
json through(const json& j) {
  return json(j.get<Theirs>());
}
std::string upper(std::string_view s) {
  std::string out;
  for (char c : s)
    out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}
template <class Enum>
bool known(Enum e) {
  try {
    return !te::printEnum(e).empty();
  } catch (const std::exception&) {
    return false;
  }
}

// LibTorch reads "-Infinity", but writes it as "Infinity" (its to_json asks std::isinf first).
std::string without_sign_of_infinity(std::string s) {
  for (std::size_t at = 0; (at = s.find("\"-Infinity\"", at)) != s.npos;)
    s.erase(at + 1, 1);
  return s;
}

std::set<std::string> compared;

template <class Ours, class Theirs>
void same_json() {
  compared.emplace(Ours::type_name);
  for (std::size_t k = 0; k != std::size(pt2::argument::tag_names); ++k) {
    CAPTURE(k);
    const std::string text = pt2::to_json(sample<Ours>(k));
    const json ours = json::parse(text);
    CHECK(through<Theirs>(ours) == ours);
    CHECK(pt2::to_json(pt2::from_json<Ours>(text)) == text);
  }
}

template <class Ours, class Theirs>
void same_struct() {
  const std::string_view type = Ours::type_name;
  CAPTURE(type);
  same_json<Ours, Theirs>();
  // a member that may be missing has the same default
  const json full =
      json::parse(pt2::to_json(sample<Ours>(0))); // theirs write every member, so none is missing
  CHECK(full.size() == std::size(Ours::member_names));
  for (std::size_t i = 0; i != std::size(Ours::member_names); ++i) {
    const std::string name(Ours::member_names[i]);
    CAPTURE(name);
    json less = full;
    less.erase(name);
    if (i < Ours::required_fields)
      CHECK_THROWS_AS(pt2::from_json<Ours>(less.dump()), es::error);
    else
      CHECK(json::parse(pt2::to_json(pt2::from_json<Ours>(less.dump()))) == through<Theirs>(less));
  }
}

template <class Ours, class Theirs>
void same_union() {
  const std::string_view type = Ours::type_name;
  CAPTURE(type);
  same_json<Ours, Theirs>();
  constexpr std::size_t count = std::size(Ours::tag_names) - 1; // 0 is what the schema does not know
  for (std::size_t i = 0; i != count; ++i) {
    CHECK(te::printEnum(static_cast<typename Theirs::Tag>(i)) == upper(Ours::tag_names[i + 1]));
    const auto x = json::parse(pt2::to_json(sample<Ours>(i))).template get<Theirs>();
    CHECK(static_cast<std::size_t>(x.tag()) == i);
  }
  CHECK_FALSE(known(static_cast<typename Theirs::Tag>(count)));
}

/// Each of their enumerators is among ours, under the same number; and there are no others.
template <class Ours, class Theirs>
void same_enum(std::initializer_list<std::pair<Ours, Theirs>> pairs) {
  std::set<std::int64_t> numbers;
  for (const auto& [a, b] : pairs) {
    CHECK(std::int64_t(a) == std::int64_t(b));
    numbers.insert(std::int64_t(a));
  }
  for (int i = 0; i != 256; ++i)
    CHECK(known(static_cast<Theirs>(i)) == numbers.contains(i));
}

} // namespace

TEST_CASE("enumerators are LibTorch's") {
  using st = pt2::scalar_type;
  using ST = te::ScalarType;
  same_enum<st, ST>({{st::unknown, ST::UNKNOWN},
                     {st::byte, ST::BYTE},
                     {st::char_, ST::CHAR},
                     {st::short_, ST::SHORT},
                     {st::int_, ST::INT},
                     {st::long_, ST::LONG},
                     {st::half, ST::HALF},
                     {st::float_, ST::FLOAT},
                     {st::double_, ST::DOUBLE},
                     {st::complex_half, ST::COMPLEXHALF},
                     {st::complex_float, ST::COMPLEXFLOAT},
                     {st::complex_double, ST::COMPLEXDOUBLE},
                     {st::bool_, ST::BOOL},
                     {st::bfloat16, ST::BFLOAT16},
                     {st::uint16, ST::UINT16},
                     {st::float8_e4m3fn, ST::FLOAT8E4M3FN},
                     {st::float8_e5m2, ST::FLOAT8E5M2},
                     {st::float8_e4m3fnuz, ST::FLOAT8E4M3FNUZ},
                     {st::float8_e5m2fnuz, ST::FLOAT8E5M2FNUZ},
                     {st::float8_e8m0fnu, ST::FLOAT8E8M0FNU},
                     {st::uint32, ST::UINT32},
                     {st::uint64, ST::UINT64}});
  using l = pt2::layout;
  using L = te::Layout;
  same_enum<l, L>({{l::unknown, L::Unknown},
                   {l::sparse_coo, L::SparseCoo},
                   {l::sparse_csr, L::SparseCsr},
                   {l::sparse_csc, L::SparseCsc},
                   {l::sparse_bsr, L::SparseBsr},
                   {l::sparse_bsc, L::SparseBsc},
                   {l::mkldnn, L::_mkldnn},
                   {l::strided, L::Strided}});
  using m = pt2::memory_format;
  using M = te::MemoryFormat;
  same_enum<m, M>({{m::unknown, M::Unknown},
                   {m::contiguous, M::ContiguousFormat},
                   {m::channels_last, M::ChannelsLast},
                   {m::channels_last_3d, M::ChannelsLast3d},
                   {m::preserve, M::PreserveFormat}});
  using k = pt2::argument_kind;
  using K = te::ArgumentKind;
  same_enum<k, K>({{k::unknown, K::UNKNOWN}, {k::positional, K::POSITIONAL}, {k::keyword, K::KEYWORD}});
}

TEST_CASE("structs and unions are LibTorch's: members, tags, defaults, JSON") {
  same_struct<pt2::device, te::Device>();
  same_union<pt2::sym_expr_hint, te::SymExprHint>();
  same_struct<pt2::sym_expr, te::SymExpr>();
  same_union<pt2::sym_int, te::SymInt>();
  same_union<pt2::sym_float, te::SymFloat>();
  same_union<pt2::sym_bool, te::SymBool>();
  same_struct<pt2::tensor_meta, te::TensorMeta>();
  same_union<pt2::sym_int_argument, te::SymIntArgument>();
  same_union<pt2::sym_float_argument, te::SymFloatArgument>();
  same_union<pt2::sym_bool_argument, te::SymBoolArgument>();
  same_struct<pt2::tensor_argument, te::TensorArgument>();
  same_struct<pt2::token_argument, te::TokenArgument>();
  same_union<pt2::optional_tensor_argument, te::OptionalTensorArgument>();
  same_struct<pt2::graph_argument, te::GraphArgument>();
  same_struct<pt2::custom_obj_argument, te::CustomObjArgument>();
  same_struct<pt2::complex_value, te::ComplexValue>();
  same_union<pt2::argument, te::Argument>();
  same_struct<pt2::named_argument, te::NamedArgument>();
  same_struct<pt2::node, te::Node>();
  same_struct<pt2::graph, te::Graph>();
  same_struct<pt2::user_input_spec, te::UserInputSpec>();
  same_union<pt2::constant_value, te::ConstantValue>();
  same_struct<pt2::input_to_constant_input_spec, te::InputToConstantInputSpec>();
  same_struct<pt2::input_to_parameter_spec, te::InputToParameterSpec>();
  same_struct<pt2::input_to_buffer_spec, te::InputToBufferSpec>();
  same_struct<pt2::input_to_tensor_constant_spec, te::InputToTensorConstantSpec>();
  same_struct<pt2::input_to_custom_obj_spec, te::InputToCustomObjSpec>();
  same_struct<pt2::input_token_spec, te::InputTokenSpec>();
  same_union<pt2::input_spec, te::InputSpec>();
  same_struct<pt2::user_output_spec, te::UserOutputSpec>();
  same_struct<pt2::loss_output_spec, te::LossOutputSpec>();
  same_struct<pt2::buffer_mutation_spec, te::BufferMutationSpec>();
  same_struct<pt2::parameter_mutation_spec, te::ParameterMutationSpec>();
  same_struct<pt2::gradient_to_parameter_spec, te::GradientToParameterSpec>();
  same_struct<pt2::gradient_to_user_input_spec, te::GradientToUserInputSpec>();
  same_struct<pt2::user_input_mutation_spec, te::UserInputMutationSpec>();
  same_struct<pt2::output_token_spec, te::OutputTokenSpec>();
  same_union<pt2::output_spec, te::OutputSpec>();
  same_struct<pt2::graph_signature, te::GraphSignature>();
  same_struct<pt2::range_constraint, te::RangeConstraint>();
  same_struct<pt2::module_call_signature, te::ModuleCallSignature>();
  same_struct<pt2::module_call_entry, te::ModuleCallEntry>();
  same_struct<pt2::named_tuple_def, te::NamedTupleDef>();
  same_struct<pt2::graph_module, te::GraphModule>();
  same_struct<pt2::schema_version, te::SchemaVersion>();
  same_struct<pt2::exported_program, te::ExportedProgram>();
  same_struct<pt2::payload_meta, te::PayloadMeta>();
  same_struct<pt2::payload_config, te::PayloadConfig>();
  CHECK(compared.size() == 48);
}

TEST_CASE("numbers that JSON has no text for are spelt as LibTorch spells them") {
  using a = pt2::argument;
  for (double x : {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    const json ours = json::parse(pt2::to_json(a::make<a::tag::as_float>(x)));
    CHECK(through<te::Argument>(ours) == ours);
  }
}

TEST_CASE("every archive of the corpus (ESPALIER_CORPUS; none, if unset) means the same to both") {
  for (const auto& path : corpus::archives()) {
    CAPTURE(path.string());
    es::zip::reader z(es::map_file(path.string()), path.string());
    for (const auto& e : z.entries()) {
      if (!e.name.ends_with(".json"))
        continue;
      CAPTURE(std::string(e.name));
      const auto text = z.data(e).text();
      const json file = json::parse(text);
      const bool program = e.name.find("/models/") != e.name.npos;
      const std::string ours = program ? pt2::to_json(pt2::from_json<pt2::exported_program>(text))
                                       : pt2::to_json(pt2::from_json<pt2::payload_config>(text));
      const json theirs = program ? through<te::ExportedProgram>(file) : through<te::PayloadConfig>(file);
      CHECK(json::parse(ours) == file);
      CHECK(json::parse(without_sign_of_infinity(ours)) == theirs);
    }
  }
}

#else
#include <doctest/doctest.h>
TEST_CASE("our schema is LibTorch's: skipped, since nlohmann/json.hpp is missing (./dev setup installs it)" *
          doctest::skip()) {}
#endif
