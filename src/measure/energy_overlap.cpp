#include "energy_overlap.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "perwatt/base/text.hpp"

namespace perwatt::measure {

namespace {

/// "gpu-8f…" of the first NVIDIA UUID in `text`, lower case; the word before the dash may be part
/// of a longer one ("MIG-GPU-8f…" is a slice of that board).
std::optional<std::string> uuid_in(std::string_view text) {
  constexpr std::string_view kMark = "gpu-";
  constexpr std::size_t kUuidLength = 36;
  const std::string low = lower_case(text);
  for (auto at = low.find(kMark); at != std::string::npos; at = low.find(kMark, at + 1)) {
    auto end = at + kMark.size();
    while (end < low.size() && end - at - kMark.size() < kUuidLength &&
           (std::isxdigit(static_cast<unsigned char>(low[end])) != 0 || low[end] == '-')) {
      ++end;
    }
    // A whole UUID or nothing: "gpu-0" names a place, not a device.
    if (end - at - kMark.size() == kUuidLength) {
      return low.substr(at, end - at);
    }
  }
  return std::nullopt;
}

std::optional<std::string> uuid_of(const device::Meter& meter) {
  if (!meter.uid.empty()) {
    return lower_case(meter.uid);
  }
  if (auto uuid = uuid_in(meter.device)) {
    return uuid;
  }
  return uuid_in(meter.id);
}

std::string_view scheme_of(const device::Meter& meter) {
  return std::string_view{meter.source}.substr(0, meter.source.find(':'));
}

double width_of(const MeterEnergy& meter) {
  return std::hypot(
      std::hypot(meter.chosen->begin_edge.in_base(), meter.chosen->end_edge.in_base()),
      meter.chosen->integration.in_base());
}

/// The one of two meters of a device that is to be kept: valid, by counter, narrow, then by name.
bool better(const MeterEnergy& a, const MeterEnergy& b) {
  const auto rank = [](const MeterEnergy& meter) {
    return std::make_tuple(
        !meter.valid, !meter.chosen.has_value(), meter.method != EnergyMethod::counter,
        meter.chosen ? width_of(meter) : 0.0, std::string_view{meter.trace->meter.id});
  };
  return rank(a) < rank(b);
}

/// Whether two meters of different sources may meter one device, and nothing tells.
bool may_be_same(const device::Meter& a, const device::Meter& b) {
  if (a.source == b.source) {
    return false;  // a source names each of its devices once
  }
  if (a.scope == device::Scope::gpu && uuid_of(a) && uuid_of(b)) {
    return false;  // unequal ones: equal ones are out already
  }
  if (!a.host.empty() && !b.host.empty()) {
    return a.host == b.host;
  }
  return scheme_of(a) != scheme_of(b);
}

void keep_one_of_each(std::vector<MeterEnergy>& meters, std::vector<EnergyFinding>& findings) {
  std::map<std::string, std::vector<MeterEnergy>> devices;
  for (auto& meter : meters) {
    const auto& about = meter.trace->meter;
    const auto uuid =
        about.scope == device::Scope::gpu ? uuid_of(about) : std::optional<std::string>{};
    devices[uuid ? *uuid : "meter " + about.id].push_back(std::move(meter));
  }
  meters.clear();
  for (auto& [name, same] : devices) {
    std::sort(same.begin(), same.end(), better);
    for (std::size_t i = 1; i < same.size(); ++i) {
      findings.push_back(finding(
          EnergyReason::overlapping_meters, false, same[i].trace->meter,
          "left out: " + printable(same[0].trace->meter.id, 200) + " meters the same device"));
    }
    meters.push_back(std::move(same[0]));
  }
}

}  // namespace

void leave_out_overlaps(std::vector<MeterEnergy>& meters, std::vector<EnergyFinding>& findings) {
  keep_one_of_each(meters, findings);
  // A site has several feeds, each with a meter; nothing says that two of them are one.
  if (meters.empty() || meters[0].trace->meter.scope == device::Scope::site) {
    return;
  }
  for (std::size_t i = 0; i < meters.size(); ++i) {
    for (std::size_t j = i + 1; j < meters.size(); ++j) {
      const auto& a = meters[i].trace->meter;
      const auto& b = meters[j].trace->meter;
      if (may_be_same(a, b)) {
        findings.push_back(finding(EnergyReason::overlapping_meters, true, a,
                                   "may meter the same device as " + printable(b.id, 200) +
                                       ": name one of the two sources"));
        return;
      }
    }
  }
}

}  // namespace perwatt::measure
