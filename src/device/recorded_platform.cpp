#include "perwatt/device/recorded_platform.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::device {

namespace {

using PlaceOf = std::map<std::string, std::size_t, std::less<>>;

[[noreturn]] void refuse_meter(const Meter& meter, const PlaceOf& known, const std::string& name) {
  std::vector<std::string> ids;
  for (const auto& [id, place] : known) {
    ids.push_back(id);
  }
  const std::string_view kind = meter.scope == Scope::gpu ? "device" : "node";
  throw_bad_input("meter '" + printable(meter.id) + "' of scope " +
                      std::string{to_string(meter.scope)} + " is no " + std::string{kind} +
                      " of the site",
                  name, suggestion(meter.id, ids));
}

}  // namespace

RecordedPlatform::RecordedPlatform(std::vector<MeterTrace> traces, const std::string& name,
                                   std::span<const RecordedDevice> devices,
                                   std::span<const std::string> nodes)
    : of_device_(devices.size()), of_meter_(nodes.size()) {
  PlaceOf device_of;
  PlaceOf node_of;
  for (const auto& device : devices) {
    device_of.emplace(device.id, bounds_.size());
    bounds_.push_back(device.bounds);
  }
  for (const auto& node : nodes) {
    node_of.emplace(node, node_of.size());
  }
  std::optional<Instant> first;
  for (auto& trace : traces) {
    const bool is_device = trace.meter.scope == Scope::gpu;
    const auto& known = is_device ? device_of : node_of;
    const auto found = known.find(trace.meter.id);
    if (found == known.end()) {
      refuse_meter(trace.meter, known, name);
    }
    std::erase_if(trace.readings, [](const Reading& reading) { return !reading.power; });
    if (trace.readings.empty()) {
      throw_bad_input("meter '" + printable(trace.meter.id) + "' has no power in any row", name,
                      "fill power_watts, or leave the meter out");
    }
    first = std::min(first.value_or(trace.readings.front().at), trace.readings.front().at);
    last_ = std::max(last_, trace.readings.back().at);
    if (!trace.failures.empty()) {
      first = std::min(*first, trace.failures.front().at);
      last_ = std::max(last_, trace.failures.back().at);
    }
    (is_device ? of_device_ : of_meter_)[found->second] = tracks_.size();
    tracks_.push_back({std::move(trace)});
  }
  if (!first) {
    throw_bad_input("the recording has no row", name, "give one with readings");
  }
  first_ = *first;
}

void RecordedPlatform::play_to(Instant now) noexcept {
  for (auto& [trace, readings, failures] : tracks_) {
    while (readings < trace.readings.size() && trace.readings[readings].at <= now) {
      ++readings;
    }
    while (failures < trace.failures.size() && trace.failures[failures].at <= now) {
      ++failures;
    }
  }
}

PowerReading RecordedPlatform::reading(std::optional<std::size_t> track) const noexcept {
  if (!track) {
    return {};
  }
  const auto& [trace, readings, failures] = tracks_[*track];
  const auto* newest = readings > 0 ? &trace.readings[readings - 1] : nullptr;
  if (failures > 0 && (newest == nullptr || trace.failures[failures - 1].at > newest->at)) {
    return {std::nullopt, trace.failures[failures - 1].at, ReadingQuality::missing};
  }
  if (newest == nullptr) {
    return {std::nullopt, {}, ReadingQuality::missing};
  }
  return {newest->power, newest->at, ReadingQuality::good};
}

void RecordedPlatform::read(std::span<PowerReading> devices,
                            std::span<PowerReading> meters) noexcept {
  for (std::size_t d = 0; d < devices.size(); ++d) {
    devices[d] = reading(of_device_[d]);
  }
  for (std::size_t n = 0; n < meters.size(); ++n) {
    meters[n] = reading(of_meter_[n]);
  }
}

void RecordedPlatform::write(std::span<const CapCommand> /*commands*/,
                             std::span<CapAnswer> answers) noexcept {
  std::fill(answers.begin(), answers.end(), CapAnswer::refused);
}

}  // namespace perwatt::device
