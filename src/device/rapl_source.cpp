// Energy counters of CPU packages and memory: the kernel's powercap interface.
#include "sources.hpp"
#include "sysfs_file.hpp"
#include "trace_store.hpp"
#include <unistd.h>

#include "perwatt/base/text.hpp"

namespace perwatt::device {

namespace {

namespace fs = std::filesystem;

constexpr double kJoulesPerMicrojoule = 1e-6;

std::string own_host() {
  std::string name(256, '\0');
  if (::gethostname(name.data(), name.size() - 1) != 0) {
    return {};
  }
  name.resize(name.find('\0'));
  return name;
}

class RaplSource : public PowerSource {
 public:
  RaplSource(SourceText& text, const SourceOptions& options)
      : root_{options.sysfs_root / "class" / "powercap"},
        wants_psys_{text.target() == "psys"},
        store_{text.whole(), text.accuracy()} {
    if (!text.target().empty() && !wants_psys_) {
      text.refuse("'" + printable(text.target()) + "' is no domain of rapl",
                  "write rapl for packages and memory, or rapl:psys for the platform alone");
    }
    if (wants_psys_) {
      psys_scope_ = text.scope(Scope::node);
    }
  }

  Result<std::vector<Meter>> open() override {
    // A package is intel-rapl:N, its parts are intel-rapl:N:M. The same packages appear once more
    // as intel-rapl-mmio:N, which is why those are left out.
    for (const auto& zone : entries(root_, "intel-rapl:")) {
      const auto name = read_line(zone / "name");
      if (!name) {
        return Failure{name.reason()};
      }
      const auto scope = scope_of(name.value());
      if (!scope) {
        continue;
      }
      if (const auto problem = add_zone(zone, name.value(), *scope); !problem.empty()) {
        return Failure{problem};
      }
    }
    if (zones_.empty()) {
      return Failure{root_.string() + " has no intel-rapl zone" +
                     (wants_psys_ ? " called psys" : " of a package or of memory") +
                     ": no such CPU, or the modules intel_rapl_common and intel_rapl_msr are "
                     "not loaded"};
    }
    return store_.meters();
  }

  void sample() override {
    for (std::size_t meter = 0; meter < zones_.size(); ++meter) {
      const auto at = Instant::now();
      const auto count = read_count(zones_[meter] / "energy_uj");
      if (!count) {
        store_.add_failure(meter, at, count.reason());
        continue;
      }
      const auto energy = static_cast<double>(count.value()) * kJoulesPerMicrojoule;
      store_.add_reading(meter, {at, Joules::from_base(energy), {}}, {});
    }
  }

  std::vector<MeterTrace> traces(Instant from, Instant to) override {
    return store_.traces(from, to);
  }

 private:
  /// psys contains the packages: it is read alone or not at all. core and uncore are parts of a
  /// package.
  [[nodiscard]] std::optional<Scope> scope_of(const std::string& name) const {
    if (wants_psys_) {
      return name == "psys" ? std::optional{psys_scope_} : std::nullopt;
    }
    if (name.starts_with("package")) {
      return Scope::cpu_package;
    }
    return name == "dram" ? std::optional{Scope::memory} : std::nullopt;
  }

  std::string add_zone(const fs::path& zone, const std::string& name, Scope scope) {
    const auto count = read_count(zone / "energy_uj");
    const auto highest = read_count(zone / "max_energy_range_uj");
    if (!count || !highest) {
      return count ? highest.reason() : count.reason();
    }
    Meter meter;
    meter.id = zone.filename().string() + " " + name;
    meter.host = own_host();
    meter.device = meter.id;
    meter.scope = scope;
    // Short of the true modulus by one step of the counter, some 15 to 61 microjoules.
    meter.counter_wraps_at =
        Joules::from_base(static_cast<double>(highest.value()) * kJoulesPerMicrojoule);
    store_.add_meter(std::move(meter));
    zones_.push_back(zone);
    return {};
  }

  fs::path root_;
  bool wants_psys_;
  Scope psys_scope_ = Scope::node;
  TraceStore store_;
  std::vector<fs::path> zones_;
};

}  // namespace

SourcePointer make_rapl_source(SourceText& text, const SourceOptions& options) {
  return std::make_unique<RaplSource>(text, options);
}

}  // namespace perwatt::device
