// SPDX-License-Identifier: BSL-1.0
// Passes by name, and pipelines from text: `cse | dce`, `raise,fix(cse | dce)`. What a command line tool or a
// reproducer needs; a program that knows its passes composes types instead.
#pragma once

#include <espalier/pipeline/any_pass.hpp>
#include <espalier/pipeline/calls_named.hpp>
#include <espalier/pipeline/pass_options.hpp>
#include <espalier/pipeline/pass_table.hpp>
#include <espalier/pipeline/regions.hpp>
#include <espalier/schema/nearest.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// The passes that a tool knows, in the order in which they were added.
template <class U = graph_storage>
class pass_registry {
public:
  /// Makes a pass of the text between `<` and `>` (empty: there was none). Throws `error` (usage) for what it
  /// does not understand.
  using maker = any_pass<U> (*)(std::string_view arguments);
  struct entry {
    any_pass<U> pass;
    std::string summary;  ///< one line
    maker make = nullptr; ///< for a pass that takes options, of which `pass` is an example
  };

  /// Adds a pass under its name. Without a summary, its own description is taken. A name that is taken is an
  /// `error` (usage).
  void add(any_pass<U> p, std::string summary = {}) {
    if (find(p.name()))
      fail(error_kind::usage, "a pass named '" + std::string(p.name()) + "' is registered already",
           "pass_registry", "give it another name");
    if (summary.empty())
      summary = p.facts().description;
    entries_.push_back({std::move(p), std::move(summary)});
  }
  /// Adds a pass that takes options, written `name<options>` in a pipeline's text. The example has its
  /// contract.
  void add(any_pass<U> example, maker make) {
    add(std::move(example));
    entries_.back().make = make;
  }
  const entry* find(std::string_view name) const noexcept {
    for (const auto& e : entries_)
      if (e.pass.name() == name)
        return &e;
    return nullptr;
  }
  const vector<entry>& entries() const noexcept { return entries_; }
  /// The command that lists the passes (`my-opt --list`): errors point to it instead of listing them.
  void listed_by(std::string command) { lister_ = std::move(command); }

  /// Reads a pipeline: names separated by `|` or `,`, with arguments where a pass takes some (`name<a, b>`);
  /// `fix(...)` or `fix<N>(...)` around a part, `renamed<NAME>(...)` around one that gets a name,
  /// `on_subgraphs(...)` around one for subgraphs, `on_regions<aten.add, aten.relu.default>(...)` around one
  /// for the regions of some operators' calls (`calls_named`; `min_nodes=N` gives up smaller ones);
  /// `check<P>` and `assume<P>` of a property that some pass speaks of. Throws `error` (usage) with the place
  /// in the text.
  any_pipeline<U> parse(std::string_view text) const {
    std::size_t at = 0;
    auto p = sequence<U>(text, at, 0);
    if (at != text.size())
      refuse(text, at, "')' closes nothing");
    return p;
  }

  /// Whether it is a word of pipeline texts that is no pass: `fix`.
  static constexpr bool is_keyword(std::string_view name) noexcept { return !form_of(name).empty(); }
  /// The cure for a name that no pass has: the pass or keyword that is spelt most like it, or where all are.
  std::string cure_for(std::string_view name) const {
    name = name.substr(0, name.find('<'));
    if (is_keyword(name))
      return "write " + std::string(form_of(name));
    vector<std::string_view> passes;
    for (const auto& e : entries_)
      passes.push_back(e.pass.name());
    auto words = passes;
    for (const auto& k : keywords)
      words.push_back(k.word);
    return meant(detail::nearest_name(name, words), passes, "the passes");
  }

  /// The contracts of all passes, in order; they point into the registry.
  vector<pass_facts> facts() const& {
    vector<pass_facts> out;
    for (const auto& e : entries_) {
      out.push_back(e.pass.facts());
      out.back().description = e.summary;
    }
    return out;
  }

  vector<pass_facts> facts() const&& = delete;

