#include "source_text.hpp"

#include <algorithm>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::device {

namespace {

constexpr std::string_view kPage = "docs/reference/power-sources.md";

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char lower = static_cast<char>(c | 0x20);
  if (lower >= 'a' && lower <= 'f') {
    return lower - 'a' + 10;
  }
  return std::nullopt;
}

/// Nothing when a '%' is not followed by two hexadecimal digits.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const auto high = i + 1 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
    const auto low = i + 2 < text.size() ? hex_digit(text[i + 2]) : std::nullopt;
    if (!high || !low) {
      return std::nullopt;
    }
    decoded += static_cast<char>(*high * 16 + *low);
    i += 2;
  }
  return decoded;
}

}  // namespace

SourceText::SourceText(std::string_view text, std::string_view where)
    : whole_{text}, where_{where} {
  const auto kind_end = std::min(text.find_first_of(":?"), text.size());
  kind_ = text.substr(0, kind_end);
  const auto query_start = std::min(text.find('?', kind_end), text.size());
  if (kind_end < query_start) {
    target_ = text.substr(kind_end + 1, query_start - kind_end - 1);
  }
  if (query_start == text.size()) {
    return;
  }
  for (const auto& pair : split(text.substr(query_start + 1), '&')) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      refuse("'" + printable(pair) + "' is not KEY=VALUE", "write ?key=value&key=value");
    }
    const auto key = pair.substr(0, equals);
    auto value = percent_decoded(std::string_view{pair}.substr(equals + 1));
    if (!value) {
      refuse("a '%' in the value of '" + printable(key) + "' is not followed by two hex digits",
             "write %25 for a percent sign and %26 for an ampersand");
    }
    if (!parameters_.try_emplace(key, Parameter{std::move(*value), false}).second) {
      refuse("'" + printable(key) + "' is given twice", "give it once");
    }
  }
}

const std::string& SourceText::require_target(const std::string& example) const {
  if (target_.empty()) {
    refuse("'" + kind_ + "' needs to know where", "write " + example);
  }
  return target_;
}

void SourceText::require_no_target() const {
  if (!target_.empty()) {
    refuse("'" + kind_ + "' takes nothing behind its colon", "write " + kind_);
  }
}

std::optional<std::string> SourceText::optional(std::string_view key) {
  known_keys_.emplace_back(key);
  const auto found = parameters_.find(key);
  if (found == parameters_.end()) {
    return std::nullopt;
  }
  found->second.read = true;
  if (found->second.value.empty()) {
    refuse("'" + std::string{key} + "' is empty", "give it a value or leave it out");
  }
  return found->second.value;
}

std::string SourceText::required(std::string_view key, const std::string& example) {
  auto value = optional(key);
  if (!value) {
    refuse("'" + kind_ + "' needs " + std::string{key} + "=…", "add " + example);
  }
  return *value;
}

Scope SourceText::scope(std::optional<Scope> by_default) {
  const std::string choices = "one of gpu, cpu_package, memory, node, rack, site";
  const auto text = optional("scope");
  if (!text) {
    if (!by_default) {
      refuse("'" + kind_ + "' does not know what its meter meters",
             "add scope=SCOPE, " + choices + " (" + std::string{kPage} + ")");
    }
    return *by_default;
  }
  const auto scope = parse_scope(*text);
  if (!scope) {
    refuse("'" + printable(*text) + "' is no scope", choices);
  }
  return *scope;
}

MeteredKind SourceText::metered_kind() {
  return choice("kind", {"power", "energy"}, false) == "power" ? MeteredKind::power
                                                               : MeteredKind::energy;
}

double SourceText::scale() {
  const auto text = optional("scale");
  if (!text) {
    return 1.0;
  }
  const auto scale = parse_number(*text);
  if (!scale || *scale <= 0) {
    refuse("scale '" + printable(*text) + "' is no positive number",
           "give the watts (or joules) that one unit of the source stands for, as scale=0.001");
  }
  return *scale;
}

std::optional<double> SourceText::accuracy() {
  const auto text = optional("accuracy");
  if (!text) {
    return std::nullopt;
  }
  const auto ratio = parse_number(*text);
  if (!ratio || *ratio < 0 || *ratio >= 1) {
    refuse("accuracy '" + printable(*text) + "' is no ratio from 0 to below 1",
           "write accuracy=0.01 for a meter of 1 %");
  }
  return ratio;
}

std::int64_t SourceText::integer(std::string_view key, std::int64_t low, std::int64_t high,
                                 std::optional<std::int64_t> by_default) {
  const auto range = std::to_string(low) + ".." + std::to_string(high);
  const auto example = std::string{key} + "=N, a whole number in " + range;
  const auto text = by_default ? optional(key) : std::optional{required(key, example)};
  if (!text) {
    return *by_default;
  }
  const auto number = parse_integer(*text);
  if (!number || *number < low || *number > high) {
    refuse(std::string{key} + " '" + printable(*text) + "' is no whole number in " + range,
           "write " + example);
  }
  return *number;
}

std::string SourceText::choice(std::string_view key, const std::vector<std::string>& choices,
                               bool has_default) {
  const auto example = std::string{key} + "=" + join(choices, "|");
  const auto text = has_default ? optional(key) : std::optional{required(key, example)};
  if (!text) {
    return choices.front();
  }
  if (std::find(choices.begin(), choices.end(), *text) == choices.end()) {
    refuse(std::string{key} + " '" + printable(*text) + "' is not known", "write " + example);
  }
  return *text;
}

void SourceText::reject_unknown_keys() const {
  for (const auto& [key, parameter] : parameters_) {
    if (!parameter.read) {
      refuse("'" + kind_ + "' knows no parameter '" + printable(key) + "'",
             suggestion(key, known_keys_));
    }
  }
}

void SourceText::refuse(const std::string& what, const std::string& remedy) const {
  throw Error{ErrorCode::usage, what, where_ + " " + printable(whole_), remedy};
}

}  // namespace perwatt::device
