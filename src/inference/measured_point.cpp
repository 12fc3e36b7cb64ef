// The checks that make a row a measurement, and what follows from its figures.
#include "perwatt/inference/measured_point.hpp"

#include <cmath>

#include "perwatt/base/text.hpp"
#include "perwatt/inference/point_table.hpp"

namespace perwatt::inference {

namespace {

constexpr double kIdentityTolerance = 0.05;       // W = J/token x tokens/s
constexpr double kTokenKindTolerance = 0.25;      // output share against the nominal lengths
constexpr double kInteractivityTolerance = 0.01;  // interactivity = 1/TPOT

std::optional<CheckFailure> check_layout(const MeasuredPoint& point) {
  const auto& layout = point.layout;
  if (layout.num_gpus > kLargestCount) {
    return CheckFailure{"num_gpus", "is " + std::to_string(layout.num_gpus) +
                                        "; it must be at most " + shortest(kLargestCount)};
  }
  if (layout.prefill_gpus && layout.decode_gpus &&
      *layout.prefill_gpus + *layout.decode_gpus != layout.num_gpus) {
    return CheckFailure{"num_gpus", "is " + std::to_string(layout.num_gpus) +
                                        " but prefill_gpus + decode_gpus is " +
                                        std::to_string(*layout.prefill_gpus + *layout.decode_gpus) +
                                        "; make them equal"};
  }
  return std::nullopt;
}

std::optional<CheckFailure> check_rates(const MeasuredPoint& point) {
  if (point.output_per_gpu && in_tokens_per_second(*point.output_per_gpu) < kLeastTokensPerSecond) {
    return CheckFailure{"output_tokens_per_s_per_gpu",
                        "is below " + shortest(kLeastTokensPerSecond) + "; nothing was served"};
  }
  if (point.total_per_gpu && point.output_per_gpu) {
    const double share = *point.output_per_gpu / *point.total_per_gpu;
    if (share > 1.0 + kIdentityTolerance) {
      return CheckFailure{"output_tokens_per_s_per_gpu",
                          "is above total_tokens_per_s_per_gpu; total counts input and output"};
    }
    if (point.workload.isl_tokens && point.workload.osl_tokens) {
      const double nominal = static_cast<double>(*point.workload.osl_tokens) /
                             (*point.workload.isl_tokens + *point.workload.osl_tokens);
      if (std::abs(share / nominal - 1.0) > kTokenKindTolerance) {
        return CheckFailure{"output_tokens_per_s_per_gpu",
                            "is " + shortest(share) + " of the total where the lengths give " +
                                shortest(nominal) + "; count both over all GPUs"};
      }
    }
  }
  if (point.interactivity && point.tpot_median) {
    const double product =
        in_tokens_per_second(*point.interactivity) * in_seconds(*point.tpot_median);
    if (std::abs(product - 1.0) > kInteractivityTolerance) {
      return CheckFailure{
          "interactivity_tokens_per_s",
          "times tpot_median_s is " + shortest(product) +
              " where 1 is needed; both are of the same statistic, TPOT in seconds"};
    }
  }
  return std::nullopt;
}

std::optional<CheckFailure> check_energy(const MeasuredPoint& point) {
  const auto differs = [&](const std::optional<JoulesPerToken>& energy,
                           const std::optional<TokensPerSecond>& rate) {
    return point.gpu_power && energy && rate &&
           std::abs(*energy * *rate / *point.gpu_power - 1.0) > kIdentityTolerance;
  };
  const auto failure = [&](const char* column, JoulesPerToken energy, TokensPerSecond rate) {
    return CheckFailure{
        column, "times the rate of the same tokens is " + shortest(in_watts(energy * rate)) +
                    " W but gpu_power_watts is " + shortest(in_watts(*point.gpu_power)) +
                    "; one of the three is of another boundary, count or token kind"};
  };
  if (differs(point.joules_per_output_token, point.output_per_gpu)) {
    return failure("joules_per_output_token", *point.joules_per_output_token,
                   *point.output_per_gpu);
  }
  if (differs(point.joules_per_total_token, point.total_per_gpu)) {
    return failure("joules_per_total_token", *point.joules_per_total_token, *point.total_per_gpu);
  }
  return std::nullopt;
}

void derive(MeasuredPoint& point) {
  if (!point.interactivity && point.tpot_median) {
    point.interactivity = tokens(1) / *point.tpot_median;
    point.interactivity_is_derived = true;
  }
  if (!point.output_per_gpu) {
    if (point.total_per_gpu && point.workload.isl_tokens && point.workload.osl_tokens) {
      const double share = static_cast<double>(*point.workload.osl_tokens) /
                           (*point.workload.isl_tokens + *point.workload.osl_tokens);
      point.output_per_gpu = *point.total_per_gpu * share;
      point.output_is_derived = true;
    } else if (point.gpu_power && point.joules_per_output_token) {
      point.output_per_gpu = *point.gpu_power / *point.joules_per_output_token;
      point.output_is_derived = true;
    }
  }
  if (!point.gpu_power) {
    if (point.joules_per_output_token && point.output_per_gpu) {
      point.gpu_power = *point.joules_per_output_token * *point.output_per_gpu;
      point.power_is_derived = true;
    } else if (point.joules_per_total_token && point.total_per_gpu) {
      point.gpu_power = *point.joules_per_total_token * *point.total_per_gpu;
      point.power_is_derived = true;
    }
  }
}

}  // namespace

std::string to_string(const Workload& workload) {
  if (!workload.task.empty()) {
    return workload.task;
  }
  return std::to_string(workload.isl_tokens.value_or(0)) + "/" +
         std::to_string(workload.osl_tokens.value_or(0));
}

const char* to_string(Serving serving) {
  return serving == Serving::aggregated ? "aggregated" : "disaggregated";
}

std::optional<CheckFailure> check_and_derive(MeasuredPoint& point) {
  for (const auto& check : {check_layout, check_rates, check_energy}) {
    if (auto failure = check(point)) {
      return failure;
    }
  }
  derive(point);
  if (!point.total_per_gpu && !point.output_per_gpu) {
    return CheckFailure{"total_tokens_per_s_per_gpu",
                        "no token rate is given or can be derived; a point needs one"};
  }
  return std::nullopt;
}

}  // namespace perwatt::inference
