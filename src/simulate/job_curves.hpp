// What each device of a scenario makes of its watts: the curves that policies are given.
#pragma once

#include <vector>

#include "perwatt/allocate/problem.hpp"
#include "perwatt/simulate/scenario.hpp"

namespace perwatt::simulate {

/// Value in USD/s over the device's cap.
struct DeviceValue {
  std::vector<allocate::CurvePoint> curve;  // concave, within the device's caps
  bool has_job = false;
  double clock_ratio = 1;  // that the job's terms let it run at, to save energy
  int priority = 0;
  jobs::Tier tier = jobs::Tier::none;
};

/// By device. Value is the job's revenue at full speed, of a service at its highest offered load,
/// shared evenly by the GPUs of a pool, times the relative speed at the cap; each pool of a service
/// counts in full, as none can do without the others. Devices without a job have value 0.
[[nodiscard]] std::vector<DeviceValue> device_values(const Scenario& scenario);

}  // namespace perwatt::simulate
