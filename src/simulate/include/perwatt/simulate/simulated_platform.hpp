// The simulated plant as a device::Platform: what any policy may see and do.
//
// Devices are numbered as in the power tree, meters as its nodes. A clock acts at once: what runs
// on the device is no faster than its ratio (assumed: speed in proportion to clock), and asks for
// less. Thread rule: one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "perwatt/device/platform.hpp"
#include "perwatt/simulate/plant.hpp"

namespace perwatt::simulate {

class SimulatedPlatform final : public device::Platform {
 public:
  /// `plant` outlives it.
  explicit SimulatedPlatform(Plant& plant)
      : plant_{plant}, clocks_(plant.tree().devices().size(), 1) {}

  [[nodiscard]] std::size_t device_count() const noexcept override;
  [[nodiscard]] std::size_t meter_count() const noexcept override;
  [[nodiscard]] device::Capabilities capabilities() const noexcept override;
  [[nodiscard]] device::CapBounds bounds(std::uint32_t device) const noexcept override;
  void read(std::span<Reading> devices, std::span<Reading> meters) noexcept override;
  [[nodiscard]] std::optional<Watts> enforced_cap(std::uint32_t device) noexcept override;
  void write(std::span<const device::CapCommand> commands,
             std::span<device::CapAnswer> answers) noexcept override;

  [[nodiscard]] bool lock_clock(std::uint32_t device, double ratio) noexcept override;

  /// By device: of its highest clock.
  [[nodiscard]] std::span<const double> clock_ratios() const noexcept { return clocks_; }

  /// Of write() since the start, refused ones too.
  [[nodiscard]] std::int64_t writes() const noexcept { return writes_; }

 private:
  Plant& plant_;
  std::vector<double> clocks_;
  std::int64_t writes_ = 0;
};

}  // namespace perwatt::simulate
