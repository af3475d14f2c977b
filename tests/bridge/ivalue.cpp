// SPDX-License-Identifier: BSL-1.0
// IValues and arguments of graphs: every kind of argument in both directions, and what is refused.
#include <espalier/bridge/ivalue.hpp>

#include <ATen/CPUGeneratorImpl.h>
#include <doctest/doctest.h>
#include <torch/torch.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace es = espalier;

namespace {

es::argument convert(const c10::IValue& v, es::arg_kind kind, es::argument_pool& pool) {
  return es::to_argument(v, kind, pool, [](const at::Tensor& t) {
    return es::argument(es::value_id{static_cast<std::uint32_t>(t.numel())}); // told by its size
  });
}
/// There and back again.
c10::IValue round_trip(const c10::IValue& v, es::arg_kind kind = es::arg_kind::other) {
  es::argument_pool pool;
  return es::to_ivalue(convert(v, kind, pool));
}
es::arg_kind kind_of(const char* op, const char* overload, const char* name) {
  const auto handle = c10::Dispatcher::singleton().findSchemaOrThrow(op, overload);
  const auto& schema = handle.schema();
  return es::kind_of(
      *schema.arguments().at(static_cast<std::size_t>(*schema.argumentIndexWithName(name))).real_type());
}

} // namespace

TEST_CASE("kinds of schema arguments, optionals and lists looked through") {
  using k = es::arg_kind;
  CHECK(kind_of("aten::add", "Tensor", "self") == k::tensor);
  CHECK(kind_of("aten::cat", "", "tensors") == k::tensor);
  CHECK(kind_of("aten::index", "Tensor", "indices") == k::tensor);
  CHECK(kind_of("aten::add", "Tensor", "alpha") == k::scalar);
  CHECK(kind_of("aten::transpose", "int", "dim0") == k::integer);
  CHECK(kind_of("aten::view", "", "size") == k::sym_integer);
  CHECK(kind_of("aten::sum", "dim_IntList", "dim") == k::integer);
  CHECK(kind_of("aten::dropout", "", "p") == k::floating);
  CHECK(kind_of("aten::dropout", "", "train") == k::boolean);
  CHECK(kind_of("aten::gelu", "", "approximate") == k::string);
  CHECK(kind_of("aten::to", "dtype", "dtype") == k::scalar_type);
  CHECK(kind_of("aten::ones", "", "layout") == k::layout);
  CHECK(kind_of("aten::ones", "", "device") == k::device);
  CHECK(kind_of("aten::clone", "", "memory_format") == k::memory_format);
  CHECK(kind_of("aten::bernoulli", "", "generator") == k::generator);
  CHECK(kind_of("aten::set_", "source_Storage", "source") == k::storage);
  CHECK(kind_of("aten::record_stream", "", "s") == k::stream);
}

TEST_CASE("numbers, text and absence") {
  CHECK(round_trip(c10::IValue()).isNone());
  CHECK(round_trip(at::Tensor()).isNone()); // an undefined tensor is None to a graph
  for (const std::int64_t i : {std::int64_t{0}, std::int64_t{-1}, INT64_MAX, INT64_MIN})
    CHECK(round_trip(i).toInt() == i);
  for (const double d : {0.0, -0.0, 1e-308, 1e308, std::numeric_limits<double>::infinity()})
    CHECK(std::bit_cast<std::int64_t>(round_trip(d).toDouble()) == std::bit_cast<std::int64_t>(d));
  CHECK(std::isnan(round_trip(std::nan("")).toDouble()));
  for (const bool b : {true, false}) {
    REQUIRE(round_trip(b).isBool());
    CHECK(round_trip(b).toBool() == b);
  }
  for (const char* s : {"", "none", "a\nb \"c\" \xc3\xa9"})
    CHECK(round_trip(std::string(s)).toStringRef() == s);
  const auto c = round_trip(c10::complex<double>(1.5, -2.0)).toComplexDouble();
  CHECK(c.real() == 1.5);
  CHECK(c.imag() == -2.0);
  CHECK(round_trip(c10::SymInt(7)).toInt() == 7);
  CHECK(round_trip(c10::SymFloat(2.5)).toDouble() == 2.5);
}

TEST_CASE("an integer is what the schema says it is") {
  es::argument_pool pool;
  const c10::IValue six(std::int64_t{6});
  CHECK(convert(six, es::arg_kind::integer, pool).form == es::arg_form::integer);
  const auto type = convert(six, es::arg_kind::scalar_type, pool);
  CHECK(type.form == es::arg_form::scalar_type);
  CHECK(type.bits == static_cast<int>(es::scalar_type::f32));
  CHECK(es::to_ivalue(type).toInt() == 6); // c10 carries it as an integer
  const c10::IValue one(std::int64_t{1});
  CHECK(convert(one, es::arg_kind::layout, pool).form == es::arg_form::layout);
  CHECK(convert(one, es::arg_kind::memory_format, pool).form == es::arg_form::memory_format);
  CHECK(es::to_ivalue(convert(one, es::arg_kind::layout, pool)).toInt() == 1);
  CHECK(es::to_ivalue(convert(one, es::arg_kind::memory_format, pool)).toInt() == 1);
}

TEST_CASE("devices") {
  for (const auto d : {c10::Device(c10::kCPU), c10::Device(c10::kCUDA, 3), c10::Device(c10::kMeta),
                       c10::Device(c10::kPrivateUse1, 0), c10::Device(c10::kCUDA)})
    CHECK((round_trip(d).toDevice() == d));
}

