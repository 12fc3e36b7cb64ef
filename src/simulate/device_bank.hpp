// The devices of a plant, as arrays by device index: what each wants, its cap, its draw.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "perwatt/simulate/plant_meters.hpp"
#include "perwatt/simulate/plant_spec.hpp"

namespace perwatt::simulate {

class DeviceBank {
 public:
  /// REQUIRES: a checked spec with kind_of_device filled in.
  explicit DeviceBank(const PlantSpec& spec);

  void set_demands(std::size_t first, std::span<const float> demand_watts);
  void set_on(std::size_t device, bool on);

  /// Whether its node has power. Off is what is switched off or without power.
  void set_powered(std::size_t first, std::size_t end, bool powered);

  CapWrite write_cap(std::size_t device, float cap_watts, std::int64_t steps_done);
  void set_faults(std::size_t device, const DeviceFaults& faults);

  /// The step that begins when `steps_done` are done.
  void step(std::int64_t steps_done);

  [[nodiscard]] std::span<const float> draw_watts() const { return draw_; }

  [[nodiscard]] bool has_power(std::size_t device) const { return powered_[device] != 0; }

  [[nodiscard]] float reported_cap_watts(std::size_t device) const;

 private:
  struct Response {  // of a kind
    float idle_watts;
    float response_kept;    // part of the gap to the aim left after a step
    float regulation_kept;  // part of the excess over the cap left after a step
    float overshoot_ratio;
    float lowest_cap_watts;
    float highest_cap_watts;
    float cap_resolution_watts;
    std::int64_t least_latency_steps;
    std::int64_t most_latency_steps;
  };

  struct Run {  // neighbours of one kind
    std::uint32_t first;
    std::uint32_t end;
    std::uint32_t kind;
  };

  struct PendingCap {
    std::uint32_t device;
    float cap_watts;
  };

  [[nodiscard]] const Response& response_of(std::size_t device) const {
    return responses_[kind_[device]];
  }

  void put_cap_in_force(std::size_t device);
  void refresh_want(std::size_t device);
  void settle(const Run& run);

  std::uint64_t seed_;
  std::int64_t step_ns_;
  std::vector<Response> responses_;
  std::vector<Run> runs_;
  std::vector<std::uint16_t> kind_;

  // Read in every step.
  std::vector<float> want_;     // max(idle, demand) when on, else 0
  std::vector<float> cap_;      // what bounds the draw; kNoCap when it ignores its cap
  std::vector<float> ceiling_;  // what the device's own regulation lets through
  std::vector<float> draw_;

  // Read when something changes.
  std::vector<float> demand_;
  std::vector<float> written_cap_;
  std::vector<float> other_cap_;
  std::vector<float> lit_;  // 1 on, 0 off
  std::vector<char> switched_on_;
  std::vector<char> powered_;
  std::vector<char> refuses_;
  std::vector<char> ignores_;
  std::vector<std::int64_t> extra_latency_steps_;
  std::vector<std::uint32_t> writes_;  // made so far
  std::vector<std::int64_t> last_due_;
  std::map<std::int64_t, std::vector<PendingCap>> pending_;  // by the steps done when it acts
};

/// Whole steps that last `time_ns` or longer.
[[nodiscard]] std::int64_t steps_lasting(std::int64_t time_ns, std::int64_t step_ns);

}  // namespace perwatt::simulate
