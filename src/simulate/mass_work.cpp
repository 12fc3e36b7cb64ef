#include "mass_work.hpp"

#include <algorithm>
#include <cmath>

#include "perwatt/base/error.hpp"

namespace perwatt::simulate {

namespace {

constexpr Pool kMassPools[] = {Pool::aggregated, Pool::prefill, Pool::decode};

/// The whole part of `sum`, which keeps the rest.
std::int64_t take_whole(double& sum) {
  const double whole = std::floor(sum);
  sum -= whole;
  return static_cast<std::int64_t>(whole);
}

}  // namespace

double rate_at(const DailyRate& rate, Seconds time) {
  const double period = in_seconds(rate.period);
  const double at = std::fmod(in_seconds(rate.starts_at + time), period);
  const auto& points = rate.points;
  std::size_t next = 0;
  while (next < points.size() && in_seconds(points[next].at) <= at) {
    ++next;
  }
  const auto& from = points[next == 0 ? points.size() - 1 : next - 1];
  const auto& to = points[next % points.size()];
  const double begins = in_seconds(from.at);
  const double ends = next < points.size() ? in_seconds(to.at) : period + in_seconds(to.at);
  const double share = ends > begins ? (at - begins) / (ends - begins) : 0;
  return from.rate_per_second + (to.rate_per_second - from.rate_per_second) * share;
}

MassWork::MassWork(const ServicePlan& plan, std::uint64_t seed)
    : ServiceWork{plan}, twin_{plan.setup, plan.lengths, *plan.sample_ratio, seed} {
  for (const Pool pool : kMassPools) {
    if (plan.setup.has(pool)) {
      wanted_[static_cast<std::size_t>(pool)] = plan.setup.pool(pool).model.power.idle;
      is_up_[static_cast<std::size_t>(pool)].assign(
          static_cast<std::size_t>(plan.setup.pool(pool).instances), 1);
    }
  }
}

double MassWork::rate_per_second(Instant at) const {
  if (const auto* steady = std::get_if<SteadyArrivals>(&plan_.arrivals)) {
    return steady->rate_per_second;
  }
  return rate_at(std::get<DailyArrivals>(plan_.arrivals).rate, at - Instant{});
}

MassWork::PoolState MassWork::look(Pool pool, const Plant& plant, const GpuStates& gpus) {
  const std::span all{plan_.gpus[static_cast<std::size_t>(pool)]};
  const auto each = static_cast<std::size_t>(plan_.setup.pool(pool).model.gpus);
  PoolState state;
  double cap_watts = 0;
  for (std::size_t first = 0; first < all.size(); first += each) {
    const auto instance = in_force(all.subspan(first, each), plant, gpus);
    is_up_[static_cast<std::size_t>(pool)][first / each] = instance.is_up ? 1 : 0;
    state.up += instance.is_up ? 1 : 0;
    cap_watts += instance.is_up ? in_watts(instance.cap) : 0;
  }
  state.mean_cap = state.up > 0 ? watts(cap_watts / state.up) : kMostDeviceWatts;
  return state;
}

void MassWork::count(const FluidStep& step) {
  rests_.arrived += step.arrived_requests;
  rests_.completed += step.completed_requests;
  rests_.input += in_tokens(step.input_tokens);
  rests_.output += in_tokens(step.output_tokens);
  const auto sample = twin_.take_sample_record();
  LatencyRecord record;
  const auto stands_for = std::llround(1 / *plan_.sample_ratio);
  for (const auto histogram : {&LatencyRecord::wait, &LatencyRecord::ttft, &LatencyRecord::tpot,
                               &LatencyRecord::request}) {
    (record.*histogram).merge(sample.*histogram, stands_for);
  }
  record.arrived_requests = take_whole(rests_.arrived);
  record.completed_requests = take_whole(rests_.completed);
  record.input_tokens = take_whole(rests_.input);
  record.output_tokens = take_whole(rests_.output);
  record.completed_tokens = record.output_tokens;
  unfinished_ = std::llround(step.queued_requests + step.decoding_requests);
  undecided_output_ += static_cast<double>(record.output_tokens);
  if (sample.completed_tokens > 0) {
    const double good =
        static_cast<double>(sample.good_tokens) / static_cast<double>(sample.completed_tokens);
    record.good_tokens = std::llround(good * undecided_output_);
    undecided_output_ = 0;
  }
  record_.merge(record);
}

void MassWork::step(Instant until, Plant& plant, const GpuStates& gpus, std::span<Watts> demands) {
  const Seconds length = until - now_;
  double speed_sum = 0;
  double pools = 0;
  for (const Pool pool : kMassPools) {
    if (!plan_.setup.has(pool)) {
      continue;
    }
    const auto number = static_cast<std::size_t>(pool);
    const auto& law = plan_.laws[number];
    const Watts idle = plan_.setup.pool(pool).model.power.idle;
    const double clock = gpus.clock_ratios[plan_.gpus[number].front().value];
    const auto state = look(pool, plant, gpus);
    const PhaseSpeed speed{
        clock * speed_at(state.mean_cap, wanted_[number], idle, law.prefill_exponent),
        clock * speed_at(state.mean_cap, wanted_[number], idle, law.decode_exponent)};
    twin_.set_speed(pool, speed);
    twin_.set_instances(pool, state.up);
    speed_sum += pool == Pool::prefill  ? speed.prefill_ratio
                 : pool == Pool::decode ? speed.decode_ratio
                                        : (speed.prefill_ratio + speed.decode_ratio) / 2;
    pools += 1;
  }
  count_speed(speed_sum / pools);
  const auto done = twin_.step(length, rate_per_second(now_));
  now_ = until;
  count(done);
  for (const Pool pool : kMassPools) {
    if (plan_.setup.has(pool)) {
      set_demands(pool, done, length, plant, gpus, demands);
    }
  }
}

/// Instances that are down idle.
void MassWork::set_demands(Pool pool, const FluidStep& done, Seconds length, Plant& plant,
                           const GpuStates& gpus, std::span<Watts> demands) {
  const auto number = static_cast<std::size_t>(pool);
  const auto& all = plan_.gpus[number];
  const auto model = at_clock(plan_.setup.pool(pool).model, plan_.laws[number],
                              gpus.clock_ratios[all.front().value]);
  const int up = std::max(1, twin_.fluid().instances(pool));
  wanted_[number] = done.uses[number].energy(model, std::nullopt) /
                    (length * (static_cast<double>(up) * model.gpus));
  const auto each = static_cast<std::size_t>(model.gpus);
  demand_watts_.resize(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Watts wanted = is_up_[number][i / each] != 0 ? wanted_[number] : model.power.idle;
    demand_watts_[i] = static_cast<float>(in_watts(wanted));
    demands[all[i].value] = wanted;
  }
  want(all, demand_watts_, plant);
}

}  // namespace perwatt::simulate
