#include "perwatt/measure/slo.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "perwatt/base/error.hpp"
#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::measure {

namespace {

struct Name {
  std::string_view text;
  std::optional<Seconds> Slo::*limit;
};

constexpr std::array<Name, 10> kNames{{{"ttft", &Slo::ttft},
                                       {"tpot", &Slo::tpot},
                                       {"itl", &Slo::itl},
                                       {"e2e", &Slo::e2e},
                                       {"e2el", &Slo::e2e},
                                       {"time_to_first_token", &Slo::ttft},
                                       {"time_per_output_token", &Slo::tpot},
                                       {"inter_token_latency", &Slo::tpot},
                                       {"inter_chunk_latency", &Slo::itl},
                                       {"request_latency", &Slo::e2e}}};

constexpr std::size_t kShortNames = 4;

std::optional<Seconds> Slo::*limit_named(std::string_view name, std::string_view where) {
  for (const auto& known : kNames) {
    if (known.text == name) {
      return known.limit;
    }
  }
  std::vector<std::string> names;
  names.reserve(std::size(kNames));
  for (const auto& known : kNames) {
    names.emplace_back(known.text);
  }
  throw Error{ErrorCode::usage, "'" + printable(name) + "' is no latency", std::string{where},
              suggestion(name, names)};
}

void read_limit(std::string_view part, std::string_view where, Slo& slo) {
  const auto colon = part.find(':');
  if (colon == std::string_view::npos) {
    throw Error{ErrorCode::usage, "'" + printable(part) + "' has no limit", std::string{where},
                "write it as ttft:200ms"};
  }
  auto& limit = slo.*limit_named(part.substr(0, colon), where);
  if (limit) {
    throw Error{ErrorCode::usage, "'" + printable(part) + "' limits the same latency again",
                std::string{where}, "give each latency one limit"};
  }
  limit = parse_seconds(part.substr(colon + 1), where);
  if (*limit <= Seconds{}) {
    throw Error{ErrorCode::usage, "'" + printable(part) + "' can never be met", std::string{where},
                "give a limit above 0"};
  }
}

}  // namespace

Slo parse_slo(std::string_view text, std::string_view where) {
  std::string with_blanks{text};
  std::replace(with_blanks.begin(), with_blanks.end(), ',', ' ');
  Slo slo;
  for (const auto& part : split(with_blanks, ' ')) {
    if (!part.empty()) {
      read_limit(part, where, slo);
    }
  }
  return slo;
}

std::string to_string(const Slo& slo) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < kShortNames; ++i) {
    if (const auto& limit = slo.*kNames[i].limit) {
      parts.push_back(std::string{kNames[i].text} + " " + significant(in_seconds(*limit)) + " s");
    }
  }
  return join(parts, ", ");
}

}  // namespace perwatt::measure
