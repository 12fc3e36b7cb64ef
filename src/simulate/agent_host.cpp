#include "agent_host.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "perwatt/base/error.hpp"

namespace perwatt::simulate {

AgentHost::AgentHost(const PolicySite& site, std::vector<agent::LeaseLimits> limits)
    : platform_{site.platform},
      is_in_control_{site.plan.mode == control::Mode::control},
      devices_{site.scenario.tree.devices()},
      limits_{std::move(limits)},
      link_{site.means.agents ? agent::make_process_link(*site.means.agents)
                              : agent::make_local_link()},
      has_agent_(limits_.size(), 1),
      written_(limits_.size(), watts(-1)),
      enforced_(limits_.size()) {
  for (std::uint32_t d = 0; d < limits_.size(); ++d) {
    wanted_.push_back(whole(d, limits_[d].fail_safe));
    unwritten_.push_back(d);
  }
}

void AgentHost::start(Instant now) {
  if (const auto fault = begin(now)) {
    throw Error{ErrorCode::peer_failed,
                "the process of the agents does not start: " + fault->reason, "agents",
                "run them in this process: --agents inside"};
  }
}

void AgentHost::apply(Instant now) {
  if (state_ == State::up) {
    const auto caps = link_->look(now, grants_);
    if (caps) {
      for (const auto& [device, cap] : caps.value()) {
        want(device, whole(device, cap));
      }
    } else {
      lose(now, caps.reason());
    }
  }
  grants_.clear();  // who is gone takes none
  write();
}

std::span<const agent::Spoken> AgentHost::speak(Instant now) {
  if (state_ == State::lost) {
    static_cast<void>(begin(now));
  }
  if (state_ != State::up) {
    return {};
  }
  for (std::uint32_t d = 0; d < enforced_.size(); ++d) {
    enforced_[d] = enforced(d);
  }
  const auto spoken = link_->speak(now, enforced_);
  if (!spoken) {
    lose(now, spoken.reason());
    write();
    return {};
  }
  return spoken.value();
}

void AgentHost::stop(std::span<const topology::DeviceIndex> devices, Instant now) {
  std::vector<std::uint32_t> gone;
  for (const auto device : devices) {
    if (std::exchange(has_agent_[device.value], 0) != 0) {
      gone.push_back(device.value);
      guard(device.value);
    }
  }
  if (std::count(has_agent_.begin(), has_agent_.end(), 1) == 0) {
    link_->kill();
    state_ = State::none;
  } else if (state_ == State::up) {
    if (const auto fault = link_->stop(gone)) {
      lose(now, fault->reason);
    }
  }
}

void AgentHost::start(std::span<const topology::DeviceIndex> devices, Instant now) {
  std::vector<agent::StartedDevice> back;
  for (const auto device : devices) {
    if (std::exchange(has_agent_[device.value], 1) == 0) {
      back.push_back({device.value, limits_[device.value]});
    }
  }
  if (back.empty()) {
    return;
  }
  const auto fault = state_ == State::up ? link_->start(back, ++epoch_, now) : begin(now);
  if (fault) {
    lose(now, fault->reason);
  }
}

std::vector<std::string> AgentHost::take_messages() {
  return std::exchange(messages_, {});
}

/// All that are to have an agent get it, in a new process.
agent::AgentLink::Fault AgentHost::begin(Instant now) {
  std::vector<agent::StartedDevice> back;
  for (std::uint32_t d = 0; d < has_agent_.size(); ++d) {
    if (has_agent_[d] != 0) {
      back.push_back({d, limits_[d]});
    }
  }
  auto fault = link_->renew(static_cast<std::uint32_t>(limits_.size()));
  if (!fault) {
    fault = link_->start(back, ++epoch_, now);
  }
  state_ = fault ? State::lost : State::up;
  return fault;
}

/// It went by itself.
void AgentHost::lose(Instant now, const std::string& reason) {
  for (std::uint32_t d = 0; d < wanted_.size(); ++d) {
    guard(d);
  }
  const auto fault = begin(now);
  messages_.push_back("the process of the agents is gone (" + reason + "): devices at fail-safe; " +
                      (fault ? "it does not start: " + fault->reason : "started anew"));
}

void AgentHost::guard(std::uint32_t device) {
  want(device, whole(device, limits_[device].fail_safe));
}

void AgentHost::want(std::uint32_t device, Watts cap) {
  wanted_[device] = cap;
  if (cap != written_[device]) {
    unwritten_.push_back(device);
  }
}

/// An agent whose caps nobody writes is told that they are in force.
Watts AgentHost::enforced(std::uint32_t device) {
  return is_in_control_ ? platform_.enforced_cap(device).value_or(devices_[device].max)
                        : wanted_[device];
}

/// Devices take whole watts.
Watts AgentHost::whole(std::uint32_t device, Watts cap) const {
  return std::max(devices_[device].min, watts(std::floor(in_watts(cap))));
}

void AgentHost::write() {
  std::sort(unwritten_.begin(), unwritten_.end());
  unwritten_.erase(std::unique(unwritten_.begin(), unwritten_.end()), unwritten_.end());
  commands_.clear();
  for (const auto device : unwritten_) {
    if (is_in_control_ && wanted_[device] != written_[device]) {
      commands_.push_back({device, wanted_[device]});
    }
  }
  unwritten_.clear();
  if (commands_.empty()) {
    return;
  }
  answers_.resize(commands_.size());
  platform_.write(commands_, answers_);
  for (std::size_t i = 0; i < commands_.size(); ++i) {
    const auto [device, cap] = commands_[i];
    if (answers_[i] == device::CapAnswer::accepted) {
      written_[device] = cap;
    } else {
      unwritten_.push_back(device);  // it is tried again
    }
  }
}

}  // namespace perwatt::simulate
