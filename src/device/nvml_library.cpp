#include "nvml_library.hpp"

#include <cmath>

#include <dlfcn.h>

namespace perwatt::device {

namespace {

constexpr int kSuccess = 0;
constexpr int kNotSupported = 3;
constexpr int kFunctionNotFound = 13;
constexpr int kVersionMismatch = 25;
constexpr double kPerMilli = 1e-3;

/// nvmlFieldValue_t
struct FieldValue {
  unsigned field_id;
  unsigned scope_id;
  long long timestamp;
  long long latency_usec;
  int value_type;
  int status;

  union {
    double as_double;
    int as_int;
    unsigned as_unsigned;
    unsigned long long as_unsigned_long_long;
  } value;
};

constexpr unsigned kPowerInstant = 186;  // NVML_FI_DEV_POWER_INSTANT, milliwatts
constexpr int kTypeUnsigned = 1;         // NVML_VALUE_TYPE_UNSIGNED_INT

/// nvmlPowerValue_v2_t
struct PowerValue {
  unsigned version;
  unsigned char scope;  // 0: the GPU, 1: the module
  unsigned milliwatts;
};

constexpr unsigned kPowerValueVersion = sizeof(PowerValue) | (2U << 24U);

}  // namespace

struct NvmlLibrary::Functions {
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  const char* (*error_string)(int) = nullptr;
  int (*get_count)(unsigned*) = nullptr;
  int (*get_handle)(unsigned, Device*) = nullptr;
  int (*get_uuid)(Device, char*, unsigned) = nullptr;
  int (*get_name)(Device, char*, unsigned) = nullptr;
  int (*get_power)(Device, unsigned*) = nullptr;
  // Absent in old drivers:
  int (*get_energy)(Device, unsigned long long*) = nullptr;
  int (*get_fields)(Device, int, FieldValue*) = nullptr;
  int (*get_bounds)(Device, unsigned*, unsigned*) = nullptr;
  int (*get_default_cap)(Device, unsigned*) = nullptr;
  int (*get_requested_cap)(Device, unsigned*) = nullptr;
  int (*get_enforced_cap)(Device, unsigned*) = nullptr;
  int (*set_cap)(Device, unsigned) = nullptr;
  int (*set_cap_v2)(Device, PowerValue*) = nullptr;
};

NvmlLibrary::NvmlLibrary(std::unique_ptr<Functions> functions) : functions_{std::move(functions)} {}

NvmlLibrary::~NvmlLibrary() = default;

Result<const NvmlLibrary*> NvmlLibrary::load() {
  static const Result<const NvmlLibrary*> kLoaded = []() -> Result<const NvmlLibrary*> {
    void* library = ::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      return Failure{
          "NVML cannot be loaded; install NVIDIA's driver, or put its "
          "libnvidia-ml.so.1 on LD_LIBRARY_PATH"};
    }
    auto f = std::make_unique<Functions>();
    const auto find = [&](auto& function, const char* name) {
      function = reinterpret_cast<std::decay_t<decltype(function)>>(::dlsym(library, name));
    };
    find(f->init, "nvmlInit_v2");
    find(f->shutdown, "nvmlShutdown");
    find(f->error_string, "nvmlErrorString");
    find(f->get_count, "nvmlDeviceGetCount_v2");
    find(f->get_handle, "nvmlDeviceGetHandleByIndex_v2");
    find(f->get_uuid, "nvmlDeviceGetUUID");
    find(f->get_name, "nvmlDeviceGetName");
    find(f->get_power, "nvmlDeviceGetPowerUsage");
    find(f->get_energy, "nvmlDeviceGetTotalEnergyConsumption");
    find(f->get_fields, "nvmlDeviceGetFieldValues");
    find(f->get_bounds, "nvmlDeviceGetPowerManagementLimitConstraints");
    find(f->get_default_cap, "nvmlDeviceGetPowerManagementDefaultLimit");
    find(f->get_requested_cap, "nvmlDeviceGetPowerManagementLimit");
    find(f->get_enforced_cap, "nvmlDeviceGetEnforcedPowerLimit");
    find(f->set_cap, "nvmlDeviceSetPowerManagementLimit");
    find(f->set_cap_v2, "nvmlDeviceSetPowerManagementLimit_v2");
    const bool is_whole = f->init && f->shutdown && f->error_string && f->get_count &&
                          f->get_handle && f->get_uuid && f->get_name && f->get_power;
    if (!is_whole) {
      return Failure{
          "libnvidia-ml.so.1 lacks a function that NVML has had since 2013; install a "
          "current driver"};
    }
    static NvmlLibrary nvml{std::move(f)};
    return &nvml;
  }();
  return kLoaded;
}

