#include "nvml_library.hpp"

#include "perwatt/device/power_cap.hpp"

namespace perwatt::device {

namespace {

class NvmlCapControl : public CapControl {
 public:
  explicit NvmlCapControl(const NvmlLibrary& nvml) : nvml_{nvml} {}

  ~NvmlCapControl() override {
    if (is_initialised_) {
      nvml_.shut_down();
    }
  }

  NvmlCapControl(const NvmlCapControl&) = delete;
  NvmlCapControl& operator=(const NvmlCapControl&) = delete;

  Result<std::vector<CapDevice>> devices() override {
    const auto count = gpu_count();
    if (!count) {
      return Failure{count.reason()};
    }
    std::vector<CapDevice> devices;
    for (unsigned index = 0; index < count.value(); ++index) {
      auto device = device_at(index);
      if (!device) {
        return Failure{"GPU " + std::to_string(index) + ": " + device.reason()};
      }
      devices.push_back(std::move(device).value());
    }
    return devices;
  }

  Result<Watts> set_cap(std::string_view device_id, Watts cap) override {
    const auto count = gpu_count();
    if (!count) {
      return Failure{count.reason()};
    }
    for (unsigned index = 0; index < count.value(); ++index) {
      const auto device = nvml_.device(index);
      if (!device) {
        continue;  // another one may be lost; the one asked for may not
      }
      const auto uuid = nvml_.uuid(device.value());
      if (!uuid || uuid.value() != device_id) {
        continue;
      }
      const auto set = nvml_.set_cap(device.value(), cap);
      if (!set) {
        return Failure{std::string{device_id} + ": " + set.reason() +
                       "; caps need root or the driver's permission"};
      }
      return nvml_.enforced_cap(device.value());
    }
    return Failure{"no GPU " + std::string{device_id} + " answers"};
  }

 private:
  Result<unsigned> gpu_count() {
    if (!is_initialised_) {
      const auto initialised = nvml_.initialise();
      if (!initialised) {
        return Failure{initialised.reason()};
      }
      is_initialised_ = true;
    }
    auto count = nvml_.device_count();
    if (count && count.value() == 0) {
      return Failure{"NVML sees no GPU; check nvidia-smi"};
    }
    return count;
  }

  Result<CapDevice> device_at(unsigned index) {
    const auto device = nvml_.device(index);
    if (!device) {
      return Failure{device.reason()};
    }
    const auto uuid = nvml_.uuid(device.value());
    const auto bounds = nvml_.cap_bounds(device.value());
    const auto by_default = nvml_.default_cap(device.value());
    const auto requested = nvml_.requested_cap(device.value());
    const auto enforced = nvml_.enforced_cap(device.value());
    for (const auto* watts : {&by_default, &requested, &enforced}) {
      if (!*watts) {
        return Failure{watts->reason()};
      }
    }
    if (!uuid || !bounds) {
      return Failure{uuid ? bounds.reason() : uuid.reason()};
    }
    return CapDevice{uuid.value(),       bounds.value().least, bounds.value().most,
                     by_default.value(), requested.value(),    enforced.value()};
  }

  const NvmlLibrary& nvml_;
  bool is_initialised_ = false;
};

}  // namespace

Result<std::unique_ptr<CapControl>> nvml_cap_control() {
  const auto library = NvmlLibrary::load();
  if (!library) {
    return Failure{library.reason()};
  }
  return std::unique_ptr<CapControl>{std::make_unique<NvmlCapControl>(*library.value())};
}

}  // namespace perwatt::device
