#include "module_pattern.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace perwatt::inference {

namespace {

constexpr std::size_t kMostBytes = 120;
constexpr std::string_view kExpressionMark = "re:";

/// Whether `text` is `glob`, * standing for any run of characters. Time: product of both lengths.
bool is_glob_match(std::string_view glob, std::string_view text) {
  std::size_t g = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t resume = 0;
  while (t < text.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      resume = t;
    } else if (g < glob.size() && glob[g] == text[t]) {
      ++g;
      ++t;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return std::all_of(glob.begin() + static_cast<std::ptrdiff_t>(g), glob.end(),
                     [](char sign) { return sign == '*'; });
}

/// Whether `parts` stands in `module` between dots or ends.
bool is_run_of_parts(std::string_view parts, std::string_view module) {
  for (auto at = module.find(parts); at != std::string_view::npos;
       at = module.find(parts, at + 1)) {
    const auto end = at + parts.size();
    if ((at == 0 || module[at - 1] == '.') && (end == module.size() || module[end] == '.')) {
      return true;
    }
  }
  return false;
}

/// libstdc++'s breadth-first engine: no exponential backtracking, no back references. Counted
/// repetitions are refused, because they multiply its states.
std::optional<std::regex> compile(const std::string& text) {
  if (text.find('{') != std::string::npos) {
    return std::nullopt;
  }
  try {
    return std::regex{text, std::regex::ECMAScript | std::regex_constants::__polynomial};
  } catch (const std::regex_error&) {
    return std::nullopt;
  }
}

}  // namespace

std::optional<ModulePattern> ModulePattern::parse(const std::string& text) {
  if (text.empty() || text.size() > kMostBytes) {
    return std::nullopt;
  }
  ModulePattern pattern;
  if (text.starts_with(kExpressionMark)) {
    pattern.expression_ = compile(text.substr(kExpressionMark.size()));
    return pattern.expression_ ? std::optional{pattern} : std::nullopt;
  }
  pattern.glob_ = text;
  return pattern;
}

bool ModulePattern::matches(const std::string& module) const {
  if (expression_) {
    return std::regex_search(module, *expression_, std::regex_constants::match_continuous);
  }
  if (glob_.find('*') == std::string::npos) {
    return is_run_of_parts(glob_, module);
  }
  return is_glob_match(glob_, module) || is_glob_match(glob_ + ".*", module) ||
         is_glob_match("*." + glob_, module) || is_glob_match("*." + glob_ + ".*", module);
}

}  // namespace perwatt::inference
