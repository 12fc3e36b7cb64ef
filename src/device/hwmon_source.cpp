// Power and energy channels of hardware monitoring chips: /sys/class/hwmon.
#include <array>
#include <map>

#include "sources.hpp"
#include "sysfs_file.hpp"
#include "trace_store.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::device {

namespace {

namespace fs = std::filesystem;

constexpr double kPerMicro = 1e-6;  // watts and joules per unit of the files

/// Chips whose first channel is known to meter a whole device.
struct Chip {
  std::string_view name;
  Scope scope;
};

constexpr std::array<Chip, 4> kChips{{{"amdgpu", Scope::gpu},
                                      {"i915", Scope::gpu},
                                      {"xe", Scope::gpu},
                                      {"power_meter", Scope::node}}};

std::optional<Scope> scope_of_chip(const std::string& name) {
  for (const auto& chip : kChips) {
    if (chip.name == name) {
      return chip.scope;
    }
  }
  return std::nullopt;
}

/// The files of powerN and energyN.
struct Channel {
  std::string label;
  fs::path power;   // empty: none
  fs::path energy;  // empty: none
};

/// Number of the channel in "power12_label", or 0.
std::int64_t channel_number(const std::string& name, std::size_t prefix) {
  const auto end = name.find('_', prefix);
  const auto number = end == std::string::npos
                          ? std::nullopt
                          : parse_integer(std::string_view{name}.substr(prefix, end - prefix));
  return number.value_or(0);
}

std::map<std::int64_t, Channel> channels_of(const fs::path& chip) {
  std::map<std::int64_t, Channel> channels;
  for (const std::string prefix : {"power", "energy"}) {
    for (const auto& path : entries(chip, prefix)) {
      const auto name = path.filename().string();
      const auto number = channel_number(name, prefix.size());
      const bool is_average = name.ends_with("_average");
      const bool is_value = name.ends_with("_input") || is_average;
      if (number <= 0 || !is_value) {
        continue;
      }
      auto& channel = channels[number];
      auto& file = prefix == "power" ? channel.power : channel.energy;
      if (file.empty() || is_average) {
        file = path;
      }
      const auto label = read_line(chip / (prefix + std::to_string(number) + "_label"));
      if (label && channel.label.empty()) {
        channel.label = label.value();
      }
    }
  }
  return channels;
}

class HwmonSource : public PowerSource {
 public:
  HwmonSource(SourceText& text, const SourceOptions& options)
      : root_{options.sysfs_root / "class" / "hwmon"},
        chip_{text.target()},
        label_{text.optional("label")},
        store_{text.whole(), text.accuracy()} {
    if (chip_.empty()) {
      if (label_) {
        text.refuse("label= without a chip", "write hwmon:CHIP?label=LABEL");
      }
      return;
    }
    scope_ = text.scope(scope_of_chip(chip_));
  }

  Result<std::vector<Meter>> open() override {
    std::vector<std::string> names;
    for (const auto& chip : entries(root_, "hwmon")) {
      const auto name = read_line(chip / "name");
      if (!name) {
        continue;
      }
      names.push_back(name.value());
      const auto scope = chip_.empty() ? scope_of_chip(name.value()) : scope_;
      if (!scope || (!chip_.empty() && name.value() != chip_)) {
        continue;
      }
      if (const auto problem = add_chip(chip, name.value(), *scope); !problem.empty()) {
        return Failure{problem};
      }
    }
    if (channels_.empty()) {
      return Failure{root_.string() + " has no power or energy channel of " +
                     (chip_.empty() ? "a chip whose scope is known (amdgpu, i915, xe, power_meter)"
                                    : "a chip '" + printable(chip_) + "'") +
                     "; chips there: " + (names.empty() ? "none" : join(names, ", "))};
    }
    return store_.meters();
  }

  void sample() override {
    for (std::size_t meter = 0; meter < channels_.size(); ++meter) {
      Reading reading{Instant::now(), {}, {}};
      std::string problem;
      const auto read = [&](const fs::path& file) -> std::optional<double> {
        const auto count = file.empty() ? Result<std::int64_t>{Failure{""}} : read_count(file);
        if (!count) {
          problem = file.empty() ? problem : count.reason();
          return std::nullopt;
        }
        return static_cast<double>(count.value()) * kPerMicro;
      };
      if (const auto power = read(channels_[meter].power)) {
        reading.power = watts(*power);
      }
      if (const auto energy = read(channels_[meter].energy)) {
        reading.counter = Joules::from_base(*energy);
      }
      store_.add_reading(meter, reading, problem);
    }
  }

  std::vector<MeterTrace> traces(Instant from, Instant to) override {
    return store_.traces(from, to);
  }

 private:
  /// One meter of a chip: its channels may contain each other.
  std::string add_chip(const fs::path& chip, const std::string& name, Scope scope) {
    const auto channels = channels_of(chip);
    if (channels.empty()) {
      return {};
    }
    const Channel* chosen = nullptr;
    std::vector<std::string> labels;
    for (const auto& [number, channel] : channels) {
      labels.push_back(channel.label.empty() ? "(none)" : channel.label);
      if (chosen == nullptr && (!label_ || channel.label == *label_)) {
        chosen = &channel;
      }
    }
    const bool is_known = scope_of_chip(name).has_value();
    if (chosen == nullptr || (!is_known && !label_ && channels.size() > 1)) {
      return chip.string() + " has channels labelled " + join(labels, ", ") +
             (label_ ? ", none '" + printable(*label_) + "'" : "; choose one with label=LABEL");
    }
    std::error_code error;
    const auto device = fs::read_symlink(chip / "device", error);
    Meter meter;
    meter.id =
        chip.filename().string() + " " + name + (chosen->label.empty() ? "" : " " + chosen->label);
    meter.device = error ? name : name + " " + device.filename().string();
    meter.scope = scope;
    store_.add_meter(std::move(meter));
    channels_.push_back(*chosen);
    return {};
  }

  fs::path root_;
  std::string chip_;
  std::optional<std::string> label_;
  std::optional<Scope> scope_;
  TraceStore store_;
  std::vector<Channel> channels_;
};

}  // namespace

SourcePointer make_hwmon_source(SourceText& text, const SourceOptions& options) {
  return std::make_unique<HwmonSource>(text, options);
}

}  // namespace perwatt::device
