// NVIDIA's management library, loaded at run time: the part of its C interface that perwatt calls,
// declared here so that building needs none of NVIDIA's files. Layouts and numbers are those of the
// NVML API reference, https://docs.nvidia.com/deploy/nvml-api/.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "perwatt/base/result.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::device {

struct NvmlDeviceHandle;  // opaque: nvmlDevice_t points to it

/// Loaded once for the process and never unloaded: the driver's library keeps state of its own.
/// Thread-safe, as NVML itself is.
class NvmlLibrary {
 public:
  using Device = NvmlDeviceHandle*;

  /// Failure when the library cannot be loaded or lacks a function every driver has. Does not
  /// initialise NVML.
  [[nodiscard]] static Result<const NvmlLibrary*> load();

  /// Initialises NVML; each success is paired with one shut_down().
  [[nodiscard]] Result<bool> initialise() const;
  void shut_down() const;

  [[nodiscard]] Result<unsigned> device_count() const;
  [[nodiscard]] Result<Device> device(unsigned index) const;
  [[nodiscard]] Result<std::string> uuid(Device device) const;
  [[nodiscard]] Result<std::string> name(Device device) const;

  /// Draw of the board now where the driver tells it, else the driver's usual figure, which on most
  /// boards is the mean of the last second.
  [[nodiscard]] Result<Watts> power(Device device) const;

  /// Since the driver was loaded.
  [[nodiscard]] Result<Joules> energy(Device device) const;

  struct Bounds {
    Watts least;
    Watts most;
  };

  [[nodiscard]] Result<Bounds> cap_bounds(Device device) const;
  [[nodiscard]] Result<Watts> default_cap(Device device) const;
  [[nodiscard]] Result<Watts> requested_cap(Device device) const;
  [[nodiscard]] Result<Watts> enforced_cap(Device device) const;
  [[nodiscard]] Result<bool> set_cap(Device device, Watts cap) const;

 private:
  struct Functions;
  explicit NvmlLibrary(std::unique_ptr<Functions> functions);
  ~NvmlLibrary();

  [[nodiscard]] Failure failure(const std::string& call, int status) const;
  [[nodiscard]] Result<Watts> milliwatts(int (*function)(Device, unsigned*), Device device,
                                         const std::string& call) const;

  std::unique_ptr<Functions> functions_;
};

}  // namespace perwatt::device