  /// The passes with their contracts, for a terminal. `pass_table(facts())` is the same for a page.
  std::string list() const {
    std::string out;
    for (const auto& e : entries_) {
      const pass_facts& f = e.pass.facts();
      out += std::string(f.name) + (f.options.empty() ? "" : "<" + std::string(f.options) + ">") +
             (e.summary.empty() ? "" : ": " + e.summary) + "\n";
      out += "    takes " + (f.takes.type ? std::string(f.takes.name) : std::string("any dialect")) +
             ", gives " + (f.gives.type ? std::string(f.gives.name) : std::string("the same")) + "\n";
      if (!f.needs.empty())
        out += "    needs " + detail::listed(f.needs) + "\n";
      if (!f.establishes.empty())
        out += "    establishes " + detail::listed(f.establishes) + "\n";
      out += "    destroys " +
             (f.destroys_rest      ? std::string("all else")
              : f.destroys.empty() ? std::string("nothing")
                                   : detail::listed(f.destroys)) +
             "\n";
      if (!f.statistics.empty())
        out += "    counts " + detail::listed(f.statistics) + "\n";
      if (f.preserves_all || !f.preserves.empty())
        out += "    preserves " +
               (f.preserves_all ? std::string("all analyses") : detail::listed(f.preserves)) + "\n";
    }
    return out;
  }

private:
  [[noreturn]] static void
  refuse(std::string_view text, std::size_t at, std::string why,
         std::string cure = "write names separated by '|', and fix(...) around what is to be repeated") {
    fail(error_kind::usage, std::move(why), column(text, at), std::move(cure));
  }
  /// The words that are no passes, and how each is written.
  struct keyword {
    std::string_view word, form;
  };
  static constexpr keyword keywords[] = {
      {"fix", "fix(...), or fix<N>(...)"},   {"renamed", "renamed<NAME>(...)"},
      {"on_subgraphs", "on_subgraphs(...)"}, {"on_regions", "on_regions<OPERATOR, ...>(...)"},
      {"check", "check<PROPERTY>"},          {"assume", "assume<PROPERTY>"}};
  static constexpr std::string_view form_of(std::string_view name) noexcept {
    for (const auto& k : keywords)
      if (k.word == name)
        return k.form;
    return {};
  }
  /// A cure: the name that was meant, if one is `near`, and where `all` are.
  std::string meant(std::string_view near, span<const std::string_view> all, std::string_view what) const {
    std::string out;
    if (!near.empty())
      out = "write " + (is_keyword(near) ? std::string(form_of(near)) : "'" + std::string(near) + "'");
    if (!lister_.empty())
      out += (out.empty() ? "" : "; ") + lister_ + " lists " + std::string(what);
    else if (out.empty())
      for (const auto name : all)
        out += (out.empty() ? "write one of " : ", ") + std::string(name);
    return out;
  }
  static std::string column(std::string_view text, std::size_t at) {
    return "column " + std::to_string(at + 1) + " of pipeline '" + std::string(text) + "'";
  }
  /// What `make` makes; its errors get the place in the text.
  template <class Make>
  static auto at_column(std::string_view text, std::size_t at, Make&& make) {
    try {
      return make();
    } catch (const error& why) {
      throw why.within(column(text, at));
    }
  }
  static void skip(std::string_view t, std::size_t& at) {
    while (at != t.size() && (t[at] == ' ' || t[at] == '\n' || t[at] == '\t'))
      ++at;
  }

  /// A property that a pass needs, establishes or destroys, by name.
  const property_info& property(std::string_view t, std::size_t begin, std::string_view name) const {
    for (const auto& e : entries_) {
      const pass_facts& f = e.pass.facts();
      for (auto list : {f.needs, f.establishes, f.destroys})
        for (const auto& p : list)
          if (p.name == name)
            return p;
    }
    vector<std::string_view> known;
    for (const auto& e : entries_)
      for (auto list : {e.pass.facts().needs, e.pass.facts().establishes, e.pass.facts().destroys})
        for (const auto& p : list)
          if (std::find(known.begin(), known.end(), p.name) == known.end())
            known.push_back(p.name);
    refuse(t, begin, "no pass speaks of a property '" + std::string(name) + "'",
           meant(detail::nearest_name(name, known), known, "the properties of each pass"));
  }

  static any_pass<U> made(const entry& e, std::string_view name, std::string_view text, std::size_t at) {
    const auto open = name.find('<');
    if (open == name.npos && !e.make)
      return e.pass;
    if (!e.make)
      refuse(text, at, "pass '" + std::string(e.pass.name()) + "' takes no arguments");
    if (open != name.npos && !name.ends_with('>'))
      refuse(text, at, "'>' is missing");
    return at_column(text, at, [&] {
      return e.make(open == name.npos ? name.substr(name.size())
                                      : name.substr(open + 1, name.size() - open - 2));
    });
  }
  /// A pass of a pipeline on `V`: `U`, or the graph of a part of it.
  template <class V>
  static any_pass<V> fitted(any_pass<U> p, std::string_view t, std::size_t begin) {
    if constexpr (std::same_as<U, V>)
      return p;
    else
      return at_column(t, begin, [&] { return p.on_parts(); });
  }

  /// The number of `fix<N>`.
  static std::size_t rounds(std::string_view name, std::string_view digits, std::string_view t,
                            std::size_t begin) {
    std::size_t limit = 0;
    for (char c : digits) {
      if (c < '0' || c > '9' || limit > 1'000'000)
        refuse(t, begin, "'" + std::string(name) + "' needs a number of rounds between '<' and '>'");
      limit = limit * 10 + static_cast<std::size_t>(c - '0');
    }
    if (limit == 0)
      refuse(t, begin, "'" + std::string(name) + "' needs one round at least");
    return limit;
  }

