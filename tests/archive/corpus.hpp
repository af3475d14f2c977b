// SPDX-License-Identifier: BSL-1.0
// The models that tests read: folders of folders, named by ESPALIER_CORPUS (joined by ':').
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace corpus {

namespace fs = std::filesystem;

/// The folders of all models, sorted by name in each corpus.
inline std::vector<fs::path> models() {
  std::vector<fs::path> out;
  const char* env = std::getenv("ESPALIER_CORPUS");
  std::string_view list = env ? env : "";
  while (!list.empty()) {
    const auto colon = list.find(':');
    const fs::path root(list.substr(0, colon));
    list = colon == list.npos ? std::string_view{} : list.substr(colon + 1);
    if (!fs::is_directory(root))
      continue;
    std::vector<fs::path> here;
    for (const auto& d : fs::directory_iterator(root))
      if (fs::exists(d.path() / "model.pt2"))
        here.push_back(d.path());
    std::sort(here.begin(), here.end());
    out.insert(out.end(), here.begin(), here.end());
  }
  return out;
}
/// The archives of a model: as exported, decomposed, with dynamic shapes.
inline std::vector<fs::path> archives(const fs::path& model) {
  std::vector<fs::path> out;
  for (const char* name : {"model.pt2", "model_decomp.pt2", "model_dyn.pt2"})
    if (fs::exists(model / name))
      out.push_back(model / name);
  return out;
}
inline std::vector<fs::path> archives() {
  std::vector<fs::path> out;
  for (const auto& m : models())
    for (auto& a : archives(m))
      out.push_back(a);
  return out;
}
inline std::string read(const fs::path& p) {
  std::ifstream in(p, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

} // namespace corpus
