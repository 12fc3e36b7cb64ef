#include "perwatt/agent/node_agent.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "perwatt/base/error.hpp"

namespace perwatt::agent {

namespace {

constexpr Instant kNever = Instant::from_nanoseconds(std::numeric_limits<std::int64_t>::max());

[[noreturn]] void refuse(const std::string& what) {
  throw_bad_input(what, "agent", "speak to it as docs/model/control.md#agents says");
}

bool are_in_order(const LeaseLimits& limits) {
  return limits.least >= Watts{} && limits.least <= limits.fail_safe &&
         limits.fail_safe <= limits.most && limits.settle >= Seconds{} &&
         limits.settle <= kLongestSettle;
}

}  // namespace

NodeAgent::NodeAgent(std::uint32_t devices) {
  if (devices > kMostDevices) {
    refuse(std::to_string(devices) + " devices are more than an agent takes");
  }
  leases_.resize(devices);
  epochs_.resize(devices);
  due_.assign(devices, kNever);
  next_due_ = kNever;
}

void NodeAgent::start(std::span<const StartedDevice> devices, device::AgentEpoch epoch,
                      Instant now) {
  check_time(now);
  for (const auto& one : devices) {
    check_device(one.device);
    if (epoch <= epochs_[one.device]) {
      refuse("start " + std::to_string(epoch) + " of a device is not above the one before");
    }
    if (!are_in_order(one.limits)) {
      refuse("the limits of a device are not in order");
    }
  }
  latest_ = now;
  for (const auto& one : devices) {
    leases_[one.device].emplace(one.limits, epoch, now);
    epochs_[one.device] = epoch;
    due_[one.device] = next_due_ = now;
  }
}

void NodeAgent::stop(std::span<const std::uint32_t> devices) {
  for (const auto device : devices) {
    check_device(device);
  }
  for (const auto device : devices) {
    leases_[device].reset();
    due_[device] = kNever;
  }
}

std::span<const device::CapCommand> NodeAgent::look(Instant now,
                                                    std::span<const TakenGrant> grants) {
  check_time(now);
  auto before = looked_;
  for (const auto& one : grants) {
    check_device(one.device);
    if (one.at > now || (before && one.at < *before)) {
      refuse("a grant is not of between two looks");
    }
    before = one.at;
  }
  latest_ = looked_ = now;
  for (const auto& one : grants) {
    if (auto& lease = leases_[one.device]) {
      if (lease->take(one.grant, one.at) == Answer::accepted) {  // else the next report says why
        due_[one.device] = next_due_ = now;
      }
    }
  }
  caps_.clear();
  if (now < next_due_) {
    return caps_;
  }
  next_due_ = kNever;
  for (std::uint32_t d = 0; d < leases_.size(); ++d) {
    if (due_[d] <= now) {
      caps_.push_back({d, leases_[d]->cap(now)});
      due_[d] = leases_[d]->expires().value_or(kNever);
    }
    next_due_ = std::min(next_due_, due_[d]);
  }
  return caps_;
}

std::span<const Spoken> NodeAgent::speak(Instant now, std::span<const Watts> enforced) {
  check_time(now);
  if (enforced.size() != leases_.size()) {
    refuse(std::to_string(enforced.size()) + " caps are read back for " +
           std::to_string(leases_.size()) + " devices");
  }
  latest_ = now;
  spoken_.clear();
  for (std::uint32_t d = 0; d < leases_.size(); ++d) {
    if (auto& lease = leases_[d]) {
      const auto ask = lease->ask(now);
      spoken_.push_back({d, ask, lease->report(now, enforced[d])});
    }
  }
  return spoken_;
}

void NodeAgent::check_device(std::uint32_t device) const {
  if (device >= leases_.size()) {
    refuse("there is no device " + std::to_string(device) + " of " +
           std::to_string(leases_.size()));
  }
}

void NodeAgent::check_time(Instant now) const {
  const bool is_in_range =
      now.nanoseconds() >= -kLastNanosecond && now.nanoseconds() <= kLastNanosecond;
  if (!is_in_range || (latest_ && now < *latest_)) {
    refuse("time runs back");
  }
}

}  // namespace perwatt::agent
