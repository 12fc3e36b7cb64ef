// The agents of a site as one agent::AgentLink, and the guardian of their devices: writes the caps
// that agents tell, and fail-safe to every device whose agent is gone, whatever took it.
//
// An agent that is gone is noticed at the latest by the next apply(), which writes: with one call
// in each step of the plant, that is the longest time between two looks that grants count with.
// docs/model/control.md#agents
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "policy.hpp"

#include "perwatt/agent/agent_link.hpp"
#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::simulate {

class AgentHost {
 public:
  /// `limits` by device. All of `site` outlives it.
  AgentHost(const PolicySite& site, std::vector<agent::LeaseLimits> limits);

  /// Throws Error(peer_failed) where the agents' process does not start.
  void start(Instant now);

  /// A grant that came in.
  void take(std::uint32_t device, const device::LeaseGrant& grant, Instant now) {
    grants_.push_back({now, device, grant});
  }

  /// What their agents want in force, by device: whole watts.
  [[nodiscard]] std::span<const Watts> wanted() const { return wanted_; }

  /// Writes all caps that have changed, where the controller is in control.
  void apply(Instant now);

  /// Asks and reports of the devices that have an agent, by rising number. After apply() of the
  /// same instant.
  [[nodiscard]] std::span<const agent::Spoken> speak(Instant now);

  /// Their agents are gone without a word; once all are, their process is killed.
  void stop(std::span<const topology::DeviceIndex> devices, Instant now);

  /// They begin anew, those that are gone.
  void start(std::span<const topology::DeviceIndex> devices, Instant now);

  /// What came unasked since the last call, in words.
  [[nodiscard]] std::vector<std::string> take_messages();

 private:
  enum class State : std::uint8_t {
    none,  // there is no device for it
    up,
    lost  // it went by itself and is to be begun anew
  };

  [[nodiscard]] agent::AgentLink::Fault begin(Instant now);
  void lose(Instant now, const std::string& reason);
  void guard(std::uint32_t device);
  void want(std::uint32_t device, Watts cap);
  [[nodiscard]] Watts whole(std::uint32_t device, Watts cap) const;
  void write();

  [[nodiscard]] Watts enforced(std::uint32_t device);

  device::Platform& platform_;
  bool is_in_control_;
  std::span<const topology::Device> devices_;
  std::vector<agent::LeaseLimits> limits_;
  std::unique_ptr<agent::AgentLink> link_;
  State state_ = State::none;
  device::AgentEpoch epoch_ = 0;          // of the last start of any
  std::vector<char> has_agent_;           // by device: or is to have one once its process is back
  std::vector<Watts> wanted_;             // by device
  std::vector<std::uint32_t> unwritten_;  // devices whose cap changed, or was refused
  std::vector<Watts> written_;            // by device
  std::vector<agent::TakenGrant> grants_;
  std::vector<Watts> enforced_;
  std::vector<device::CapCommand> commands_;
  std::vector<device::CapAnswer> answers_;
  std::vector<std::string> messages_;
};

}  // namespace perwatt::simulate
