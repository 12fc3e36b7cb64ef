#include "fault_runner.hpp"

#include <algorithm>
#include <limits>

#include "scenario_reader.hpp"

#include "perwatt/base/hash.hpp"
#include "perwatt/base/random.hpp"
#include "perwatt/control/feed_limits.hpp"
#include "perwatt/topology/loads.hpp"

namespace perwatt::simulate {

namespace {

constexpr std::int64_t kLongestDelayNs = 86'400 * kNanosecondsPerSecond;  // that a plant takes

bool is_of_sensor(FaultKind kind) {
  return kind >= FaultKind::sensor_frozen && kind <= FaultKind::sensor_scaled;
}

SensorFault sensor_fault(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::sensor_frozen:
    case FaultKind::meter_frozen:
      return {SensorFaultKind::frozen_new_time, 1};
    case FaultKind::sensor_stale:
      return {SensorFaultKind::stale, 1};
    case FaultKind::sensor_missing:
    case FaultKind::meter_missing:
      return {SensorFaultKind::missing, 1};
    default:
      return {SensorFaultKind::scaled, fault.factor};
  }
}

bool is_of_devices(FaultKind kind) {
  return kind == FaultKind::node_off || is_of_sensor(kind) ||
         (kind >= FaultKind::cap_ignored && kind <= FaultKind::agent_killed);
}

struct DeviceState {
  bool is_off = false;
  bool has_agent = true;
  SensorFault sensor;
  DeviceFaults actuation;
};

void add(const Fault& fault, DeviceState& state) {
  switch (fault.kind) {
    case FaultKind::node_off:
      state.is_off = true;
      state.has_agent = false;  // it dies with its node
      return;
    case FaultKind::agent_killed:
      state.has_agent = false;
      return;
    case FaultKind::cap_ignored:
      state.actuation.ignores_caps = true;
      return;
    case FaultKind::cap_refused:
      state.actuation.refuses_caps = true;
      return;
    case FaultKind::cap_late:
      state.actuation.extra_latency_ns =
          std::min(kLongestDelayNs,
                   state.actuation.extra_latency_ns +
                       static_cast<std::int64_t>(in_seconds(fault.delay) * kNanosecondsPerSecond));
      return;
    case FaultKind::other_writer: {
      auto& held = state.actuation.other_cap;
      held = held ? std::min(*held, fault.power) : fault.power;
      return;
    }
    default:
      state.sensor = sensor_fault(fault);
  }
}

}  // namespace

FaultRunner::FaultRunner(const Scenario& scenario, Instant origin, Seconds span, std::uint64_t seed)
    : tree_{scenario.tree}, origin_{origin}, faults_{scenario.faults} {
  if (scenario.failures) {
    draw_failures(*scenario.failures, span, seed);
  }
  for (std::size_t f = 0; f < faults_.size(); ++f) {
    events_.push_back({origin_ + faults_[f].at, f, true});
    events_.push_back({origin_ + faults_[f].at + faults_[f].lasts, f, false});
  }
  std::stable_sort(events_.begin(), events_.end(),
                   [](const Event& a, const Event& b) { return a.at < b.at; });
}

void FaultRunner::draw_failures(const RandomFailures& failures, Seconds span, std::uint64_t seed) {
  for (std::uint32_t n = 0; n < tree_.nodes().size(); ++n) {
    if (tree_.nodes()[n].kind != failures.level) {
      continue;
    }
    std::mt19937_64 random{seed ^ fnv1a(tree_.nodes()[n].id)};  // whatever else is there
    Seconds at = failures.mean_time_between * unit_exponential(random);
    while (at < span) {
      Fault fault;
      fault.at = at;
      fault.lasts = failures.repair_takes;
      fault.node = {n};
      faults_.push_back(fault);
      at += failures.repair_takes + failures.mean_time_between * unit_exponential(random);
    }
  }
}

std::vector<std::string> FaultRunner::step(Instant now, Plant& plant, GpuStates& gpus,
                                           Policy& policy) {
  std::vector<std::string> told;
  for (; next_ < events_.size() && events_[next_].at <= now; ++next_) {
    const auto& [at, fault, begins] = events_[next_];
    change(fault, begins, now, plant, gpus, policy);
    const auto kind = faults_[fault].kind;
    std::string text = std::string{to_string(kind)};
    if (kind != FaultKind::messages_lost && kind != FaultKind::controller_killed) {
      text += " at " + tree_.node(faults_[fault].node).id;
    }
    told.push_back(text + (begins ? " began" : " ended"));
  }
  return told;
}

