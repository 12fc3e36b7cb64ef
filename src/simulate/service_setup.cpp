#include "perwatt/simulate/service_setup.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

#include "perwatt/base/error.hpp"
#include "perwatt/base/instant.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::simulate {

namespace {

bool is_positive_finite(double value) {
  return value > 0 && std::isfinite(value);
}

void check_phase_power(const PhasePower& power, const std::string& pool) {
  for (const Watts draw :
       {power.idle, power.prefill, power.decode_base, power.decode_per_sequence}) {
    if (!(in_watts(draw) >= 0 && std::isfinite(in_watts(draw)))) {
      throw_bad_input("a GPU that draws " + shortest(in_watts(draw)) + " W", pool,
                      "give 0 W or more");
    }
  }
  if (power.rising_sequences < 0) {
    throw_bad_input(std::to_string(power.rising_sequences) + " sequences that add watts", pool,
                    "give 0 or more");
  }
}

void check_pool(const PoolSetup& setup, const std::string& pool) {
  const InstanceModel& model = setup.model;
  if (setup.instances < 0) {
    throw_bad_input(std::to_string(setup.instances) + " instances", pool, "give 0 or more");
  }
  if (model.gpus < 1) {
    throw_bad_input("an instance of " + std::to_string(model.gpus) + " GPUs", pool,
                    "give 1 or more");
  }
  if (!is_positive_finite(in_tokens_per_second(model.prefill_rate))) {
    throw_bad_input(
        "a prefill rate of " + shortest(in_tokens_per_second(model.prefill_rate)) + " tok/s", pool,
        "give a rate above 0");
  }
  const double base = in_seconds(model.step_base);
  const double rise = in_seconds(model.step_per_sequence);
  if (!(base >= 0 && rise >= 0 && is_positive_finite(base + rise))) {
    throw_bad_input(
        "a decode step of " + shortest(base) + " s and " + shortest(rise) + " s per sequence", pool,
        "give times that are not negative, one of them above 0");
  }
  if (model.most_sequences < 1) {
    throw_bad_input("room for " + std::to_string(model.most_sequences) + " sequences", pool,
                    "give 1 or more");
  }
  check_phase_power(model.power, pool);
}

void check_latency_limit(const std::optional<Seconds>& limit, const char* name) {
  if (limit && !is_positive_finite(in_seconds(*limit))) {
    throw_bad_input("a limit of " + shortest(in_seconds(*limit)) + " s", name,
                    "give one above 0, or none");
  }
}

}  // namespace

Watts PhasePower::decode(double sequences) const {
  return decode_base +
         decode_per_sequence * std::min(sequences, static_cast<double>(rising_sequences));
}

void ServiceSetup::check() const {
  const bool has_both = prefill && decode;
  const bool has_one = prefill || decode;
  if (aggregated ? has_one : !has_both) {
    throw_bad_input("pools that are no service", "",
                    "give an aggregated pool alone, or a prefill and a decode pool");
  }
  if (aggregated) {
    check_pool(*aggregated, "aggregated");
  } else {
    check_pool(*prefill, "prefill");
    check_pool(*decode, "decode");
  }
  check_latency_limit(limits.max_ttft, "max_ttft");
  check_latency_limit(limits.max_tpot, "max_tpot");
}

bool ServiceSetup::has(Pool which) const {
  switch (which) {
    case Pool::aggregated:
      return aggregated.has_value();
    case Pool::prefill:
      return prefill.has_value();
    case Pool::decode:
      break;
  }
  return decode.has_value();
}

const PoolSetup& ServiceSetup::pool(Pool which) const {
  if (!has(which)) {
    throw_defect("a pool the service does not have");
  }
  if (which == Pool::aggregated) {
    return *aggregated;
  }
  return which == Pool::prefill ? *prefill : *decode;
}

SpeedTable::SpeedTable(std::vector<Point> points) : points_{std::move(points)} {
  if (points_.empty() || points_.back().speed_ratio != 1) {
    throw_bad_input("a table of speeds that does not end at 1", "",
                    "give speeds relative to the highest");
  }
  for (std::size_t i = 0; i < points_.size(); ++i) {
    const Point& point = points_[i];
    if (!is_positive_finite(point.speed_ratio)) {
      throw_bad_input("a speed of " + shortest(point.speed_ratio), "", "give speeds above 0");
    }
    if (i > 0 && !(points_[i - 1].cap < point.cap)) {
      throw_bad_input("a cap of " + shortest(in_watts(point.cap)) + " W after one as high", "",
                      "order the table by rising caps");
    }
    if (i > 0 && point.speed_ratio < points_[i - 1].speed_ratio) {
      throw_bad_input("a speed that falls to " + shortest(point.speed_ratio) + " with more watts",
                      "", "give speeds that never fall");
    }
  }
}

SpeedTable SpeedTable::of_curve(const curve::PowerCurve<TokensPerSecond>& curve) {
  std::vector<Point> points;
  const TokensPerSecond highest = curve.points().back().value;
  for (const auto& point : curve.points()) {
    points.push_back({point.power, point.value / highest});
  }
  return SpeedTable{std::move(points)};
}

double SpeedTable::speed_ratio(Watts cap) const {
  const auto right = std::lower_bound(points_.begin(), points_.end(), cap,
                                      [](const Point& p, Watts w) { return p.cap < w; });
  if (right == points_.begin()) {
    return right->speed_ratio;
  }
  if (right == points_.end()) {
    return points_.back().speed_ratio;
  }
  const auto left = right - 1;
  const double share = (cap - left->cap) / (right->cap - left->cap);
  return left->speed_ratio + (right->speed_ratio - left->speed_ratio) * share;
}

void PoolUse::add(const PoolUse& other) {
  idle_nanoseconds += other.idle_nanoseconds;
  prefill_nanoseconds += other.prefill_nanoseconds;
  decode_nanoseconds += other.decode_nanoseconds;
  sequence_nanoseconds += other.sequence_nanoseconds;
}

Joules PoolUse::energy(const InstanceModel& model, std::optional<Watts> gpu_cap) const {
  const auto part = [&](std::int64_t nanoseconds, Watts demand) {
    const Watts draw = gpu_cap ? std::min(demand, *gpu_cap) : demand;
    return draw * seconds(static_cast<double>(nanoseconds) / kNanosecondsPerSecond) *
           static_cast<double>(model.gpus);
  };
  Joules sum = part(idle_nanoseconds, model.power.idle);
  sum += part(prefill_nanoseconds, model.power.prefill);
  if (decode_nanoseconds > 0) {
    const double batch =
        static_cast<double>(sequence_nanoseconds) / static_cast<double>(decode_nanoseconds);
    sum += part(decode_nanoseconds, model.power.decode(batch));
  }
  return sum;
}

}  // namespace perwatt::simulate
