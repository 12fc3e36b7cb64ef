// The agent in the caller's process.
#include <optional>

#include "perwatt/agent/agent_link.hpp"

namespace perwatt::agent {

namespace {

class LocalLink final : public AgentLink {
 public:
  Fault renew(std::uint32_t devices) override {
    agent_.emplace(devices);
    return std::nullopt;
  }

  void kill() override { agent_.reset(); }

  Fault start(std::span<const StartedDevice> devices, device::AgentEpoch epoch,
              Instant now) override {
    if (!agent_) {
      return gone();
    }
    agent_->start(devices, epoch, now);
    return std::nullopt;
  }

  Fault stop(std::span<const std::uint32_t> devices) override {
    if (!agent_) {
      return gone();
    }
    agent_->stop(devices);
    return std::nullopt;
  }

  Result<std::span<const device::CapCommand>> look(Instant now,
                                                   std::span<const TakenGrant> grants) override {
    if (!agent_) {
      return gone();
    }
    return agent_->look(now, grants);
  }

  Result<std::span<const Spoken>> speak(Instant now, std::span<const Watts> enforced) override {
    if (!agent_) {
      return gone();
    }
    return agent_->speak(now, enforced);
  }

 private:
  static Failure gone() { return {"it was killed, or has not begun"}; }

  std::optional<NodeAgent> agent_;
};

}  // namespace

std::unique_ptr<AgentLink> make_local_link() {
  return std::make_unique<LocalLink>();
}

}  // namespace perwatt::agent