/// What all active faults make of the devices below that of `fault`.
void FaultRunner::apply_to_devices(const Fault& fault, Instant now, Plant& plant, GpuStates& gpus,
                                   Policy& policy) const {
  const auto devices = devices_below(tree_, fault.node);
  std::vector<DeviceState> states(devices.size());
  for (const auto f : active_) {
    if (!is_of_devices(faults_[f].kind)) {
      continue;
    }
    for (const auto device : devices_below(tree_, faults_[f].node)) {
      const auto found = std::lower_bound(devices.begin(), devices.end(), device);
      if (found != devices.end() && *found == device) {
        add(faults_[f], states[static_cast<std::size_t>(found - devices.begin())]);
      }
    }
  }
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const auto device = devices[i];
    if (is_of_sensor(fault.kind)) {
      plant.set_sensor_fault(device, states[i].sensor);
    } else if (fault.kind == FaultKind::node_off) {
      plant.set_on(device, !states[i].is_off && gpus.is_unused[device.value] == 0 &&
                               gpus.is_stopped[device.value] == 0);
      gpus.is_off[device.value] = states[i].is_off;
    } else {
      plant.set_faults(device, states[i].actuation);
      gpus.ignores_its_cap[device.value] = states[i].actuation.ignores_caps;
    }
  }
  if (fault.kind == FaultKind::node_off || fault.kind == FaultKind::agent_killed) {
    std::vector<topology::DeviceIndex> gone;
    std::vector<topology::DeviceIndex> there;
    for (std::size_t i = 0; i < devices.size(); ++i) {
      (states[i].has_agent ? there : gone).push_back(devices[i]);
    }
    policy.stop_agents(gone, now);
    policy.start_agents(there, now);
  }
}

const Fault* FaultRunner::last_active(FaultKind kind, topology::NodeIndex node) const {
  const Fault* last = nullptr;
  for (const auto f : active_) {
    last = faults_[f].kind == kind && faults_[f].node == node ? &faults_[f] : last;
  }
  return last;
}

const Fault* FaultRunner::last_active_of_meter(topology::NodeIndex node) const {
  const Fault* last = nullptr;
  for (const auto kind :
       {FaultKind::meter_frozen, FaultKind::meter_missing, FaultKind::meter_scaled}) {
    const Fault* one = last_active(kind, node);
    last = last == nullptr || (one != nullptr && one > last) ? one : last;  // of one vector
  }
  return last;
}

double FaultRunner::message_loss() const {
  double most = 0;
  for (const auto f : active_) {
    most = faults_[f].kind == FaultKind::messages_lost ? std::max(most, faults_[f].factor) : most;
  }
  return most;
}

void FaultRunner::count_over_lowered(Instant now, const Plant& plant, Seconds step,
                                     LoweredLimits& lowered) const {
  for (const auto f : active_) {
    const auto& fault = faults_[f];
    if (fault.kind != FaultKind::limit_lowered || now - origin_ < fault.at + kLoweredGrace) {
      continue;
    }
    const Watts supply = watts(plant.supply_watts()[fault.node.value]);
    if (topology::passes(supply, fault.power)) {
      lowered.time_over += step;
      lowered.energy_over += (supply - fault.power) * step;
    }
  }
}

void FaultRunner::tell_limits(Policy& policy) const {
  std::vector<topology::NodeIndex> lost;
  auto limits = control::steady_limits(tree_);
  for (const auto f : active_) {
    const auto& fault = faults_[f];
    if (fault.kind == FaultKind::feed_lost) {
      lost.push_back(fault.node);
    }
    if (fault.kind == FaultKind::limit_lowered) {
      limits[fault.node.value] = std::min(limits[fault.node.value], fault.power);
    }
  }
  policy.set_limits(control::limits_without(tree_, lost, limits));
}

void FaultRunner::change(std::size_t f, bool begins, Instant now, Plant& plant, GpuStates& gpus,
                         Policy& policy) {
  const auto& fault = faults_[f];
  if (begins) {
    active_.insert(std::upper_bound(active_.begin(), active_.end(), f), f);
  } else {
    std::erase(active_, f);
  }
  switch (fault.kind) {
    case FaultKind::feed_lost:
      plant.set_breaker_open(fault.node, last_active(fault.kind, fault.node) != nullptr);
      tell_limits(policy);
      return;
    case FaultKind::limit_lowered:
      tell_limits(policy);
      return;
    case FaultKind::meter_frozen:
    case FaultKind::meter_missing:
    case FaultKind::meter_scaled: {
      const Fault* meter = last_active_of_meter(fault.node);
      plant.set_sensor_fault(fault.node, meter != nullptr ? sensor_fault(*meter) : SensorFault{});
      return;
    }
    case FaultKind::messages_lost:
      policy.set_message_loss(message_loss());
      return;
    case FaultKind::controller_killed:
      if (begins) {
        policy.kill_controller(now);
      } else if (last_active(fault.kind, {}) == nullptr) {
        policy.restart_controller(now);
      }
      return;
    default:
      apply_to_devices(fault, now, plant, gpus, policy);
  }
}

}  // namespace perwatt::simulate
