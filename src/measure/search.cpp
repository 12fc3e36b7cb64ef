#include "perwatt/measure/search.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "perwatt/base/error.hpp"
#include "perwatt/base/random.hpp"

namespace perwatt::measure {

namespace {

void check_loads(std::span<const double> loads) {
  if (loads.empty()) {
    throw_bad_input("no load to measure", "", "give at least one");
  }
  for (const double load : loads) {
    if (!(load > 0) || !std::isfinite(load)) {
      throw_bad_input("a load of " + std::to_string(load), "", "give loads above 0");
    }
  }
}

std::vector<double> spaced_loads(Load load, double first, double last, int count,
                                 double (*at)(double, double, double)) {
  if (!(first > 0 && first <= last && std::isfinite(last))) {
    throw_bad_input("loads from " + std::to_string(first) + " to " + std::to_string(last), "",
                    "give a first load above 0 and a last one no lower");
  }
  if (count < (first < last ? 2 : 1)) {
    throw_bad_input(std::to_string(count) + " loads between two different ends", "",
                    "give at least 2");
  }
  std::vector<double> loads;
  for (int i = 0; i < count; ++i) {
    const double place = count == 1 ? 0 : static_cast<double>(i) / (count - 1);
    double value = at(first, last, place);
    if (load == Load::concurrency) {
      value = std::max(1.0, std::round(value));
    }
    if (loads.empty() || value > loads.back()) {
      loads.push_back(value);
    }
  }
  return loads;
}

bool is_flat(const SweepPoint& before, const SweepPoint& after, double gain_ratio) {
  if (!before.trial.valid || !after.trial.valid ||
      in_tokens_per_second(before.trial.output_rate) <= 0) {
    return false;
  }
  const double gain = after.trial.output_rate / before.trial.output_rate - 1;
  return gain < gain_ratio * (after.load / before.load - 1);
}

}  // namespace

std::vector<double> linear_loads(Load load, double first, double last, int count) {
  return spaced_loads(load, first, last, count,
                      [](double a, double b, double place) { return a + (b - a) * place; });
}

std::vector<double> geometric_loads(Load load, double first, double last, int count) {
  return spaced_loads(load, first, last, count, [](double a, double b, double place) {
    return place == 1 ? b : a * std::pow(b / a, place);
  });
}

SweepResult sweep(std::span<const double> loads, const SweepRules& rules, const MakeRun& make_run) {
  check_loads(loads);
  if (std::adjacent_find(loads.begin(), loads.end(), std::greater_equal<>{}) != loads.end()) {
    throw_bad_input("the loads of a sweep do not ascend", "", "give each load once, in order");
  }
  std::mt19937_64 generator{rules.seed};
  SweepResult result;
  int flat = 0;
  for (const double load : loads) {
    Result<Trial> run = make_run({load, std::nullopt, 0, generator()});
    if (!run) {
      result.failure = run.reason();
      return result;
    }
    result.points.push_back({load, std::move(run).value()});
    const std::size_t size = result.points.size();
    if (size < 2) {
      continue;
    }
    const bool is_flat_step =
        is_flat(result.points[size - 2], result.points[size - 1], rules.saturation_gain_ratio);
    flat = is_flat_step ? flat + 1 : 0;
    if (flat == rules.flat_steps && !result.saturated_at) {
      result.saturated_at = result.points[size - 1 - static_cast<std::size_t>(flat)].load;
      if (rules.stop_when_saturated) {
        return result;
      }
    }
  }
  return result;
}

GridResult cap_load_grid(std::span<const Watts> caps, std::span<const double> loads,
                         std::uint64_t seed, const MakeRun& make_run) {
  check_loads(loads);
  for (const Watts cap : caps) {
    if (!(in_watts(cap) > 0)) {
      throw_bad_input("a power cap of " + std::to_string(in_watts(cap)) + " W", "",
                      "give caps above 0 W");
    }
  }
  std::mt19937_64 generator{seed};
  std::vector<Watts> cap_order{caps.begin(), caps.end()};
  shuffle(std::span{cap_order}, generator);
  GridResult result;
  for (const Watts cap : cap_order) {
    std::vector<double> load_order{loads.begin(), loads.end()};
    shuffle(std::span{load_order}, generator);
    for (const double load : load_order) {
      Result<Trial> run = make_run({load, cap, 0, generator()});
      if (!run) {
        result.failure = run.reason();
        result.pareto = pareto_front(result.points);
        return result;
      }
      result.points.push_back({cap, load, std::move(run).value()});
    }
  }
  result.pareto = pareto_front(result.points);
  return result;
}

std::vector<std::size_t> pareto_front(std::span<const GridPoint> points) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points[i].trial.valid && points[i].trial.energy) {
      order.push_back(i);
    }
  }
  std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) {
    const Trial& a = points[i].trial;
    const Trial& b = points[j].trial;
    if (*a.energy != *b.energy) {
      return *a.energy < *b.energy;
    }
    if (a.attainment_ratio != b.attainment_ratio) {
      return a.attainment_ratio > b.attainment_ratio;
    }
    return i < j;
  });
  std::vector<std::size_t> front;
  for (const std::size_t i : order) {
    if (front.empty() ||
        points[i].trial.attainment_ratio > points[front.back()].trial.attainment_ratio) {
      front.push_back(i);
    }
  }
  return front;
}

}  // namespace perwatt::measure