Failure NvmlLibrary::failure(const std::string& call, int status) const {
  const char* text = functions_->error_string(status);
  return Failure{"NVML " + call + ": " +
                 (text == nullptr ? "error " + std::to_string(status) : std::string{text})};
}

Result<Watts> NvmlLibrary::milliwatts(int (*function)(Device, unsigned*), Device device,
                                      const std::string& call) const {
  unsigned value = 0;
  const int status = function == nullptr ? kFunctionNotFound : function(device, &value);
  if (status != kSuccess) {
    return failure(call, status);
  }
  return watts(value * kPerMilli);
}

Result<bool> NvmlLibrary::initialise() const {
  const int status = functions_->init();
  if (status != kSuccess) {
    return failure("initialisation", status);
  }
  return true;
}

void NvmlLibrary::shut_down() const {
  functions_->shutdown();
}

Result<unsigned> NvmlLibrary::device_count() const {
  unsigned count = 0;
  const int status = functions_->get_count(&count);
  if (status != kSuccess) {
    return failure("device count", status);
  }
  return count;
}

Result<NvmlLibrary::Device> NvmlLibrary::device(unsigned index) const {
  Device device = nullptr;
  const int status = functions_->get_handle(index, &device);
  if (status != kSuccess) {
    return failure("gpu " + std::to_string(index), status);
  }
  return device;
}

Result<std::string> NvmlLibrary::uuid(Device device) const {
  char text[128] = {};
  const int status = functions_->get_uuid(device, text, sizeof text - 1);
  if (status != kSuccess) {
    return failure("UUID", status);
  }
  return std::string{text};
}

Result<std::string> NvmlLibrary::name(Device device) const {
  char text[128] = {};
  const int status = functions_->get_name(device, text, sizeof text - 1);
  if (status != kSuccess) {
    return failure("name", status);
  }
  return std::string{text};
}

Result<Watts> NvmlLibrary::power(Device device) const {
  if (functions_->get_fields != nullptr) {
    FieldValue field{};
    field.field_id = kPowerInstant;
    const bool is_there = functions_->get_fields(device, 1, &field) == kSuccess &&
                          field.status == kSuccess && field.value_type == kTypeUnsigned;
    if (is_there) {
      return watts(field.value.as_unsigned * kPerMilli);
    }
  }
  return milliwatts(functions_->get_power, device, "power");
}

Result<Joules> NvmlLibrary::energy(Device device) const {
  unsigned long long millijoules = 0;
  const int status = functions_->get_energy == nullptr
                         ? kFunctionNotFound
                         : functions_->get_energy(device, &millijoules);
  if (status != kSuccess) {
    return failure("energy counter", status);
  }
  return Joules::from_base(static_cast<double>(millijoules) * kPerMilli);
}

Result<NvmlLibrary::Bounds> NvmlLibrary::cap_bounds(Device device) const {
  unsigned least = 0;
  unsigned most = 0;
  const int status = functions_->get_bounds == nullptr
                         ? kFunctionNotFound
                         : functions_->get_bounds(device, &least, &most);
  if (status != kSuccess) {
    return failure("bounds of the cap", status);
  }
  return Bounds{watts(least * kPerMilli), watts(most * kPerMilli)};
}

Result<Watts> NvmlLibrary::default_cap(Device device) const {
  return milliwatts(functions_->get_default_cap, device, "default cap");
}

Result<Watts> NvmlLibrary::requested_cap(Device device) const {
  return milliwatts(functions_->get_requested_cap, device, "cap");
}

Result<Watts> NvmlLibrary::enforced_cap(Device device) const {
  return milliwatts(functions_->get_enforced_cap, device, "enforced cap");
}

Result<bool> NvmlLibrary::set_cap(Device device, Watts cap) const {
  const auto value = static_cast<unsigned>(std::lround(in_watts(cap) / kPerMilli));
  int status = kFunctionNotFound;
  if (functions_->set_cap_v2 != nullptr) {
    PowerValue request{kPowerValueVersion, 0, value};
    status = functions_->set_cap_v2(device, &request);
  }
  const bool is_to_try_v1 =
      status == kFunctionNotFound || status == kVersionMismatch || status == kNotSupported;
  if (is_to_try_v1 && functions_->set_cap != nullptr) {
    status = functions_->set_cap(device, value);
  }
  if (status != kSuccess) {
    return failure("setting a cap", status);
  }
  return true;
}

}  // namespace perwatt::device
