#include "perwatt/simulate/recorded_run.hpp"

#include <cmath>
#include <utility>

#include "job_curves.hpp"
#include "policy.hpp"

#include "perwatt/base/instant.hpp"
#include "perwatt/device/power_csv.hpp"
#include "perwatt/device/recorded_platform.hpp"

namespace perwatt::simulate {

namespace {

device::RecordedPlatform recording_of(const topology::PowerTree& tree, std::string_view csv,
                                      const std::string& name) {
  std::vector<device::RecordedDevice> devices;
  for (const auto& one : tree.devices()) {
    devices.push_back({one.id, {one.min, one.max}});
  }
  std::vector<std::string> nodes;
  for (const auto& node : tree.nodes()) {
    nodes.push_back(node.id);
  }
  device::PowerCsvOptions options;
  options.sorts_rows = true;
  return {device::parse_power_csv(csv, name, options, WallClock{}), name, devices, nodes};
}

}  // namespace

struct RecordedRun::Parts {
  Parts(const Scenario& whole, const PolicyPlan& policy, std::string_view csv,
        const std::string& name)
      : plan{policy},
        scenario{scenario_for(whole, policy)},
        platform{recording_of(scenario.tree, csv, name)},
        values{device_values(scenario)},
        step_time{scenario.plant.step()},
        steps{static_cast<std::int64_t>(
                  std::floor((platform.last() - platform.first()) / step_time)) +
              1},
        devices(scenario.tree.devices().size()),
        meters(scenario.tree.nodes().size()),
        managed{make_managed_policy({scenario, plan, whole.seed, platform, values, {}})} {
    look(platform.first());
    managed->start(platform.first());
  }

  void look(Instant now) {
    platform.play_to(now);
    platform.read(devices, meters);
  }

  void step() {
    const Instant now = platform.first() + step_time * static_cast<double>(done);
    look(now);
    managed->step(now);
    for (auto& text : managed->take_messages()) {
      events.push_back({step_time * static_cast<double>(done), std::move(text)});
    }
    ++done;
  }

  const PolicyPlan& plan;
  Scenario scenario;  // as it is under the policy
  device::RecordedPlatform platform;
  std::vector<DeviceValue> values;
  Seconds step_time;
  std::int64_t steps;
  std::int64_t done = 0;
  std::vector<Reading> devices;
  std::vector<Reading> meters;
  std::unique_ptr<Policy> managed;
  std::vector<RunEvent> events;
};

RecordedRun::RecordedRun(const Scenario& scenario, const PolicyPlan& policy, std::string_view csv,
                         const std::string& name)
    : parts_{std::make_unique<Parts>(scenario, policy, csv, name)} {}

RecordedRun::~RecordedRun() = default;
RecordedRun::RecordedRun(RecordedRun&&) noexcept = default;
RecordedRun& RecordedRun::operator=(RecordedRun&&) noexcept = default;

std::int64_t RecordedRun::steps() const {
  return parts_->steps;
}

std::int64_t RecordedRun::steps_done() const {
  return parts_->done;
}

Seconds RecordedRun::time() const {
  return parts_->step_time * static_cast<double>(parts_->done);
}

void RecordedRun::step() {
  parts_->step();
}

const topology::PowerTree& RecordedRun::tree() const {
  return parts_->scenario.tree;
}

std::span<const Reading> RecordedRun::devices() const {
  return parts_->devices;
}

std::span<const Reading> RecordedRun::meters() const {
  return parts_->meters;
}

std::span<const Watts> RecordedRun::advised_caps() const {
  return parts_->managed->advised_caps();
}

const std::vector<RunEvent>& RecordedRun::events() const {
  return parts_->events;
}

}  // namespace perwatt::simulate
