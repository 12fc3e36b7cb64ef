#include "request_work.hpp"

#include <algorithm>
#include <utility>

namespace perwatt::simulate {

namespace {

constexpr Pool kEveryPool[] = {Pool::aggregated, Pool::prefill, Pool::decode};

RequestStream stream_of(const ServicePlan& plan, Seconds span, std::uint64_t seed) {
  if (const auto* steady = std::get_if<SteadyArrivals>(&plan.arrivals)) {
    ArrivalPlan arrivals;
    arrivals.pattern = steady->pattern;
    arrivals.rate_per_second = steady->rate_per_second;
    arrivals.burstiness = steady->burstiness;
    arrivals.burst_size = steady->burst_size;
    arrivals.duration = span;
    arrivals.seed = seed;
    return RequestStream::of_arrivals(arrivals, plan.lengths);
  }
  if (const auto* daily = std::get_if<DailyArrivals>(&plan.arrivals)) {
    return RequestStream::of_daily_rate(daily->rate, daily->pattern, daily->burstiness,
                                        plan.lengths, seed);
  }
  const auto& trace = std::get<TraceArrivals>(plan.arrivals);
  TraceUse use;
  use.rate_ratio = trace.rate_ratio;
  use.is_looped = true;
  use.seed = seed;
  return RequestStream::of_trace(trace.trace, use);
}

}  // namespace

RequestWork::RequestWork(const ServicePlan& plan, Seconds span, std::uint64_t seed)
    : ServiceWork{plan}, service_{plan.setup}, lengths_{seed} {
  if (const auto* loop = std::get_if<ClosedLoop>(&plan.arrivals)) {
    loop_ = *loop;
  } else {
    feed_.emplace(stream_of(plan, span, seed));
  }
  for (const Pool pool : kEveryPool) {
    if (!plan.setup.has(pool)) {
      continue;
    }
    const auto& setup = plan.setup.pool(pool);
    const auto each = static_cast<std::size_t>(setup.model.gpus);
    const std::span all{plan.gpus[static_cast<std::size_t>(pool)]};
    for (std::size_t i = 0; i < static_cast<std::size_t>(setup.instances); ++i) {
      instances_.push_back({pool, all.subspan(i * each, each), false, 1, {}});
    }
  }
}

void RequestWork::feed(Instant until) {
  if (feed_) {
    feed_->advance(service_, until);
    return;
  }
  for (; sent_ - service_.counts().completed < loop_->clients; ++sent_) {
    service_.offer({service_.now(), draw_tokens(plan_.lengths.input, lengths_),
                    draw_tokens(plan_.lengths.output, lengths_)});
  }
  service_.advance_to(until);
}

/// An instance goes down with the first of its GPUs, and up with the last.
void RequestWork::fail_or_resume(std::size_t index, bool is_up) {
  auto& instance = instances_[index];
  if (is_up == instance.is_failed) {
    instance.is_failed = !is_up;
    is_up ? service_.resume(index) : service_.fail(index);
  }
}

/// A board regulates the mean of its draw, over about a step: phases that fit in the mean are not
/// slowed. Returns the speed of what the instance does.
double RequestWork::set_speed(std::size_t index, const InForce& in_force) {
  auto& instance = instances_[index];
  const auto& [is_up, cap, clock_ratio] = in_force;
  fail_or_resume(index, is_up);
  instance.clock_ratio = clock_ratio;
  const Watts idle = plan_.setup.pool(instance.pool).model.power.idle;
  const auto& law = plan_.laws[static_cast<std::size_t>(instance.pool)];
  const Watts wanted = instance.wanted;
  const PhaseSpeed speed{clock_ratio * speed_at(cap, wanted, idle, law.prefill_exponent),
                         clock_ratio * speed_at(cap, wanted, idle, law.decode_exponent)};
  service_.set_speed(index, speed);
  if (instance.pool == Pool::aggregated) {
    return (speed.prefill_ratio + speed.decode_ratio) / 2;
  }
  return instance.pool == Pool::prefill ? speed.prefill_ratio : speed.decode_ratio;
}

/// Of each GPU: what its phases ask for at its clock.
Watts RequestWork::wanted(const Instance& instance, const PoolUse& use, Seconds length) const {
  const auto model =
      at_clock(plan_.setup.pool(instance.pool).model,
               plan_.laws[static_cast<std::size_t>(instance.pool)], instance.clock_ratio);
  return use.energy(model, std::nullopt) / (length * static_cast<double>(model.gpus));
}

void RequestWork::step(Instant until, Plant& plant, const GpuStates& gpus,
                       std::span<Watts> demands) {
  const Seconds length = until - service_.now();
  double speeds = 0;
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    speeds += set_speed(i, in_force(instances_[i].gpus, plant, gpus));
  }
  count_speed(speeds / static_cast<double>(instances_.size()));
  feed(until);
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    auto& instance = instances_[i];
    instance.wanted = wanted(instance, service_.take_use(i), length);
    for (const auto gpu : instance.gpus) {
      plant.set_demand(gpu, instance.wanted);
      demands[gpu.value] = instance.wanted;
    }
  }
}

}  // namespace perwatt::simulate
