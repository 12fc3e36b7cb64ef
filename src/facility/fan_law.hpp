// The law of fans: power grows with the cube of the flow.
#pragma once

namespace perwatt::facility {

constexpr double cube(double flow_ratio) {
  return flow_ratio * flow_ratio * flow_ratio;
}

}  // namespace perwatt::facility
