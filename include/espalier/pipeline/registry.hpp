// SPDX-License-Identifier: BSL-1.0
// Passes by name, and pipelines from text: `cse | dce`, `raise,fix(cse | dce)`. What a command line tool or a
// reproducer needs; a program that knows its passes composes types instead.
#pragma once

#include <espalier/pipeline/any_pass.hpp>
#include <espalier/pipeline/pass_table.hpp>
#include <espalier/schema/nearest.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
  const std::vector<entry>& entries() const noexcept { return entries_; }

  /// Reads a pipeline: names separated by `|` or `,`, with arguments where a pass takes some (`name<a, b>`);
  /// `fix(...)` or `fix<N>(...)` around a part, `renamed<NAME>(...)` around one that gets a name; `check<P>`
  /// and `assume<P>` of a property that some pass speaks of. Throws `error` (usage) with the place in the
  /// text.
  any_pipeline<U> parse(std::string_view text) const {
    std::size_t at = 0;
    auto p = sequence(text, at, 0);
    if (at != text.size())
      refuse(text, at, "')' closes nothing");
    return p;
  }

  /// The contracts of all passes, in order; they point into the registry.
  std::vector<pass_facts> facts() const& {
    std::vector<pass_facts> out;
    for (const auto& e : entries_) {
      out.push_back(e.pass.facts());
      out.back().description = e.summary;
    }
    return out;
  }

  std::vector<pass_facts> facts() const&& = delete;

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
    fail(error_kind::usage, std::move(why),
         "column " + std::to_string(at + 1) + " of pipeline '" + std::string(text) + "'", std::move(cure));
  }
  /// `write 'dce'` when a name is spelt nearly so, in whatever case; else the names that there are.
  static std::string meant(std::string_view given, const std::vector<std::string_view>& names) {
    const auto lower = [](std::string_view s) {
      std::string out(s);
      for (char& c : out)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      return out;
    };
    std::size_t best = given.size() / 3 + 1;
    std::string_view found;
    std::string all;
    for (const auto name : names) {
      if (const auto d = detail::edit_distance(lower(given), lower(name)); d < best) {
        best = d;
        found = name;
      }
      all += (all.empty() ? "" : ", ") + std::string(name);
    }
    return found.empty() ? "write one of " + all : "write '" + std::string(found) + "'";
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
    std::vector<std::string_view> known;
    for (const auto& e : entries_)
      for (auto list : {e.pass.facts().needs, e.pass.facts().establishes, e.pass.facts().destroys})
        for (const auto& p : list)
          if (std::find(known.begin(), known.end(), p.name) == known.end())
            known.push_back(p.name);
    refuse(t, begin, "no pass speaks of a property '" + std::string(name) + "'", meant(name, known));
  }

  static any_pass<U> made(const entry& e, std::string_view name, std::string_view text, std::size_t at) {
    const auto open = name.find('<');
    if (open == name.npos && !e.make)
      return e.pass;
    if (!e.make)
      refuse(text, at, "pass '" + std::string(e.pass.name()) + "' takes no arguments");
    if (open != name.npos && !name.ends_with('>'))
      refuse(text, at, "'>' is missing");
    try {
      return e.make(open == name.npos ? name.substr(name.size())
                                      : name.substr(open + 1, name.size() - open - 2));
    } catch (const error& why) {
      throw why.within("column " + std::to_string(at + 1) + " of pipeline '" + std::string(text) + "'");
    }
  }

  /// What stands before a parenthesis: how often it repeats what is inside; 0: it names it.
  static std::size_t rounds(std::string_view name, std::string_view t, std::size_t begin) {
    if (name == "fix")
      return 25;
    if (name.starts_with("renamed<") && name.size() > 9 && name.ends_with(">"))
      return 0;
    for (const std::string_view code : {"when", "on_subgraphs", "on_regions"})
      if (name == code)
        refuse(t, begin, "'" + std::string(name) + "(' takes more than a name can say: compose it in C++");
    if (!name.starts_with("fix<") || !name.ends_with(">"))
      refuse(t, begin, "'" + std::string(name) + "(' is no combinator that text can name");
    std::size_t limit = 0;
    for (char c : name.substr(4, name.size() - 5)) {
      if (c < '0' || c > '9' || limit > 1'000'000)
        refuse(t, begin, "'" + std::string(name) + "' needs a number of rounds between '<' and '>'");
      limit = limit * 10 + static_cast<std::size_t>(c - '0');
    }
    if (limit == 0)
      refuse(t, begin, "'" + std::string(name) + "' needs one round at least");
    return limit;
  }

  any_pipeline<U> sequence(std::string_view t, std::size_t& at, std::size_t depth) const {
    any_pipeline<U> out;
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
        const std::size_t limit = rounds(name, t, begin);
        const bool group = limit == 0;
        ++at;
        auto body = sequence(t, at, depth + 1);
        if (at == t.size())
          refuse(t, at, "')' is missing");
        ++at;
        out.push(group ? any_pass<U>::renamed(std::string(name.substr(8, name.size() - 9)), std::move(body))
                       : any_pass<U>::fix(std::move(body), limit));
      } else if (name.ends_with(">") && name.starts_with("check<")) {
        out.push(any_pass<U>::check(property(t, begin, name.substr(6, name.size() - 7))));
      } else if (name.ends_with(">") && name.starts_with("assume<")) {
        out.push(any_pass<U>::assume(property(t, begin, name.substr(7, name.size() - 8))));
      } else if (const entry* e = find(name.substr(0, name.find('<')))) {
        out.push(made(*e, name, t, begin));
      } else if (name.empty()) {
        refuse(t, begin, "the name of a pass is missing");
      } else {
        std::vector<std::string_view> known;
        for (const auto& k : entries_)
          known.push_back(k.pass.name());
        refuse(t, begin, "no pass is called '" + std::string(name) + "'",
               meant(name.substr(0, name.find('<')), known));
      }
      skip(t, at);
      if (at == t.size() || t[at] == ')')
        return out;
      if (t[at] != '|' && t[at] != ',')
        refuse(t, at, "'|' is expected");
      ++at;
    }
  }

  std::vector<entry> entries_;
};

} // namespace espalier
