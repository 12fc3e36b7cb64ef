// Joules of a run, per token and with their uncertainty.
#include <algorithm>
#include <cmath>

#include "perwatt/measure/intervals.hpp"
#include "perwatt/measure/session.hpp"

namespace perwatt::measure {

namespace {

constexpr double kSlices = 64;  // of the window, for its own fluctuation
constexpr Seconds kShortestSlice = seconds(0.5);

class EnergyResults {
 public:
  EnergyResults(const LoadRun& run, std::span<const device::MeterTrace> traces,
                std::span<const IdlePower> idle, const EnergyRules& rules, Measurement& measurement)
      : run_{run}, traces_{traces}, idle_{idle}, rules_{rules}, m_{measurement} {
    for (const auto& record : run.records) {
      output_ += output_in_window(record);
    }
  }

  [[nodiscard]] bool is_metered(Boundary boundary) const {
    return std::any_of(traces_.begin(), traces_.end(), [&](const device::MeterTrace& trace) {
      switch (trace.meter.scope) {
        case device::Scope::gpu:
          return boundary == Boundary::gpu;
        case device::Scope::node:
        case device::Scope::rack:
          return boundary == Boundary::it;
        case device::Scope::site:
          return boundary == Boundary::facility;
        case device::Scope::cpu_package:
        case device::Scope::memory:
          break;
      }
      return false;
    });
  }

  void add_measured(Boundary boundary) {
    const auto account = energy_at(boundary, traces_, run_.window, rules_);
    add(account, Tag::measured, measured_interval(account));
  }

  /// Made from the first boundary: its fluctuation within the run is this one's too.
  void add_modelled(const BoundaryEnergy& account) {
    std::optional<Estimate> estimate;
    const auto& narrow = m_.energy.front().joules_per_output_token;
    if (account.valid && narrow && output_ > Tokens{}) {
      const double value = in_joules_per_token(*account.energy / output_);
      estimate = *narrow;
      for (auto* part : {&estimate->low, &estimate->high}) {
        if (*part) {
          **part *= value / narrow->value;
        }
      }
      estimate->value = value;
    }
    add(account, Tag::modelled, estimate);
  }

 private:
  /// Joules per output token with its interval from the window's own fluctuation; absent where the
  /// energy is not valid or nothing came.
  [[nodiscard]] std::optional<Estimate> measured_interval(const BoundaryEnergy& account) const {
    if (!account.valid || output_ <= Tokens{}) {
      return std::nullopt;
    }
    const auto within = within_run_interval(slices(account.boundary));
    Estimate estimate = within ? within->joules_per_token : Estimate{};
    estimate.value = in_joules_per_token(*account.energy / output_);
    return estimate;
  }

  /// The window cut into equal parts, with what each drew and delivered. Tokens are known by the
  /// second: a slice takes its share of the seconds it overlaps.
  [[nodiscard]] std::vector<Slice> slices(Boundary boundary) const {
    const auto per_second = output_tokens_per_second(run_);
    const Seconds window = run_.window.end - run_.window.begin;
    const auto count = static_cast<int>(std::min(kSlices, window / kShortestSlice));
    std::vector<Slice> parts;
    for (int i = 0; i < count; ++i) {
      const Seconds from = window * (static_cast<double>(i) / count);
      const Seconds to = window * (static_cast<double>(i + 1) / count);
      const auto energy =
          energy_at(boundary, traces_, {run_.window.begin + from, run_.window.begin + to}, rules_);
      if (!energy.energy) {
        return {};
      }
      parts.push_back({*energy.energy, tokens_between(per_second, from, to)});
    }
    return parts;
  }

  [[nodiscard]] static Tokens tokens_between(const std::vector<Tokens>& per_second, Seconds from,
                                             Seconds to) {
    Tokens sum;
    const double begin = in_seconds(from);
    const double end = in_seconds(to);
    for (auto second = static_cast<std::size_t>(begin); second < per_second.size(); ++second) {
      const auto start = static_cast<double>(second);
      if (start >= end) {
        break;
      }
      sum += per_second[second] * (std::min(end, start + 1) - std::max(begin, start));
    }
    return sum;
  }

