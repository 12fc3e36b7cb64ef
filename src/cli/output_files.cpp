#include "output_files.hpp"

#include <filesystem>
#include <map>

#include <fmt/format.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::cli {

namespace {

std::filesystem::path canonical(const std::string& path) {
  std::error_code problem;
  const auto absolute = std::filesystem::absolute(path, problem);
  const auto found = std::filesystem::weakly_canonical(absolute, problem);
  return problem ? absolute.lexically_normal() : found;
}

}  // namespace

void check_outputs(const NamedFiles& inputs, const NamedFiles& outputs) {
  std::map<std::filesystem::path, std::string> taken;
  for (const auto& [flag, path] : inputs) {
    if (!path.empty()) {
      taken.emplace(canonical(path), flag);
    }
  }
  for (const auto& [flag, path] : outputs) {
    if (path.empty()) {
      continue;
    }
    const auto [other, is_new] = taken.emplace(canonical(path), flag);
    if (!is_new) {
      throw Error{ErrorCode::usage,
                  fmt::format("'{}' is also the file of {}", printable(path), other->second), flag,
                  "give each its own name"};
    }
  }
}

}  // namespace perwatt::cli
