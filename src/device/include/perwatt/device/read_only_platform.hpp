// A platform that is looked at and not touched: whoever is given it can read, and sets no cap and
// no clock, whatever it does.
//
// Thread rule: that of the platform behind it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "perwatt/device/platform.hpp"

namespace perwatt::device {

class ReadOnlyPlatform final : public Platform {
 public:
  /// `behind` outlives it.
  explicit ReadOnlyPlatform(Platform& behind) : behind_{behind} {}

  [[nodiscard]] std::size_t device_count() const noexcept override {
    return behind_.device_count();
  }

  [[nodiscard]] std::size_t meter_count() const noexcept override { return behind_.meter_count(); }

  /// Those of the platform, without caps to set and clocks to lock.
  [[nodiscard]] Capabilities capabilities() const noexcept override {
    auto capabilities = behind_.capabilities();
    capabilities.sets_caps = false;
    capabilities.locks_clocks = false;
    return capabilities;
  }

  [[nodiscard]] CapBounds bounds(std::uint32_t device) const noexcept override {
    return behind_.bounds(device);
  }

  void read(std::span<PowerReading> devices, std::span<PowerReading> meters) noexcept override {
    behind_.read(devices, meters);
  }

  [[nodiscard]] std::optional<Watts> enforced_cap(std::uint32_t device) noexcept override {
    return behind_.enforced_cap(device);
  }

  /// Refuses all.
  void write(std::span<const CapCommand> /*commands*/,
             std::span<CapAnswer> answers) noexcept override {
    std::fill(answers.begin(), answers.end(), CapAnswer::refused);
  }

  [[nodiscard]] bool lock_clock(std::uint32_t /*device*/, double /*ratio*/) noexcept override {
    return false;
  }

 private:
  Platform& behind_;
};

}  // namespace perwatt::device