  /// What stands between the parentheses, and the closing one.
  template <class V>
  any_pipeline<V> inside(std::string_view t, std::size_t& at, std::size_t depth) const {
    auto body = sequence<V>(t, at, depth + 1);
    if (at == t.size())
      refuse(t, at, "')' is missing");
    ++at;
    return body;
  }

  /// `name(...)`, read up to the opening parenthesis.
  template <class V>
  any_pass<V> around(std::string_view name, std::string_view t, std::size_t begin, std::size_t& at,
                     std::size_t depth) const {
    const std::string_view word = name.substr(0, name.find('<'));
    const bool bare = word.size() == name.size();
    std::string_view given; // between `<` and `>`
    if (!bare && name.ends_with('>'))
      given = name.substr(word.size() + 1, name.size() - word.size() - 2);
    if (word == "fix" && (bare || name.ends_with('>'))) {
      const std::size_t limit = bare ? 25 : rounds(name, given, t, begin);
      return any_pass<V>::fix(inside<V>(t, at, depth), limit);
    }
    if (word == "renamed" && !given.empty())
      return any_pass<V>::renamed(std::string(given), inside<V>(t, at, depth));
    if (name == "on_subgraphs") {
      auto body = inside<graph_storage>(t, at, depth);
      return at_column(t, begin, [&] { return any_pass<V>::on_subgraphs(std::move(body)); });
    }
    if (word == "on_regions" && !given.empty()) {
      calls_named operators;
      region_options o;
      at_column(t, begin, [&] {
        const option_reader all("on_regions", given,
                                "write on_regions<aten.relu, aten.add.Tensor, min_nodes=2>(...)");
        for (const auto& i : all)
          if (i.key.empty())
            operators.add(i.text);
          else if (i.key == "min_nodes")
            o.min_nodes = all.template number<std::size_t>(i);
          else
            all.refuse(i);
        if (operators.empty())
          all.refuse("no operator is named");
      });
      auto body = inside<graph_storage>(t, at, depth);
      return at_column(t, begin,
                       [&] { return any_pass<V>::on_regions(std::move(operators), std::move(body), o); });
    }
    if (name == "when")
      refuse(t, begin, "'when(' takes more than a name can say: compose it in C++");
    if (is_keyword(word))
      refuse(t, begin, "'" + std::string(name) + "(' is not how it is written", cure_for(word));
    vector<std::string_view> words;
    for (const auto& k : keywords)
      words.push_back(k.word);
    const std::string_view near = detail::nearest_name(word, words);
    if (near.empty())
      refuse(t, begin, "'" + std::string(name) + "(' is no combinator that text can name");
    refuse(t, begin, "'" + std::string(name) + "(' is no combinator that text can name",
           "write " + std::string(form_of(near)));
  }

  template <class V>
  any_pipeline<V> sequence(std::string_view t, std::size_t& at, std::size_t depth) const {
    any_pipeline<V> out;
    if (depth > 32)
      refuse(t, at, "the pipeline nests deeper than 32 levels");
    for (;;) {
      skip(t, at);
      const std::size_t begin = at;
      while (at != t.size() && t[at] != '|' && t[at] != ',' && t[at] != '(' && t[at] != ')' && t[at] != ' ')
        if (t[at++] == '<')
          while (at != t.size() && t[at - 1] != '>')
            ++at;
      std::string_view name = t.substr(begin, at - begin);
      skip(t, at);
      if (at != t.size() && t[at] == '(') {
        ++at;
        out.push(around<V>(name, t, begin, at, depth));
      } else if (name.ends_with(">") && name.starts_with("check<")) {
        out.push(any_pass<V>::check(property(t, begin, name.substr(6, name.size() - 7))));
      } else if (name.ends_with(">") && name.starts_with("assume<")) {
        out.push(any_pass<V>::assume(property(t, begin, name.substr(7, name.size() - 8))));
      } else if (const entry* e = find(name.substr(0, name.find('<')))) {
        out.push(fitted<V>(made(*e, name, t, begin), t, begin));
      } else if (name.empty()) {
        refuse(t, begin, "the name of a pass is missing");
      } else {
        refuse(t, begin, "no pass is called '" + std::string(name) + "'", cure_for(name));
      }
      skip(t, at);
      if (at == t.size() || t[at] == ')')
        return out;
      if (t[at] != '|' && t[at] != ',')
        refuse(t, at, "'|' is expected");
      ++at;
    }
  }

  vector<entry> entries_;
  std::string lister_;
};

} // namespace espalier
