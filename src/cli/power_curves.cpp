#include "power_curves.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/plan/training_job.hpp"

namespace perwatt::cli {

namespace {

namespace serving = inference::serving;

constexpr int kCapSteps = 20;  // of the highest cap
constexpr int kLeastStep = 4;  // most caps are not kept below 8
constexpr double kClockStep = 0.1;
constexpr double kLeastClock = 0.4;
constexpr double kRateLeft = 0.999;  // by a cap that takes nothing from a locked clock

/// From `highest` down.
std::vector<Watts> caps_below(Watts highest) {
  std::vector<Watts> caps;
  for (int step = kCapSteps; step >= kLeastStep; --step) {
    caps.push_back(highest * step / kCapSteps);
  }
  return caps;
}

std::string cap_name(Watts cap) {
  return "cap " + significant(in_watts(cap), 4) + " W";
}

curve::CurveRow row_of(std::string name, const serving::OperatedPoint& point) {
  return {std::move(name),
          point.setting.gpu_cap,
          point.gpu_power,
          std::nullopt,
          in_tokens_per_second(point.output_per_gpu),
          0};
}

/// A locked clock with the lowest of the caps that leaves its rate; nothing when it has no load.
std::optional<curve::CurveRow> clocked_row(const ModelledQuestion& question,
                                           const serving::Found& found, double clock,
                                           const std::vector<Watts>& caps) {
  std::vector<serving::PowerSetting> settings;
  for (const Watts cap : caps) {
    settings.push_back({cap, clock});
  }
  const auto points = serving::at_settings(question.query, found, question.calibration, settings);
  const serving::OperatedPoint* lowest = nullptr;
  for (const auto& point : points) {
    if (point.output_per_gpu >= points.front().output_per_gpu * kRateLeft) {
      lowest = &point;
    }
  }
  if (lowest == nullptr) {
    return std::nullopt;
  }
  return row_of(fmt::format("clock {} %, {}", significant(100 * clock, 3),
                            cap_name(*lowest->setting.gpu_cap)),
                *lowest);
}

}  // namespace

curve::CurveFile modelled_curve(const ModelledQuestion& question, const serving::Found& found) {
  const auto& power = question.query.power;
  const Watts highest = std::min(power.gpu_cap.value_or(question.accelerator->tdp.value),
                                 question.accelerator->tdp.value);
  const auto caps = caps_below(highest);
  const double most_clock = power.clock_ratio.value_or(1);
  std::vector<serving::PowerSetting> settings;
  for (const Watts cap : caps) {
    settings.push_back({cap, power.clock_ratio});
  }
  curve::CurveFile file;
  file.value_unit = "output_tokens_per_s";
  for (const auto& point :
       serving::at_settings(question.query, found, question.calibration, settings)) {
    file.rows.push_back(row_of(cap_name(*point.setting.gpu_cap), point));
  }
  for (double clock = most_clock - kClockStep; clock > kLeastClock - kClockStep / 2;
       clock -= kClockStep) {
    if (auto row = clocked_row(question, found, clock, caps)) {
      file.rows.push_back(std::move(*row));
    }
  }
  return file;
}

curve::CurveFile measured_curve(const inference::FrontierRow& row, const inference::Slo& slo,
                                const inference::GpuPowerEstimator& estimator) {
  curve::CurveFile file;
  file.value_unit = "output_tokens_per_s";
  for (const auto& point : row.curve) {
    const bool is_slow = point.interactivity < slo.min_interactivity;
    const bool is_late =
        slo.max_ttft && (point.ttft ? *point.ttft > *slo.max_ttft : !slo.allow_unknown_ttft);
    const auto power = estimator.power_of(point);
    if (is_slow || is_late || !power) {
      continue;
    }
    file.rows.push_back(
        {fmt::format("concurrency {} on {} GPUs", significant(point.concurrency.value_or(0), 6),
                     point.point->layout.num_gpus),
         std::nullopt, power->mean, std::nullopt, in_tokens_per_second(point.output_per_gpu), 0});
  }
  if (file.rows.empty()) {
    throw_bad_input("no row within the limits has a known power", "--curve",
                    "add measured points of this accelerator with power (--points)");
  }
  return file;
}

curve::CurveFile training_curve(const training::Pipeline& pipeline) {
  plan::TrainingCurve curve{pipeline};
  const double gpus = pipeline.stages;
  curve::CurveFile file;
  file.value_unit = "iterations_per_s";
  const auto add = [&](std::string name, std::optional<Watts> cap,
                       const plan::TrainingPoint& point) {
    file.rows.push_back({std::move(name), cap, point.mean_power, point.highest_power,
                         1 / (in_seconds(point.time) * gpus), 0});
  };
  Watts highest;
  const Watts no_cap = watts(1e9);
  for (const auto& point : curve.points_under(no_cap)) {
    highest = std::max(highest, point.highest_power);
    add(point.needs == plan::FrequencyPlans::none
            ? "full clocks"
            : "iteration of " + significant(in_seconds(point.time), 5) + " s",
        std::nullopt, point);
  }
  for (const Watts cap : caps_below(highest)) {
    const auto& points = curve.points_under(cap);
    if (points.empty()) {
      break;
    }
    add(cap_name(cap), cap, points.front());
  }
  return file;
}

}  // namespace perwatt::cli
