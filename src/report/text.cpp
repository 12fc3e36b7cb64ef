#include "text.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "perwatt/base/text.hpp"

namespace perwatt::report {

namespace {

/// `value` with the prefix that leaves it between 1 and 1000: "19.2 M".
std::string with_prefix(double value, int digits) {
  struct Prefix {
    double factor;
    std::string_view name;
  };

  static constexpr std::array kPrefixes{Prefix{1e9, "G"}, Prefix{1e6, "M"}, Prefix{1e3, "k"}};
  for (const auto& prefix : kPrefixes) {
    if (std::abs(value) >= prefix.factor) {
      return significant(value / prefix.factor, digits) + ' ' + std::string{prefix.name};
    }
  }
  return significant(value, digits) + ' ';
}

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

std::string significant(double value, int digits) {
  if (value == 0 || !std::isfinite(value)) {
    return "0";
  }
  const int magnitude = static_cast<int>(std::floor(std::log10(std::abs(value))));
  if (magnitude >= digits) {
    const double unit = std::pow(10.0, magnitude - digits + 1);
    value = std::round(value / unit) * unit;
  }
  return perwatt::significant(value, digits);
}

std::string signed_text(double value, int digits) {
  constexpr double kRounding = 1e-6;
  if (std::abs(value) < kRounding) {
    return "0";
  }
  return (value > 0 ? "+" : "") + significant(value, digits);
}

std::string power_text(Watts power, int digits) {
  return with_prefix(in_watts(power), digits) + 'W';
}

std::string rate_text(TokensPerSecond rate, int digits) {
  const auto text = with_prefix(in_tokens_per_second(rate), digits);
  return text + (text.ends_with(' ') ? "tok/s" : " tok/s");
}

std::string money_text(UsdPerSecond rate, int digits) {
  return significant(in_usd_per_hour(rate), digits) + " USD/h";
}

std::string percent_text(double ratio, int digits) {
  return significant(100 * ratio, digits) + " %";
}

std::string listed(std::span<const std::string> parts) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == parts.size() ? " and " : ", ") + parts[i];
  }
  return text;
}

std::string html_escaped(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') {
          escaped += c;
        }
    }
  }
  return escaped;
}

std::string script_escaped(std::string json) {
  for (auto at = json.find('<'); at != std::string::npos; at = json.find('<', at)) {
    json.replace(at, 1, "\\u003c");  // "<" stands in JSON only inside strings
  }
  return json;
}

std::string markdown_escaped(std::string_view text) {
  constexpr std::string_view kMarkup = "\\`*_{}[]<>|#";
  std::string escaped;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20) {
      escaped += ' ';
      continue;
    }
    if (kMarkup.find(c) != std::string_view::npos) {
      escaped += '\\';
    }
    escaped += c;
  }
  return escaped;
}

bool is_web_address(std::string_view url) {
  const bool is_printable = std::all_of(url.begin(), url.end(), [](char c) {
    return c > ' ' && c < 0x7F && c != '"' && c != '<' && c != '>' && c != '\\';
  });
  return is_printable && (url.starts_with("https://") || url.starts_with("http://"));
}

std::string slug(std::string_view text) {
  std::string id;
  for (const char c : lower_case(text)) {
    if (is_alphanumeric(c)) {
      id += c;
    } else if (!id.empty() && !id.ends_with('-')) {
      id += '-';
    }
  }
  if (id.ends_with('-')) {
    id.pop_back();
  }
  return id.empty() ? "x" : id;
}

}  // namespace perwatt::report
