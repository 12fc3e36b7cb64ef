// How whoever has the devices speaks to the agent that has their leases: in the same process, or in
// one of its own. Both give the same answers, bit for bit; a process may be gone.
//
// The caller is the guardian of its devices: once a call says that the agent is gone it must write
// fail-safe to all that the agent had, within the longest time between two looks that it told those
// who grant. Then renew() and start() with a higher epoch: docs/model/control.md#agents.
//
// Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "perwatt/agent/node_agent.hpp"
#include "perwatt/base/result.hpp"

namespace perwatt::agent {

class AgentLink {
 public:
  virtual ~AgentLink() = default;

  using Fault = std::optional<Failure>;  // nothing: done

  /// An agent without leases, for devices 0 to `devices` - 1, in place of the one before, which is
  /// gone after it.
  [[nodiscard]] virtual Fault renew(std::uint32_t devices) = 0;

  /// It is gone without a word, as by kill -9.
  virtual void kill() = 0;

  // As NodeAgent's. A Failure says why the agent is gone; every call fails from then on until
  // renew(). What is given holds until the next call.

  [[nodiscard]] virtual Fault start(std::span<const StartedDevice> devices,
                                    device::AgentEpoch epoch, Instant now) = 0;
  [[nodiscard]] virtual Fault stop(std::span<const std::uint32_t> devices) = 0;
  [[nodiscard]] virtual Result<std::span<const device::CapCommand>> look(
      Instant now, std::span<const TakenGrant> grants) = 0;
  [[nodiscard]] virtual Result<std::span<const Spoken>> speak(Instant now,
                                                              std::span<const Watts> enforced) = 0;
};

/// An agent in this process: gone only after kill(), and before the first renew().
[[nodiscard]] std::unique_ptr<AgentLink> make_local_link();

/// A program that serves an agent on its standard input and output (serve_agent), as `perwatt
/// agent` does.
struct AgentProgram {
  std::filesystem::path file;
  std::string verb;                      // its one argument; empty: none
  Seconds longest_answer = seconds(10);  // an agent that takes longer is killed: it is gone
};

/// An agent in a child process. It never outlives this one: it ends when its input does, and the
/// kernel kills it when the thread that called renew() ends. It is reaped when it is gone, at the
/// latest by the destructor. SIGINT, which a terminal sends to all, does not end it.
[[nodiscard]] std::unique_ptr<AgentLink> make_process_link(AgentProgram program);

/// The agent's end: answers requests of `input` on `output` until `input` ends. Throws
/// Error(bad_input) for a message that is none, or that no caller can mean, having answered why,
/// and Error(peer_failed) when reading or writing fails.
void serve_agent(int input, int output);

}  // namespace perwatt::agent