TEST_CASE("lists: empty, of one kind, mixed, nested") {
  CHECK(round_trip(std::vector<std::int64_t>{}).toListRef().empty());
  CHECK(
      (round_trip(std::vector<std::int64_t>{1, -2, 3}).toIntVector() == std::vector<std::int64_t>{1, -2, 3}));
  CHECK((round_trip(std::vector<double>{0.5, 2}).toDoubleVector() == std::vector<double>{0.5, 2}));
  CHECK(round_trip(c10::List<bool>({true, false, true})).toBoolList().vec() ==
        std::vector<bool>{true, false, true});
  const auto texts = round_trip(c10::List<std::string>({"a", "b"}));
  CHECK(texts.toListRef()[1].toStringRef() == "b");
  c10::impl::GenericList mixed(c10::AnyType::get());
  mixed.push_back(std::int64_t{1});
  mixed.push_back(c10::IValue());
  mixed.push_back(0.5);
  const auto back = round_trip(mixed).toListRef().vec();
  REQUIRE(back.size() == 3);
  CHECK(back[0].toInt() == 1);
  CHECK(back[1].isNone());
  CHECK(back[2].toDouble() == 0.5);
  c10::impl::GenericList nested(c10::AnyType::get());
  nested.push_back(std::vector<std::int64_t>{1, 2});
  nested.push_back(std::vector<std::int64_t>{});
  const auto deep = round_trip(nested).toListRef().vec();
  CHECK((deep[0].toIntVector() == std::vector<std::int64_t>{1, 2}));
  CHECK(deep[1].toListRef().empty());
  std::vector<std::int64_t> many(1000); // more than a chunk of the pool
  for (std::size_t i = 0; i != many.size(); ++i)
    many[i] = static_cast<std::int64_t>(i);
  CHECK((round_trip(many).toIntVector() == many));
}

TEST_CASE("tensors are what the caller says: alone, in lists, in lists with holes") {
  es::argument_pool pool;
  const auto t = [](std::int64_t n) { return torch::ones({n}); };
  const auto one = convert(t(3), es::arg_kind::tensor, pool);
  CHECK(one.form == es::arg_form::value);
  CHECK(one.val.index == 3);
  const auto list = convert(std::vector<at::Tensor>{t(1), t(2)}, es::arg_kind::tensor, pool);
  REQUIRE(list.count == 2);
  CHECK(list.items[1].val.index == 2);
  const auto holes =
      convert(c10::List<std::optional<at::Tensor>>({std::nullopt, t(5)}), es::arg_kind::tensor, pool);
  REQUIRE(holes.count == 2);
  CHECK(holes.items[0].form == es::arg_form::none);
  CHECK(holes.items[1].val.index == 5);
  CHECK_THROWS_AS(es::to_ivalue(one), es::error); // only the caller knows
}

TEST_CASE("the pool's memory stays where it is, and is used again") {
  es::argument_pool pool;
  const auto a = convert(std::vector<std::int64_t>{1, 2}, es::arg_kind::integer, pool);
  for (int i = 0; i != 1000; ++i)
    convert(std::vector<std::int64_t>{7, 7, 7}, es::arg_kind::integer, pool);
  CHECK(a.items[1].bits == 2);
  pool.clear();
  const auto b = convert(std::vector<std::int64_t>{5}, es::arg_kind::integer, pool);
  CHECK(b.items == a.items);
}

TEST_CASE("what has no form in a graph is refused; a generator is left out") {
  CHECK(round_trip(at::make_generator<at::CPUGeneratorImpl>()).isNone());
  const auto refused = [](const c10::IValue& v) {
    try {
      round_trip(v);
      return std::string("no error");
    } catch (const es::error& e) {
      CHECK(e.kind() == es::error_kind::unsupported);
      CHECK_FALSE(e.cure().empty());
      return e.cause();
    }
  };
  CHECK(refused(torch::ones({1}).storage()).find("Storage") != std::string::npos);
  CHECK(refused(c10::ivalue::Tuple::create({c10::IValue(1)})).find("Tuple") != std::string::npos);
  CHECK(refused(c10::Dict<std::string, std::int64_t>()).find("Dict") != std::string::npos);
  try {
    es::to_ivalue(es::argument::of_subgraph(0));
    FAIL("a subgraph is no constant");
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::usage);
  }
}

TEST_CASE("the same constant: by value, not across kinds") {
  const std::vector<c10::IValue> distinct{
      c10::IValue(),
      std::int64_t{1},
      std::int64_t{2},
      1.0,
      true,
      false,
      std::string("a"),
      std::string("b"),
      std::vector<std::int64_t>{1},
      std::vector<std::int64_t>{1, 2},
      std::vector<double>{1},
      c10::Device(c10::kCPU),
      c10::Device(c10::kCUDA, 0),
  };
  for (std::size_t i = 0; i != distinct.size(); ++i)
    for (std::size_t j = 0; j != distinct.size(); ++j) {
      CAPTURE(i);
      CAPTURE(j);
      CHECK(es::same_constant(distinct[i], distinct[j]) == (i == j));
    }
  CHECK(es::same_constant(at::Tensor(), at::Tensor()));
  CHECK_FALSE(es::same_constant(torch::ones({1}), torch::ones({1}))); // never a default
}
