#include "perwatt/base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace perwatt {

namespace {

template <class Number>
std::optional<Number> parse_whole(std::string_view text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, value);
  if (status != std::errc{} || stop != end || text.empty()) {
    return std::nullopt;
  }
  return value;
}

std::string with_thousands(std::string digits) {
  const auto point = std::min(digits.find('.'), digits.size());
  const std::size_t first = digits.starts_with('-') ? 1 : 0;
  for (std::size_t at = point; at > first + 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) {
    row[j] = j;
  }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substitute, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

/// Length in bytes of the well-formed UTF-8 character at the start of `text` that is safe to show:
/// 0 for control characters, overlong forms, surrogates and what lies beyond U+10FFFF.
std::size_t shown_length(std::string_view text) {
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return static_cast<unsigned char>(text[i]);
  };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) {
    return lead < 0x20 || lead == 0x7F ? 0 : 1;
  }
  const std::size_t length = lead < 0xC2   ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                             : lead < 0xF5 ? 4
                                           : 0;
  if (length == 0 || text.size() < length) {
    return 0;
  }
  std::uint32_t code_point = lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) {
      return 0;
    }
    code_point = (code_point << 6U) | (byte(i) & 0x3FU);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0xA0, 0x800, 0x10000};  // 0x80-0x9F are controls
  const bool is_surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  return code_point < kLeast[length] || is_surrogate || code_point > 0x10FFFF ? 0 : length;
}

}  // namespace

std::optional<double> parse_number(std::string_view text) {
  const auto value = parse_whole<double>(text);
  if (!value || !std::isfinite(*value)) {
    return std::nullopt;
  }
  return value;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  return parse_whole<std::int64_t>(text);
}

std::string shortest(double value) {
  std::array<char, 64> buffer{};
  const double size = std::abs(value);
  const bool is_plain = value == 0 || (size >= 1e-6 && size < 1e15);
  const auto result =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                    is_plain ? std::chars_format::fixed : std::chars_format::scientific);
  return {buffer.data(), result.ptr};
}

std::string significant(double value, int digits) {
  if (value == 0 || !std::isfinite(value)) {
    return "0";
  }
  const int magnitude = static_cast<int>(std::floor(std::log10(std::abs(value))));
  std::array<char, 512> buffer{};  // the longest double has 309 digits before the point
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed,
                    std::clamp(digits - 1 - magnitude, 0, 180));
  std::string text{buffer.data(), end.ptr};
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) {
      text.pop_back();
    }
  }
  return with_thousands(text == "-0" ? "0" : text);
}

bool is_iso_date(std::string_view text) {
  constexpr std::string_view kPattern = "dddd-dd-dd";
  bool is_date = text.size() == 4 || text.size() == 7 || text.size() == kPattern.size();
  for (std::size_t i = 0; is_date && i < text.size(); ++i) {
    const bool is_digit = text[i] >= '0' && text[i] <= '9';
    is_date = kPattern[i] == 'd' ? is_digit : text[i] == '-';
  }
  const auto part = [&](std::size_t at) { return 10 * (text[at] - '0') + (text[at + 1] - '0'); };
  const bool has_month = is_date && text.size() > 4;
  const bool has_day = is_date && text.size() > 7;
  return is_date && (!has_month || (part(5) >= 1 && part(5) <= 12)) &&
         (!has_day || (part(8) >= 1 && part(8) <= 31));
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::string lower_case(std::string_view text) {
  std::string lowered{text};
  for (char& c : lowered) {
    if (c >= 'A' && c <= 'Z') {
      c = static_cast<char>(c - 'A' + 'a');
    }
  }
  return lowered;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  while (true) {
    const auto end = text.find(separator, start);
    parts.emplace_back(text.substr(start, end - start));
    if (end == std::string_view::npos) {
      return parts;
    }
    start = end + 1;
  }
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
  std::string joined;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    joined += (i > 0 ? separator : std::string_view{});
    joined += parts[i];
  }
  return joined;
}

std::string suggestion(std::string_view wrong, std::span<const std::string> candidates) {
  constexpr std::size_t kLongestList = 12;
  constexpr std::size_t kLongestCompared = 64;
  if (candidates.empty()) {
    return "none is known";
  }
  if (wrong.size() <= kLongestCompared) {
    const auto* best = &candidates.front();
    std::size_t best_distance = wrong.size() + best->size();
    for (const auto& candidate : candidates) {
      const auto distance = edit_distance(lower_case(wrong), lower_case(candidate));
      if (distance < best_distance) {
        best_distance = distance;
        best = &candidate;
      }
    }
    if (best_distance <= std::max<std::size_t>(1, wrong.size() / 3)) {
      return "did you mean '" + *best + "'?";
    }
  }
  const auto shown = candidates.first(std::min(candidates.size(), kLongestList));
  return "one of: " + join(shown, ", ") + (shown.size() < candidates.size() ? ", …" : "");
}

std::string printable(std::string_view text, std::size_t max_bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string shown;
  while (!text.empty()) {
    if (shown.size() >= max_bytes) {
      return shown + "…";
    }
    const auto byte = static_cast<unsigned char>(text[0]);
    const std::size_t length = shown_length(text);
    if (length == 0) {
      shown += {'\\', 'x', kHex[byte >> 4U], kHex[byte & 15U]};
      text.remove_prefix(1);
    } else {
      shown += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return shown;
}

}  // namespace perwatt
