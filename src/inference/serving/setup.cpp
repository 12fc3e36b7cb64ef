#include "perwatt/inference/serving/setup.hpp"

#include <string>

#include "perwatt/base/text.hpp"

namespace perwatt::inference::serving {

namespace {

constexpr std::string_view kVllmV1 = "2025-01-27";  // the day the V1 engine was released
constexpr double kMonthsPerQuarter = 3;
constexpr double kDaysPerMonth = 30.4375;

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

double months(std::string_view date) {
  const auto number = [&](std::size_t from, std::size_t count) {
    return static_cast<double>(parse_integer(date.substr(from, count)).value_or(1));
  };
  return number(0, 4) * 12 + number(5, 2) + (number(8, 2) - 1) / kDaysPerMonth;
}

}  // namespace

Engine engine_of(std::string_view engine, std::string_view date) {
  const std::string name = lower_case(engine);
  Engine result;
  if (holds(name, "trt")) {
    result.family = EngineFamily::tensorrt_llm;
  } else if (holds(name, "sglang")) {
    result.family = EngineFamily::sglang;
  } else if (holds(name, "vllm")) {
    result.family = !date.empty() && date < kVllmV1 ? EngineFamily::vllm_v0 : EngineFamily::vllm;
  } else if (holds(name, "atom")) {
    result.family = EngineFamily::atom;
  } else {
    result.family = EngineFamily::other;
  }
  if (holds(name, "dynamo")) {
    result.router = Router::dynamo;
  } else if (holds(name, "mori")) {
    result.router = Router::mori;
  }
  return result;
}

std::string_view to_string(EngineFamily family) {
  switch (family) {
    case EngineFamily::tensorrt_llm:
      return "trtllm";
    case EngineFamily::sglang:
      return "sglang";
    case EngineFamily::vllm:
      return "vllm";
    case EngineFamily::vllm_v0:
      return "vllm-v0";
    case EngineFamily::atom:
      return "atom";
    case EngineFamily::other:
      break;
  }
  return "other";
}

double software_age_quarters(std::string_view date) {
  return (months(kSoftwareEpoch) - months(date)) / kMonthsPerQuarter;
}

}  // namespace perwatt::inference::serving
