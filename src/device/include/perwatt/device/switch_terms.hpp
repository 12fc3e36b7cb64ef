// What a controller and the agent on a node say to each other about whether a device is on.
//
// Off needs no lease: a device that was told to be off stays so, whatever is lost, until it is told
// otherwise. An order is for the work first: it may finish or write a checkpoint before the device
// goes off. An agent takes orders by rising number only, so that a late one cannot undo a newer.
#pragma once

#include <cstdint>

namespace perwatt::device {

/// Rises with every order to a device, over restarts of the controller too.
using SwitchId = std::uint64_t;

struct SwitchOrder {
  SwitchId id = 0;
  bool is_on = true;
};

struct SwitchReport {
  SwitchId accepted = 0;  // the last order taken; 0: none
  bool is_off = false;    // by that order, read back
};

}  // namespace perwatt::device
