// A process that lowers all caps and then waits to be ended: the subject of cap_guard_test.
//   cap_victim WATTS [wait|return|restore]
#include <cstdio>
#include <cstdlib>
#include <string>

#include <unistd.h>

#include "perwatt/device/power_cap.hpp"

int main(int count, char** arguments) {
  using namespace perwatt;
  if (count != 3) {
    return 2;
  }
  const std::string then = arguments[2];
  const auto control = device::nvml_cap_control();
  if (!control) {
    return 3;
  }
  const auto guard = device::CapGuard::start(*control.value());
  if (!guard) {
    std::puts(guard.reason().c_str());
    return 4;
  }
  const auto lowered = guard.value()->lower_to(watts(std::atof(arguments[1])));
  std::printf("%s\n", lowered ? "lowered" : lowered.reason().c_str());
  std::fflush(stdout);
  if (then == "wait") {
    while (true) {
      ::pause();
    }
  }
  if (then == "restore" && !guard.value()->restore().empty()) {
    return 5;
  }
  return 0;
}
