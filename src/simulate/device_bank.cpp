#include "device_bank.hpp"

#include <algorithm>
#include <cmath>

#include "counter_random.hpp"

namespace perwatt::simulate {

namespace {

/// Above every demand, and still a float when an overshoot multiplies it.
constexpr float kNoCapWatts = 1e9F;

float part_kept(Seconds time_constant, std::int64_t step_ns) {
  if (time_constant == Seconds{}) {
    return 0;
  }
  const double steps = in_seconds(time_constant) * kNanosecondsPerSecond;
  return static_cast<float>(std::exp(-static_cast<double>(step_ns) / steps));
}

struct Lags {
  float response_kept;
  float regulation_kept;
  float overshoot_ratio;
};

/// No branch and no call, so that it becomes vector code.
void settle_draws(std::size_t count, Lags lags, const float* __restrict want,
                  const float* __restrict cap, float* __restrict ceiling, float* __restrict draw) {
  const float response_kept = lags.response_kept;
  const float regulation_kept = lags.regulation_kept;
  const float overshoot_ratio = lags.overshoot_ratio;
  for (std::size_t i = 0; i < count; ++i) {
    const float top = overshoot_ratio * cap[i];
    float held = cap[i] + regulation_kept * (ceiling[i] - cap[i]);
    held = held < top ? held : top;
    held = held > cap[i] ? held : cap[i];
    held = want[i] > cap[i] ? held : top;
    ceiling[i] = held;
    const float aim = want[i] < held ? want[i] : held;
    draw[i] = aim + response_kept * (draw[i] - aim);
  }
}

}  // namespace

std::int64_t steps_lasting(std::int64_t time_ns, std::int64_t step_ns) {
  return time_ns / step_ns + (time_ns % step_ns != 0 ? 1 : 0);
}

DeviceBank::DeviceBank(const PlantSpec& spec)
    : seed_{spec.seed}, step_ns_{spec.step_ns}, kind_{spec.kind_of_device} {
  for (const auto& kind : spec.kinds) {
    responses_.push_back({static_cast<float>(in_watts(kind.idle)),
                          part_kept(kind.response, step_ns_), part_kept(kind.regulation, step_ns_),
                          static_cast<float>(kind.overshoot_ratio),
                          static_cast<float>(in_watts(kind.lowest_cap)),
                          static_cast<float>(in_watts(kind.highest_cap)),
                          static_cast<float>(in_watts(kind.cap_resolution)),
                          steps_lasting(kind.least_latency_ns, step_ns_),
                          steps_lasting(kind.most_latency_ns, step_ns_)});
  }
  const std::size_t count = kind_.size();
  demand_.assign(count, 0);
  other_cap_.assign(count, kNoCapWatts);
  lit_.assign(count, 1);
  switched_on_.assign(count, 1);
  powered_.assign(count, 1);
  refuses_.assign(count, 0);
  ignores_.assign(count, 0);
  extra_latency_steps_.assign(count, 0);
  writes_.assign(count, 0);
  last_due_.assign(count, 0);
  for (std::size_t d = 0; d < count; ++d) {
    const auto& response = response_of(d);
    want_.push_back(response.idle_watts);
    written_cap_.push_back(response.highest_cap_watts);
    cap_.push_back(response.highest_cap_watts);
    ceiling_.push_back(response.overshoot_ratio * response.highest_cap_watts);
    draw_.push_back(response.idle_watts);
    const auto index = static_cast<std::uint32_t>(d);
    if (runs_.empty() || runs_.back().kind != kind_[d]) {
      runs_.push_back({index, index, kind_[d]});
    }
    runs_.back().end = index + 1;
  }
}

void DeviceBank::refresh_want(std::size_t device) {
  want_[device] = lit_[device] * std::max(response_of(device).idle_watts, demand_[device]);
}

void DeviceBank::set_demands(std::size_t first, std::span<const float> demand_watts) {
  std::copy(demand_watts.begin(), demand_watts.end(),
            demand_.begin() + static_cast<std::ptrdiff_t>(first));
  const std::size_t end = first + demand_watts.size();
  auto run = std::upper_bound(runs_.begin(), runs_.end(), first,
                              [](std::size_t device, const Run& r) { return device < r.end; });
  for (; first < end; ++run) {
    const float idle = responses_[run->kind].idle_watts;
    const std::size_t until = std::min<std::size_t>(end, run->end);
    for (; first < until; ++first) {
      want_[first] = lit_[first] * std::max(idle, demand_[first]);
    }
  }
}

void DeviceBank::set_on(std::size_t device, bool on) {
  switched_on_[device] = on ? 1 : 0;
  set_powered(device, device + 1, powered_[device] != 0);
}

void DeviceBank::set_powered(std::size_t first, std::size_t end, bool powered) {
  for (std::size_t d = first; d < end; ++d) {
    powered_[d] = powered ? 1 : 0;
    const float lit = powered && switched_on_[d] != 0 ? 1.0F : 0.0F;
    if (lit != lit_[d]) {
      lit_[d] = lit;
      draw_[d] = lit * response_of(d).idle_watts;
      refresh_want(d);
    }
  }
}

void DeviceBank::put_cap_in_force(std::size_t device) {
  const float cap = ignores_[device] != 0 ? kNoCapWatts : reported_cap_watts(device);
  cap_[device] = std::max(cap, response_of(device).idle_watts);
}

float DeviceBank::reported_cap_watts(std::size_t device) const {
  return std::min(written_cap_[device], other_cap_[device]);
}

CapWrite DeviceBank::write_cap(std::size_t device, float cap_watts, std::int64_t steps_done) {
  const auto& kind = response_of(device);
  const std::uint64_t number = writes_[device]++;
  if (refuses_[device] != 0) {
    return CapWrite::refused;
  }
  if (!(cap_watts >= kind.lowest_cap_watts && cap_watts <= kind.highest_cap_watts)) {
    return CapWrite::out_of_range;
  }
  if (kind.cap_resolution_watts > 0) {
    const float cut = std::floor(cap_watts / kind.cap_resolution_watts) * kind.cap_resolution_watts;
    cap_watts = std::max(cut, kind.lowest_cap_watts);
  }
  const auto range =
      static_cast<std::uint64_t>(kind.most_latency_steps - kind.least_latency_steps + 1);
  const auto bits = random_bits(seed_, RandomUse::latency, device, number);
  const auto latency =
      kind.least_latency_steps + static_cast<std::int64_t>(random_below(bits, range));
  const std::int64_t due =
      std::max(last_due_[device], steps_done + latency + extra_latency_steps_[device]);
  last_due_[device] = due;
  pending_[due].push_back({static_cast<std::uint32_t>(device), cap_watts});
  return CapWrite::accepted;
}

void DeviceBank::set_faults(std::size_t device, const DeviceFaults& faults) {
  refuses_[device] = faults.refuses_caps ? 1 : 0;
  ignores_[device] = faults.ignores_caps ? 1 : 0;
  extra_latency_steps_[device] = steps_lasting(faults.extra_latency_ns, step_ns_);
  other_cap_[device] =
      faults.other_cap ? static_cast<float>(in_watts(*faults.other_cap)) : kNoCapWatts;
  put_cap_in_force(device);
}

void DeviceBank::settle(const Run& run) {
  const auto& kind = responses_[run.kind];
  settle_draws(run.end - run.first,
               {kind.response_kept, kind.regulation_kept, kind.overshoot_ratio},
               want_.data() + run.first, cap_.data() + run.first, ceiling_.data() + run.first,
               draw_.data() + run.first);
}

void DeviceBank::step(std::int64_t steps_done) {
  while (!pending_.empty() && pending_.begin()->first <= steps_done) {
    for (const auto& write : pending_.begin()->second) {
      written_cap_[write.device] = write.cap_watts;
      put_cap_in_force(write.device);
    }
    pending_.erase(pending_.begin());
  }
  for (const auto& run : runs_) {
    settle(run);
  }
}

}  // namespace perwatt::simulate
