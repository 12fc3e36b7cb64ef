// Boards of this machine through NVML. MIG instances have no meter of their own: the board has.
#include <set>

#include "nvml_library.hpp"
#include "sources.hpp"
#include "trace_store.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::device {

namespace {

std::set<unsigned> picked_gpus(const SourceText& text) {
  constexpr std::int64_t kHighest = 1023;
  std::set<unsigned> picked;
  if (text.target().empty()) {
    return picked;
  }
  for (const auto& part : split(text.target(), ',')) {
    const auto index = parse_integer(part);
    if (!index || *index < 0 || *index > kHighest) {
      text.refuse("'" + printable(part) + "' is no GPU index", "write nvml or nvml:0,2,3");
    }
    if (!picked.insert(static_cast<unsigned>(*index)).second) {
      text.refuse("GPU " + part + " is named twice", "name it once");
    }
  }
  return picked;
}

class NvmlSource : public PowerSource {
 public:
  explicit NvmlSource(SourceText& text)
      : picked_{picked_gpus(text)}, store_{text.whole(), text.accuracy()} {}

  ~NvmlSource() override {
    if (nvml_ != nullptr) {
      nvml_->shut_down();
    }
  }

  NvmlSource(const NvmlSource&) = delete;
  NvmlSource& operator=(const NvmlSource&) = delete;

  Result<std::vector<Meter>> open() override {
    const auto library = NvmlLibrary::load();
    if (!library) {
      return Failure{library.reason()};
    }
    const auto initialised = library.value()->initialise();
    if (!initialised) {
      return Failure{initialised.reason()};
    }
    nvml_ = library.value();
    const auto count = nvml_->device_count();
    if (!count) {
      return Failure{count.reason()};
    }
    if (count.value() == 0) {
      return Failure{"NVML sees no GPU; check nvidia-smi"};
    }
    if (!picked_.empty() && *picked_.rbegin() >= count.value()) {
      return Failure{"there is no GPU " + std::to_string(*picked_.rbegin()) + "; NVML sees " +
                     std::to_string(count.value()) + ", numbered from 0"};
    }
    for (unsigned index = 0; index < count.value(); ++index) {
      if (picked_.empty() || picked_.contains(index)) {
        add_gpu(index);
      }
    }
    return store_.meters();
  }

  void sample() override {
    for (std::size_t meter = 0; meter < gpus_.size(); ++meter) {
      sample_gpu(meter);
    }
  }

  std::vector<MeterTrace> traces(Instant from, Instant to) override {
    return store_.traces(from, to);
  }

 private:
  struct Gpu {
    unsigned index = 0;
    bool has_counter = false;  // a counter that was there and fails later is a failure
  };

  /// A GPU that does not answer stays a meter: the fleet would look complete without it.
  void add_gpu(unsigned index) {
    Meter meter;
    meter.id = "gpu" + std::to_string(index);
    meter.device = "gpu " + std::to_string(index);
    meter.scope = Scope::gpu;
    Gpu gpu{index, false};
    if (const auto device = nvml_->device(index)) {
      if (const auto uuid = nvml_->uuid(device.value())) {
        meter.uid = uuid.value();
        meter.device += ", " + uuid.value();
      }
      if (const auto name = nvml_->name(device.value())) {
        meter.device += ", " + name.value();
      }
      if (const auto bounds = nvml_->cap_bounds(device.value())) {
        meter.most_power = bounds.value().most * kOvershootRatio;
      }
      gpu.has_counter = nvml_->energy(device.value()).ok();
    }
    store_.add_meter(std::move(meter));
    gpus_.push_back(gpu);
  }

  void sample_gpu(std::size_t meter) {
    auto& gpu = gpus_[meter];
    const auto before = Instant::now();
    const auto device = nvml_->device(gpu.index);
    if (!device) {
      store_.add_failure(meter, before, device.reason());
      return;
    }
    const auto power = nvml_->power(device.value());
    const auto energy = nvml_->energy(device.value());
    const auto after = Instant::now();
    Reading reading{before + (after - before) / 2, {}, {}};
    if (power) {
      reading.power = power.value();
    } else {
      store_.add_failure(meter, reading.at, power.reason());
    }
    if (energy) {
      gpu.has_counter = true;
      reading.counter = energy.value();
    } else if (gpu.has_counter) {
      store_.add_failure(meter, reading.at, energy.reason());
    }
    if (reading.power || reading.counter) {
      store_.add_reading(meter, reading, {});
    }
  }

  const NvmlLibrary* nvml_ = nullptr;
  std::set<unsigned> picked_;
  TraceStore store_;
  std::vector<Gpu> gpus_;
};

}  // namespace

SourcePointer make_nvml_source(SourceText& text, const SourceOptions& options) {
  static_cast<void>(options);
  return std::make_unique<NvmlSource>(text);
}

}  // namespace perwatt::device