  void add(const BoundaryEnergy& account, Tag tag, std::optional<Estimate> per_output) {
    EnergyResult result;
    result.account = account;
    result.tag = tag;
    if (account.valid && account.energy && output_ > Tokens{}) {
      fill_per_token(account, per_output, result);
    }
    for (const auto& idle : idle_) {
      if (idle.boundary == account.boundary && idle.valid && tag == Tag::measured) {
        fill_marginal(account, idle, result);
      }
    }
    m_.energy.push_back(std::move(result));
  }

  void fill_per_token(const BoundaryEnergy& account, std::optional<Estimate> per_output,
                      EnergyResult& result) const {
    const Joules energy = *account.energy;
    const double value = in_joules_per_token(energy / output_);
    const double meter_half_width = in_joules_per_token(account.half_width / output_);
    result.joules_per_output_token =
        widen(per_output.value_or(Estimate{value, value, value}), meter_half_width);
    if (m_.tokens.input_known) {
      const Tokens total = output_ + tokens(static_cast<double>(m_.tokens.input));
      const double scale = output_ / total;
      auto per_total = *result.joules_per_output_token;
      per_total.value *= scale;
      for (auto* bound : {&per_total.low, &per_total.high}) {
        if (*bound) {
          **bound *= scale;
        }
      }
      result.joules_per_total_token = per_total;
    }
    result.output_tokens_per_joule = output_.in_base() / energy.in_base();
  }

  void fill_marginal(const BoundaryEnergy& account, const IdlePower& idle,
                     EnergyResult& result) const {
    result.idle_power = idle.mean;
    const auto marginal = marginal_energy(account, run_.window.end - run_.window.begin, idle);
    if (!marginal) {
      return;
    }
    result.marginal = marginal->energy;
    if (output_ > Tokens{}) {
      const double value = in_joules_per_token(marginal->energy / output_);
      double half_width = in_joules_per_token(marginal->half_width / output_);
      if (const auto& total = result.joules_per_output_token; total && total->low) {
        half_width = std::hypot(half_width, total->value - *total->low);
      }
      result.marginal_joules_per_output_token =
          Estimate{value, value - half_width, value + half_width};
    }
  }

  const LoadRun& run_;
  std::span<const device::MeterTrace> traces_;
  std::span<const IdlePower> idle_;
  const EnergyRules& rules_;
  Measurement& m_;
  Tokens output_;
};

void judge_power(Measurement& m) {
  if (m.energy.empty() && m.window <= Seconds{}) {
    m.power_valid = false;
    m.reasons.emplace_back("no_window: the run ended before its window began");
    return;
  }
  if (m.energy.empty()) {
    m.power_valid = false;
    m.reasons.emplace_back(
        "no_meter: no power source was given (--power), or it meters no GPU, "
        "node, rack or site");
    return;
  }
  m.power_valid = m.energy.front().account.valid;
  for (const auto& energy : m.energy) {
    if (energy.tag != Tag::measured) {
      continue;
    }
    for (const auto& finding : energy.account.findings) {
      m.reasons.push_back(std::string{to_string(finding.reason)} + ": " +
                          std::string{to_string(energy.account.boundary)} + ": " + finding.detail);
    }
  }
}

}  // namespace

void add_energy_results(const LoadRun& run, std::span<const device::MeterTrace> traces,
                        std::span<const IdlePower> idle, const EnergyRules& rules,
                        const std::optional<FacilityModel>& facility, Measurement& measurement) {
  EnergyResults results{run, traces, idle, rules, measurement};
  const bool has_window = run.window.end > run.window.begin;
  for (const auto boundary : {Boundary::gpu, Boundary::it, Boundary::facility}) {
    if (has_window && results.is_metered(boundary)) {
      results.add_measured(boundary);
    }
  }
  const bool only_gpus = measurement.energy.size() == 1 &&
                         measurement.energy.front().account.boundary == Boundary::gpu;
  if (facility && only_gpus) {
    const auto wider =
        scale_to_facility(measurement.energy.front().account, run.window.end - run.window.begin,
                          *facility->chain, *facility->plant, facility->operation);
    if (wider) {
      results.add_modelled(wider->it);
      results.add_modelled(wider->facility);
    }
  }
  judge_power(measurement);
}

}  // namespace perwatt::measure
