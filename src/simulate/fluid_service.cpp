#include "perwatt/simulate/fluid_service.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "perwatt/base/error.hpp"
#include "perwatt/base/instant.hpp"
#include "perwatt/base/normal_law.hpp"

namespace perwatt::simulate {

namespace {

constexpr double kMostUtilisation = 0.98;  // of the steady-state wait
constexpr double kSureDeviations = 6.0;

/// Share of the sequences that join evenly over a step in which `passed` lives pass.
double kept_of_joined(double passed) {
  return passed > 0 ? -std::expm1(-passed) / passed : 1;
}

/// Share of instances that decode, of `instances` with `sequences` each on average.
double busy_share(double instances, double sequences) {
  const double count = instances * sequences;
  const double deviation = std::sqrt(count);
  const double free_deviations = (instances - count) / std::max(deviation, 1e-9);
  if (std::abs(free_deviations) > kSureDeviations) {
    return std::min(1.0, sequences);
  }
  const double density =
      std::exp(-free_deviations * free_deviations / 2) / std::sqrt(2 * std::numbers::pi);
  const double beyond = deviation * (density - free_deviations * normal_cdf(-free_deviations));
  return std::clamp((count - beyond) / instances, 0.0, 1.0);
}

/// Of an instance that decodes.
double busy_batch(double instances, double sequences) {
  const double busy = busy_share(instances, sequences);
  return busy > 0 ? std::max(1.0, sequences / busy) : 1.0;
}

}  // namespace

/// What goes through the stages of one step.
struct FluidService::Flow {
  double prefilled = 0;
  double prefill_seconds = 0;  // of a request
  double prefill_ratio = 0;    // of the time of the instances that also decode
  double hold_seconds = 0;     // for which an arrival keeps an instance from others
  double joined = 0;           // start to decode
  double ended = 0;            // requests
  double wait_instances = 1;
};

FluidService::FluidService(const ServiceSetup& setup, const TokenLaws& laws,
                           double arrival_squared_variation)
    : setup_{setup},
      mean_input_{in_tokens(laws.input.mean())},
      mean_steps_{in_tokens(laws.output.mean()) - 1},
      input_variation_{laws.input.squared_variation()},
      arrival_variation_{arrival_squared_variation} {
  setup_.check();
  laws.check();
  if (!(arrival_variation_ >= 0 && std::isfinite(arrival_variation_))) {
    throw_bad_input("a squared variation of gaps that is no number of 0 or more", "",
                    "give 1 for Poisson arrivals, 0 for constant ones");
  }
  for (const Pool pool : {Pool::aggregated, Pool::prefill, Pool::decode}) {
    if (setup_.has(pool)) {
      state(pool).instances = setup_.pool(pool).instances;
      state(pool).demand = use(pool, 1, 0, 0).energy(setup_.pool(pool).model, {}) / seconds(1);
    }
  }
}

FluidService::PoolState& FluidService::state(Pool pool) {
  return pools_[static_cast<std::size_t>(pool)];
}

int FluidService::instances(Pool pool) const {
  return pools_[static_cast<std::size_t>(pool)].instances;
}

Watts FluidService::demand(Pool pool) const {
  return pools_[static_cast<std::size_t>(pool)].demand;
}

void FluidService::set_speed(Pool pool, PhaseSpeed speed) {
  const auto fits = [](double ratio) { return ratio > 0 && ratio <= 1; };
  if (!fits(speed.prefill_ratio) || !fits(speed.decode_ratio)) {
    throw_defect("a relative speed outside (0, 1]");
  }
  state(pool).speed = speed;
}

void FluidService::set_instances(Pool pool, int instances) {
  if (instances < 0 || !setup_.has(pool)) {
    throw_defect("a number of instances that no pool can have");
  }
  state(pool).instances = instances;
}

double FluidService::batch(Pool pool, double prefill_ratio) const {
  const double instances = this->instances(pool);
  if (instances == 0) {
    return 0;
  }
  const double mean = decoding_ / instances;
  const double most = setup_.pool(pool).model.most_sequences;
  return std::min({mean + prefill_ratio * (1 - 1 / instances),
                   prefill_ratio < 1 ? mean / (1 - prefill_ratio) : mean, most});
}

double FluidService::step_seconds(Pool pool, double sequences) const {
  const InstanceModel& model = setup_.pool(pool).model;
  const double ratio = pools_[static_cast<std::size_t>(pool)].speed.decode_ratio;
  const double running = busy_batch(instances(pool), sequences);
  return in_seconds(model.step_base + model.step_per_sequence * running) / ratio;
}

double FluidService::end_rate_per_second(Pool pool, double prefill_ratio) const {
  const double instances = this->instances(pool);
  if (instances == 0) {
    return 0;
  }
  const double running = batch(pool, prefill_ratio);
  const double more = decoding_ > 0 ? running * instances / decoding_ : 1;
  return (1 - prefill_ratio) * more / (step_seconds(pool, running) * mean_steps_);
}

PoolUse FluidService::use(Pool pool, double length_seconds, double prefill_ratio,
                          double sequences) const {
  PoolUse use;
  const double instances = this->instances(pool);
  if (instances == 0) {
    return use;
  }
  const double all = instances * length_seconds * static_cast<double>(kNanosecondsPerSecond);
  const double rest = all * (1 - prefill_ratio);
  const double busy = rest * busy_share(instances, sequences);
  const double rising = static_cast<double>(setup_.pool(pool).model.power.rising_sequences);
  use.prefill_nanoseconds = std::llround(all * prefill_ratio);
  use.decode_nanoseconds = std::llround(busy);
  use.sequence_nanoseconds =
      std::llround(busy * std::min(busy_batch(instances, sequences), rising));
  use.idle_nanoseconds = std::llround(rest - busy);
  return use;
}

/// What is prefilled of the queue and the arrivals; the rest waits.
FluidService::Flow FluidService::prefill(Pool pool, double length_seconds, double arrived) {
  Flow flow;
  const InstanceModel& model = setup_.pool(pool).model;
  const double instances = this->instances(pool);
  const double rate = in_tokens_per_second(model.prefill_rate) * state(pool).speed.prefill_ratio;
  flow.prefill_seconds = mean_input_ / rate;
  flow.hold_seconds = flow.prefill_seconds;
  flow.wait_instances = std::max(1.0, instances);
  const double time = instances * length_seconds;
  queued_ += arrived;
  flow.prefilled = std::min(queued_, time / flow.prefill_seconds);
  if (pool == Pool::aggregated && time > 0) {
    const double step = step_seconds(pool, decoding_ / instances);
    if (mean_steps_ > 0) {
      // Sequences that would end without prefills; each prefill takes its part of the time.
      const double passed = end_rate_per_second(pool, 0) * length_seconds;
      const double ends = decoding_ * -std::expm1(-passed);
      const double room = instances * model.most_sequences - decoding_ + ends;
      const double most = room / (kept_of_joined(passed) + ends * flow.prefill_seconds / time);
      flow.prefilled = std::clamp(most, 0.0, flow.prefilled);
    }
    flow.prefill_ratio = std::min(1.0, flow.prefilled * flow.prefill_seconds / time);
    flow.hold_seconds += step / 2 * busy_share(instances, decoding_ / instances);
  }
  queued_ = std::max(0.0, queued_ - flow.prefilled);
  return flow;
}

/// What decodes, joins and ends.
void FluidService::decode(Pool pool, double length_seconds, Flow& flow) {
  const double instances = this->instances(pool);
  if (mean_steps_ <= 0) {
    flow.ended = flow.prefilled;
    return;
  }
  const double passed = end_rate_per_second(pool, flow.prefill_ratio) * length_seconds;
  const double kept = std::exp(-passed);
  flow.joined = flow.prefilled;
  if (pool == Pool::decode) {
    const double room = instances * setup_.pool(pool).model.most_sequences - decoding_ * kept;
    handed_over_ += flow.prefilled;
    flow.joined = std::clamp(room / kept_of_joined(passed), 0.0, handed_over_);
    handed_over_ -= flow.joined;
  }
  const double before = decoding_;
  decoding_ = decoding_ * kept + flow.joined * kept_of_joined(passed);
  flow.ended = before + flow.joined - decoding_;
}

double FluidService::random_wait_seconds(const Flow& flow, double instances,
                                         double length_seconds) const {
  const double hold = flow.hold_seconds;
  const double utilisation =
      std::min(kMostUtilisation, flow.prefilled * hold / (instances * length_seconds));
  const double share = flow.prefill_seconds / hold;
  const double variation = (arrival_variation_ + input_variation_ * share * share) / 2;
  return variation * hold * std::pow(utilisation, std::sqrt(2 * (instances + 1)) - 1) /
         (instances * (1 - utilisation));
}

void FluidService::tell_times(Pool decoding, double length_seconds, const Flow& flow,
                              FluidStep& out) const {
  if (flow.prefilled <= 0) {
    return;
  }
  const double ttft = queued_ * length_seconds / flow.prefilled + flow.hold_seconds +
                      random_wait_seconds(flow, flow.wait_instances, length_seconds);
  out.ttft = seconds(ttft);
  if (mean_steps_ <= 0) {
    out.request = out.ttft;
    return;
  }
  if (this->instances(decoding) == 0 || flow.prefill_ratio >= 1) {
    return;
  }
  double decode = 1 / end_rate_per_second(decoding, flow.prefill_ratio);
  if (decoding == Pool::decode) {
    const double instances = this->instances(decoding);
    const double sequences = decoding_ / instances;
    decode += step_seconds(decoding, sequences) / 2 * busy_share(instances, sequences);
    decode += flow.joined > 0 ? handed_over_ * length_seconds / flow.joined : 0;
  }
  out.tpot = seconds(decode / mean_steps_);
  out.request = seconds(ttft + decode);
}

void FluidService::tell_uses(double length_seconds, const Flow& flow, FluidStep& out) {
  for (const Pool pool : {Pool::aggregated, Pool::prefill, Pool::decode}) {
    if (!setup_.has(pool)) {
      continue;
    }
    const double instances = this->instances(pool);
    const double sequences = pool == Pool::prefill ? 0 : batch(pool, flow.prefill_ratio);
    double prefill_ratio = flow.prefill_ratio;
    if (pool == Pool::prefill) {
      const double busy_seconds = flow.prefilled * flow.prefill_seconds;
      prefill_ratio =
          instances > 0 ? std::min(1.0, busy_seconds / (instances * length_seconds)) : 0;
    }
    PoolUse& of_pool = out.uses[static_cast<std::size_t>(pool)];
    of_pool = use(pool, length_seconds, prefill_ratio, sequences);
    const Joules energy = of_pool.energy(setup_.pool(pool).model, std::nullopt);
    out.energy += energy;
    state(pool).demand = energy / seconds(length_seconds);
  }
}

FluidStep FluidService::step(Seconds length, double rate_per_second) {
  FluidStep out;
  const double length_seconds = in_seconds(length);
  const bool has_pools = !setup_.has(Pool::aggregated);
  const Pool first = has_pools ? Pool::prefill : Pool::aggregated;
  const Pool second = has_pools ? Pool::decode : Pool::aggregated;
  out.arrived_requests = rate_per_second * length_seconds;
  Flow flow = prefill(first, length_seconds, out.arrived_requests);
  decode(second, length_seconds, flow);
  tell_uses(length_seconds, flow, out);
  out.completed_requests = flow.ended;
  out.queued_requests = queued_ + handed_over_;
  out.decoding_requests = decoding_;
  out.input_tokens = tokens(flow.prefilled * mean_input_);
  out.output_tokens = tokens(flow.prefilled + flow.ended * std::max(0.0, mean_steps_));
  tell_times(second, length_seconds, flow, out);
  return out;
}

}  // namespace perwatt::simulate
