#include "perwatt/measure/energy.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <tuple>
#include <utility>

#include "energy_meter.hpp"
#include "energy_overlap.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::measure {

namespace {

constexpr std::array<std::pair<EnergyReason, std::string_view>, 15> kReasons{
    {{EnergyReason::no_meter, "no_meter"},
     {EnergyReason::partial_fleet, "partial_fleet"},
     {EnergyReason::window_not_bracketed, "window_not_bracketed"},
     {EnergyReason::sampling_gap, "sampling_gap"},
     {EnergyReason::stale_readings, "stale_readings"},
     {EnergyReason::counter_reset, "counter_reset"},
     {EnergyReason::counter_unreliable, "counter_unreliable"},
     {EnergyReason::counter_too_coarse, "counter_too_coarse"},
     {EnergyReason::missing_values, "missing_values"},
     {EnergyReason::implausible_power, "implausible_power"},
     {EnergyReason::overlapping_meters, "overlapping_meters"},
     {EnergyReason::clock_jump, "clock_jump"},
     {EnergyReason::source_failed, "source_failed"},
     {EnergyReason::accuracy_unknown, "accuracy_unknown"},
     {EnergyReason::stated_by_source, "stated_by_source"}}};

struct Edges {
  double begin = 0.0;
  double end = 0.0;
  double integration = 0.0;
};

/// Meters of one source are read together and see the same load: their random parts add up. Sources
/// are read apart, and the two edges and what lies between are independent: in quadrature.
double random_half_width(std::span<const MeterEnergy> meters) {
  std::map<std::string_view, Edges> by_source;
  for (const auto& meter : meters) {
    auto& edges = by_source[meter.trace->meter.source];
    edges.begin += meter.chosen->begin_edge.in_base();
    edges.end += meter.chosen->end_edge.in_base();
    edges.integration += meter.chosen->integration.in_base();
  }
  double square = 0.0;
  for (const auto& [source, edges] : by_source) {
    square +=
        edges.begin * edges.begin + edges.end * edges.end + edges.integration * edges.integration;
  }
  return std::sqrt(square);
}

/// Meters of one kind are wrong alike: their accuracies add up. Kinds: in quadrature.
double accuracy_half_width(std::span<const MeterEnergy> meters) {
  using Kind = std::pair<std::string_view, double>;  // of the source's text, and the accuracy
  std::map<Kind, double> by_kind;
  for (const auto& meter : meters) {
    const auto& about = meter.trace->meter;
    if (about.accuracy_ratio) {
      const std::string_view source = about.source;
      by_kind[{source.substr(0, source.find(':')), *about.accuracy_ratio}] +=
          *about.accuracy_ratio * std::fabs(meter.chosen->energy.in_base());
    }
  }
  double square = 0.0;
  for (const auto& [kind, part] : by_kind) {
    square += part * part;
  }
  return std::sqrt(square);
}

void note_unknown_accuracy(std::span<const MeterEnergy> meters, BoundaryEnergy& result) {
  const auto unknown = std::count_if(meters.begin(), meters.end(), [](const MeterEnergy& meter) {
    return !meter.trace->meter.accuracy_ratio;
  });
  if (unknown > 0) {
    result.findings.push_back({EnergyReason::accuracy_unknown, false,
                               std::to_string(unknown) + " of " + std::to_string(meters.size()) +
                                   " meters: half_width does not contain their accuracy"});
  }
}

/// The sum of `path` where every meter has it.
std::optional<Joules> whole_sum(std::span<const MeterEnergy> meters,
                                std::optional<Joules> MeterEnergy::*path) {
  Joules sum;
  for (const auto& meter : meters) {
    if (!(meter.*path)) {
      return std::nullopt;
    }
    sum += *(meter.*path);
  }
  return sum;
}

void sum_up(std::span<const MeterEnergy> meters, BoundaryEnergy& result) {
  std::vector<MeterEnergy> known;
  std::copy_if(meters.begin(), meters.end(), std::back_inserter(known),
               [](const MeterEnergy& meter) { return meter.chosen.has_value(); });
  result.meters = static_cast<int>(known.size());
  if (known.empty()) {
    return;
  }
  // By size, so that the order of the meters changes not a bit.
  std::sort(known.begin(), known.end(), [](const MeterEnergy& a, const MeterEnergy& b) {
    return std::tie(a.chosen->energy, a.trace->meter.id) <
           std::tie(b.chosen->energy, b.trace->meter.id);
  });
  Joules sum;
  Joules counted;
  for (const auto& meter : known) {
    sum += meter.chosen->energy;
    counted += meter.method == EnergyMethod::counter ? meter.chosen->energy : Joules{};
  }
  result.energy = sum;
  result.method = 2.0 * counted >= sum ? EnergyMethod::counter : EnergyMethod::power_integral;
  result.accuracy_half_width = Joules::from_base(accuracy_half_width(known));
  result.half_width =
      Joules::from_base(std::hypot(random_half_width(known), result.accuracy_half_width.in_base()));
  if (known.size() == meters.size()) {
    result.by_counter = whole_sum(known, &MeterEnergy::by_counter);
    result.by_integral = whole_sum(known, &MeterEnergy::by_integral);
  }
  note_unknown_accuracy(known, result);
}

void check_fleet(std::span<const MeterEnergy> meters, std::optional<int> expected,
                 BoundaryEnergy& result) {
  const auto valid = std::count_if(meters.begin(), meters.end(),
                                   [](const MeterEnergy& meter) { return meter.valid; });
  if (valid < static_cast<std::ptrdiff_t>(meters.size())) {
    result.findings.push_back({EnergyReason::partial_fleet, true,
                               std::to_string(valid) + " of " + std::to_string(meters.size()) +
                                   " meters gave an energy for the whole window"});
  }
  if (expected && *expected != static_cast<int>(meters.size())) {
    // More than expected is no shortage, but the user's picture of the fleet is wrong.
    result.findings.push_back({EnergyReason::partial_fleet,
                               *expected > static_cast<int>(meters.size()),
                               std::to_string(meters.size()) + " GPUs are metered, " +
                                   std::to_string(*expected) + " expected"});
  }
}

/// The energy of all meters of one scope.
BoundaryEnergy scope_energy(Boundary boundary, device::Scope scope,
                            std::span<const device::MeterTrace> traces, const Window& window,
                            const EnergyRules& rules) {
  BoundaryEnergy result;
  result.boundary = boundary;
  std::vector<MeterEnergy> meters;
  for (const auto& trace : traces) {
    if (trace.meter.scope == scope) {
      meters.push_back(meter_energy(trace, window, rules));
    }
  }
  if (meters.empty()) {
    result.findings.push_back({EnergyReason::no_meter, true,
                               "no meter of scope " + std::string{device::to_string(scope)}});
    return result;
  }
  leave_out_overlaps(meters, result.findings);
  for (const auto& meter : meters) {
    result.findings.insert(result.findings.end(), meter.findings.begin(), meter.findings.end());
  }
  check_fleet(meters, scope == device::Scope::gpu ? rules.expected_gpus : std::nullopt, result);
  sum_up(meters, result);
  result.valid = std::none_of(result.findings.begin(), result.findings.end(),
                              [](const EnergyFinding& one) { return one.fatal; });
  return result;
}

std::string joules_text(const BoundaryEnergy& part) {
  return significant(part.energy ? part.energy->in_base() : 0.0) + " J";
}

/// Nodes, or racks where the nodes are not whole or the racks cover more.
BoundaryEnergy it_energy(std::span<const device::MeterTrace> traces, const Window& window,
                         const EnergyRules& rules) {
  auto nodes = scope_energy(Boundary::it, device::Scope::node, traces, window, rules);
  auto racks = scope_energy(Boundary::it, device::Scope::rack, traces, window, rules);
  const auto has = [&](device::Scope scope) {
    return std::any_of(traces.begin(), traces.end(),
                       [&](const device::MeterTrace& trace) { return trace.meter.scope == scope; });
  };
  if (!has(device::Scope::rack)) {
    if (!has(device::Scope::node)) {
      nodes.findings.front().detail = "no meter of scope node or rack";
    }
    return nodes;
  }
  if (!has(device::Scope::node)) {
    return racks;
  }
  bool take_racks = racks.valid && !nodes.valid;
  std::string why = "the nodes' meters gave no whole energy";
  if (racks.valid && nodes.valid) {
    const double more = (*racks.energy - *nodes.energy).in_base();
    const double noise = std::hypot(racks.half_width.in_base(), nodes.half_width.in_base());
    take_racks = more > std::max(noise, rules.counter_tolerance_ratio * nodes.energy->in_base());
    why = "the rack meters cover more (" + joules_text(racks) + " against " + joules_text(nodes) +
          " of the nodes)";
  }
  auto& taken = take_racks ? racks : nodes;
  taken.findings.push_back(
      {EnergyReason::overlapping_meters, false,
       take_racks ? "rack meters are used and the nodes' left out: " + why
                  : "node meters are used and the racks' left out (" + joules_text(racks) + ")"});
  return taken;
}

}  // namespace

std::string_view to_string(Boundary boundary) {
  switch (boundary) {
    case Boundary::gpu:
      return "gpu";
    case Boundary::it:
      return "it";
    case Boundary::facility:
      break;
  }
  return "facility";
}

std::string_view to_string(EnergyMethod method) {
  return method == EnergyMethod::counter ? "counter" : "power_integral";
}

std::string_view to_string(EnergyReason reason) {
  return kReasons[static_cast<std::size_t>(reason)].second;
}

BoundaryEnergy energy_at(Boundary boundary, std::span<const device::MeterTrace> traces,
                         const Window& window, const EnergyRules& rules) {
  switch (boundary) {
    case Boundary::gpu:
      return scope_energy(boundary, device::Scope::gpu, traces, window, rules);
    case Boundary::it:
      return it_energy(traces, window, rules);
    case Boundary::facility:
      break;
  }
  return scope_energy(boundary, device::Scope::site, traces, window, rules);
}

}  // namespace perwatt::measure
