#include "perwatt/simulate/simulated_platform.hpp"

#include <algorithm>

namespace perwatt::simulate {

std::size_t SimulatedPlatform::device_count() const noexcept {
  return plant_.tree().devices().size();
}

std::size_t SimulatedPlatform::meter_count() const noexcept {
  return plant_.tree().nodes().size();
}

device::Capabilities SimulatedPlatform::capabilities() const noexcept {
  std::int64_t most = 0;
  for (const auto& kind : plant_.spec().kinds) {
    most = std::max(most, kind.most_latency_ns);
  }
  return {true, true, true, seconds(static_cast<double>(most) / kNanosecondsPerSecond)};
}

device::CapBounds SimulatedPlatform::bounds(std::uint32_t device) const noexcept {
  const auto& own = plant_.tree().devices()[device];
  return {own.min, own.max};
}

void SimulatedPlatform::read(std::span<Reading> devices, std::span<Reading> meters) noexcept {
  for (std::uint32_t d = 0; d < devices.size(); ++d) {
    devices[d] = plant_.read_device({d});
  }
  for (std::uint32_t n = 0; n < meters.size(); ++n) {
    meters[n] = plant_.read_node({n});
  }
}

std::optional<Watts> SimulatedPlatform::enforced_cap(std::uint32_t device) noexcept {
  return plant_.read_cap({device});
}

bool SimulatedPlatform::lock_clock(std::uint32_t device, double ratio) noexcept {
  clocks_[device] = ratio;
  return true;
}

void SimulatedPlatform::write(std::span<const device::CapCommand> commands,
                              std::span<device::CapAnswer> answers) noexcept {
  for (std::size_t i = 0; i < commands.size(); ++i) {
    const auto& [device, cap] = commands[i];
    ++writes_;
    const auto [least, most] = bounds(device);
    if (cap < least || cap > most) {
      answers[i] = device::CapAnswer::out_of_bounds;
      continue;
    }
    switch (plant_.write_cap({device}, cap)) {
      case CapWrite::accepted:
        answers[i] = device::CapAnswer::accepted;
        break;
      case CapWrite::refused:
        answers[i] = device::CapAnswer::refused;
        break;
      case CapWrite::out_of_range:
        answers[i] = device::CapAnswer::out_of_bounds;
        break;
    }
  }
}

}  // namespace perwatt::simulate
