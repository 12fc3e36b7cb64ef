// What a controller and the agent on a node say to each other about the cap of one device.
//
// A cap above fail-safe is a lease. The agent asks; a grant answers one ask and counts from when
// that ask was made, on the agent's own clock. So a grant that comes late is void by itself, and
// whoever granted knows that nothing of it is left once `duration` has passed since the ask came
// in. An agent that hears nothing falls back to fail-safe alone.
#pragma once

#include <cstdint>

#include "perwatt/base/units.hpp"

namespace perwatt::device {

/// Rises with every start of the agent: what was granted before a restart is void.
using AgentEpoch = std::uint32_t;

struct LeaseAsk {
  AgentEpoch epoch = 0;
  std::uint64_t number = 0;  // rises with every ask of the epoch
};

/// Rises with every grant to a device, over restarts of the controller too.
using GrantId = std::uint64_t;

struct LeaseGrant {
  GrantId id = 0;
  LeaseAsk answers;
  Watts cap;
  Seconds duration;  // since the ask
};

/// What the agent knows to be so.
struct LeaseReport {
  AgentEpoch epoch = 0;
  GrantId accepted = 0;     // the last grant taken in this epoch; 0: none
  bool is_lapsed = true;    // nothing of it is in force: the device is at fail-safe
  bool is_settled = false;  // what was in force before has worn off; read back
  Watts enforced;           // read back; another writer may hold it lower
};

}  // namespace perwatt::device
