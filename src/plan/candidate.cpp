#include "perwatt/plan/candidate.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>

#include "training_columns.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/inference/serving/hardware.hpp"

namespace perwatt::plan {

namespace {

HallKind make_hall_kind(const Site& site, const catalog::Catalog& catalog, const Hall& hall) {
  const auto& data = catalog.cooling_plant(hall.cooling_plant, hall.defined_at);
  HallKind kind{&hall, facility::CoolingPlant{data, hall.supply}, {}, data.pue.value, 1, 1};
  for (const auto& load : site.loads) {
    if (load.hall == hall.id) {
      kind.load_it.value += load.it_power;
    }
  }
  kind.leakage_ratio = kind.plant.gpu_power_ratio();
  if (!hall.curves) {
    return kind;
  }
  kind.meter_over_it = 0;
  for (std::size_t h = 0; h < site.year.size(); ++h) {
    const auto& mean = hall.curves->mean[h];
    const auto& worst = hall.curves->worst[h];
    kind.usable_ratio =
        std::min({kind.usable_ratio, mean.load_ratio.back(), worst.load_ratio.back()});
    if (mean.load_ratio.back() > 0) {
      kind.meter_over_it +=
          site.year[h].year_ratio * mean.meter_ratio.back() / mean.load_ratio.back();
    }
  }
  return kind;
}

/// Meter over IT power of a hall loaded as far as the warmest hour allows.
double worst_meter_over_it(const Site& site, const HallKind& hall) {
  if (!hall.hall->curves) {
    return hall.meter_over_it;
  }
  double worst = 0;
  for (std::size_t h = 0; h < site.year.size(); ++h) {
    const auto& curve = hall.hall->curves->worst[h];
    if (hall.usable_ratio > 0) {
      worst =
          std::max(worst, facility::meter_ratio_at(curve, hall.usable_ratio) / hall.usable_ratio);
    }
  }
  return worst;
}

/// A rack that is heavier than the positions of its hall carry cannot stand there.
void require_position(const Hall& hall, const RackKind& rack) {
  const Watts reserved = rack.provisioned_it_per_rack.value;
  if (hall.max_rack_power && reserved > *hall.max_rack_power) {
    throw_bad_input("a rack of '" + rack.system->id + "' reserves " +
                        significant(in_watts(reserved) / 1e3, 5) + " kW, and a position of hall '" +
                        printable(hall.id) + "' carries " +
                        significant(in_watts(*hall.max_rack_power) / 1e3, 5) + " kW",
                    rack.stock->defined_at,
                    "place it in another hall, raise max_rack_power there, or lower gpu_cap_ratio "
                    "under static provisioning");
  }
}

RackKind make_rack_kind(const Site& site, const catalog::Catalog& catalog, const CandidateSet& set,
                        const RackStock& stock) {
  const auto& system = catalog.system(stock.system, stock.defined_at);
  const auto& accelerator = catalog.accelerator(system.accelerator, system.defined_at);
  std::size_t h = 0;
  while (set.halls[h].hall->id != stock.hall) {
    ++h;
  }
  const auto& hall = set.halls[h];
  RackKind kind{&stock,
                &system,
                h,
                &hall.plant.data(),
                facility::PowerChain{catalog, system},
                system.gpus_per_rack(),
                {},
                {},
                {},
                {},
                Tag::measured,
                {},
                {}};
  kind.gpu_cap = kind.chain.tdp() * site.provisioning.gpu_cap_ratio;
  kind.provisioned_it_per_rack.value =
      kind.chain.provisioned_node_at(kind.gpu_cap).it_total().value *
      static_cast<double>(system.nodes_per_rack);
  require_position(*hall.hall, kind);
  kind.provisioned_per_rack.value =
      kind.provisioned_it_per_rack.value * worst_meter_over_it(site, hall);
  kind.idle_gpu =
      std::min(kind.gpu_cap, inference::serving::idle_power(accelerator) * hall.leakage_ratio);
  kind.idle_tag = accelerator.idle ? accelerator.idle->tag : Tag::modelled;
  kind.idle_it_per_gpu = kind.chain.it_per_gpu(kind.idle_gpu);
  kind.capital_per_gpu =
      stock.capital_per_gpu
          ? stock.capital_per_gpu
          : facility::capital_and_hosting_per_gpu(catalog.price_table(site.price_table, site.file),
                                                  accelerator.id, site.price_basis);
  if (stock.max_buy > 0 && !kind.capital_per_gpu) {
    throw_bad_input("the price table '" + site.price_table + "' has no " +
                        std::string{to_string(site.price_basis)} + " price for '" + accelerator.id +
                        "', so racks of '" + system.id + "' cannot be bought",
                    stock.defined_at, "add capital_usd_per_gpu_hour to this [[rack]]");
  }
  return kind;
}

/// Fills in what a column draws and earns on a rack kind.
void price_candidate(const Site& site, const HallKind& hall, const RackKind& rack,
                     const Service& service, Candidate& candidate) {
  const double available = site.availability_ratio;
  candidate.it_per_gpu = rack.chain.it_per_gpu(candidate.gpu_power.mean);
  candidate.mean_it_per_gpu.value =
      candidate.it_per_gpu.value * available + rack.idle_it_per_gpu.value * (1.0 - available);
  candidate.meter_per_gpu.value = candidate.mean_it_per_gpu.value * hall.meter_over_it;
  const auto& point = candidate.point;
  candidate.mean_output_per_gpu = point.output_per_gpu * available;
  UsdPerSecond revenue = point.output_per_gpu * service.output_price +
                         candidate.it_per_gpu.value * service.it_energy_price;
  if (const auto input = point.input_per_gpu()) {
    revenue += *input * service.input_price;
  }
  candidate.revenue_per_gpu = revenue * available;
  candidate.margin_per_gpu =
      candidate.revenue_per_gpu - candidate.meter_per_gpu.value * site.energy_price;
}

/// GPU power in a hall that is warmer or cooler than where it was measured.
inference::GpuPower with_leakage(inference::GpuPower power, double ratio) {
  if (ratio != 1.0) {
    power.mean = power.mean * ratio;
    power.low = power.low * ratio;
    power.high = power.high * ratio;
    power.tag = weaker(power.tag, Tag::modelled);
    power.basis += "; leakage at the hall's supply temperature";
  }
  return power;
}

/// The point of a curve over the clock that draws `power_ratio` of the power at its beginning;
/// nothing where its lowest clock draws more.
std::optional<inference::ClockedRatios> ratios_at(
    const std::vector<inference::ClockedRatios>& clocks, double power_ratio) {
  inference::ClockedRatios above;
  for (const auto& below : clocks) {
    if (below.gpu_power <= power_ratio) {
      const double share =
          (above.gpu_power - power_ratio) / std::max(1e-12, above.gpu_power - below.gpu_power);
      const auto mix = [&](double from, double to) { return from + share * (to - from); };
      return inference::ClockedRatios{
          mix(above.clock_ratio, below.clock_ratio), mix(above.rate, below.rate),
          mix(above.interactivity, below.interactivity), mix(above.ttft, below.ttft), power_ratio};
    }
    above = below;
  }
  return std::nullopt;
}

/// Leaves out columns at lower clocks that no mixture of others needs: those below the hull of
/// output over power of one service, rack kind, model and precision.
void drop_needless_clocks(std::vector<Candidate>& candidates) {
  using Key = std::tuple<std::size_t, std::size_t, std::string_view, std::string_view>;
  const auto is_full = [](const Candidate& one) { return one.point.clock_ratio == 1; };
  if (std::all_of(candidates.begin(), candidates.end(), is_full)) {
    return;
  }
  std::map<Key, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const auto& row = *candidates[i].point.point;
    groups[{candidates[i].service, candidates[i].rack, row.model, row.precision}].push_back(i);
  }
  std::vector<bool> is_needed(candidates.size());
  for (const auto& [key, group] : groups) {
    std::vector<curve::CurvePoint<TokensPerSecond>> points;
    for (const std::size_t i : group) {
      points.push_back({candidates[i].it_per_gpu.value, candidates[i].point.output_per_gpu});
      is_needed[i] = is_full(candidates[i]);
    }
    for (const std::size_t i : curve::concave_hull<TokensPerSecond>(points)) {
      is_needed[group[i]] = true;
    }
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (is_needed[i]) {
      if (kept != i) {
        candidates[kept] = std::move(candidates[i]);
      }
      ++kept;
    }
  }
  candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(kept), candidates.end());
}

class Builder {
 public:
  Builder(const Site& site, const catalog::Catalog& catalog, const OptionSet& options)
      : site_{site}, options_{options} {
    for (const auto& hall : site.halls) {
      set_.halls.push_back(make_hall_kind(site, catalog, hall));
      set_.load_it.value += set_.halls.back().load_it.value;
    }
    for (const auto& stock : site.racks) {
      set_.racks.push_back(make_rack_kind(site, catalog, set_, stock));
    }
  }

  CandidateSet build() {
    set_.excluded.resize(site_.services.size());
    set_.unmodelled = options_.unmodelled;
    set_.reach.resize(site_.services.size());
    for (const auto& option : options_.options) {
      add_option(option);
    }
    drop_needless_clocks(set_.candidates);
    for (std::size_t s = 0; s < site_.services.size(); ++s) {
      note_reach(s);
    }
    add_training_columns(site_, set_);
    return std::move(set_);
  }

 private:
  void add_option(const Option& option) {
    const auto& service = site_.services[option.service];
    const auto& row = *option.point.point;
    auto& excluded = set_.excluded[option.service];
    if (!is_on_site(row.accelerator) || !may_answer(service, row.model)) {
      return;
    }
    if (!site_.rules.allow(option.point)) {
      ++excluded.by_rule;
    } else if (!option.ttft_known && !service.slo.allow_unknown_ttft) {
      ++excluded.unknown_ttft;
    } else if (!option.point.total_per_gpu && service.input_price > UsdPerToken{}) {
      ++excluded.unknown_input_rate;
    } else if (!option.gpu_power) {
      ++excluded.unknown_power;
    } else {
      place(option);
    }
  }

  /// Columns on every rack kind of the option's accelerator: at its own clock or the one that the
  /// rack's cap leaves, and at each lower clock that the rules allow.
  void place(const Option& option) {
    auto& excluded = set_.excluded[option.service];
    for (std::size_t k = 0; k < set_.racks.size(); ++k) {
      const auto& rack = set_.racks[k];
      if (rack.system->accelerator != option.point.point->accelerator) {
        continue;
      }
      const auto& hall = set_.halls[rack.hall];
      const auto power = with_leakage(*option.gpu_power, hall.leakage_ratio);
      const double gpus =
          (static_cast<double>(rack.stock->owned) + rack.stock->max_buy) * rack.gpus_per_rack;
      if (option.point.point->layout.num_gpus > gpus) {
        ++excluded.too_large;
        continue;
      }
      if (power.mean <= rack.gpu_cap) {
        add_column(option, k, option.point, power);
      } else if (const auto capped = ratios_at(option.clocks, rack.gpu_cap / power.mean);
                 !capped || !add_slower(option, k, *capped, power)) {
        ++excluded.above_cap;
      }
      for (const auto& slower : option.clocks) {
        if (slower.clock_ratio >= site_.rules.min_clock_ratio &&
            power.mean * slower.gpu_power <= rack.gpu_cap) {
          add_slower(option, k, slower, power);
        }
      }
    }
  }

  /// A column at a lower clock, if it still meets the SLO.
  bool add_slower(const Option& option, std::size_t rack, const inference::ClockedRatios& ratios,
                  inference::GpuPower power) {
    const auto& slo = site_.services[option.service].slo;
    const auto point = inference::at_clock(option.point, ratios);
    if (point.interactivity < slo.min_interactivity ||
        (slo.max_ttft && point.ttft && *point.ttft > *slo.max_ttft)) {
      return false;
    }
    power.mean = power.mean * ratios.gpu_power;
    power.low = power.low * ratios.gpu_power;
    power.high = power.high * ratios.gpu_power;
    power.tag = weaker(power.tag, Tag::modelled);
    power.basis += "; scaled along the modelled curve of the clock";
    add_column(option, rack, point, power);
    return true;
  }

  void add_column(const Option& option, std::size_t rack, const inference::OperatingPoint& point,
                  const inference::GpuPower& power) {
    const auto& kind = set_.racks[rack];
    Candidate candidate{
        option.service, rack, point, option.ttft_known, power, {}, {}, {}, {}, {}, {}};
    price_candidate(site_, set_.halls[kind.hall], kind, site_.services[option.service], candidate);
    set_.candidates.push_back(std::move(candidate));
  }

  [[nodiscard]] bool is_on_site(const std::string& accelerator) const {
    return std::any_of(set_.racks.begin(), set_.racks.end(), [&](const RackKind& rack) {
      return rack.system->accelerator == accelerator;
    });
  }

  static bool may_answer(const Service& service, const std::string& model) {
    const auto& others = service.alternative_models;
    return service.model == model || std::find(others.begin(), others.end(), model) != others.end();
  }

  void note_reach(std::size_t s) {
    auto& reach = set_.reach[s];
    const auto& slo = site_.services[s].slo;
    for (const auto* point : options_.rows[s]) {
      if (!is_on_site(point->accelerator) || !may_answer(site_.services[s], point->model) ||
          !site_.rules.allow(inference::at_row(*point))) {
        continue;
      }
      reach.has_deployment = true;
      reach.best_interactivity =
          std::max(reach.best_interactivity.value_or(TokensPerSecond{}), *point->interactivity);
      if (*point->interactivity >= slo.min_interactivity && point->ttft_median) {
        reach.best_ttft =
            std::min(reach.best_ttft.value_or(*point->ttft_median), *point->ttft_median);
      }
    }
  }

  const Site& site_;
  const OptionSet& options_;
  CandidateSet set_;
};

}  // namespace

CandidateSet build_candidates(const Site& site, const catalog::Catalog& catalog,
                              const OptionSet& options) {
  return Builder{site, catalog, options}.build();
}

CandidateSet build_candidates(const Site& site, const catalog::Catalog& catalog,
                              std::span<const inference::MeasuredPoint> points,
                              const inference::GpuPowerEstimator& estimator,
                              inference::serving::ModelledServing* modelled) {
  return build_candidates(
      site, catalog,
      find_options(site.services, accelerators_of(site, catalog), points, estimator, modelled));
}

std::optional<curve::PowerCurve<TokensPerSecond>> power_curve(const CandidateSet& set,
                                                              std::size_t service,
                                                              std::size_t rack) {
  std::vector<curve::CurvePoint<TokensPerSecond>> points;
  for (const auto& candidate : set.candidates) {
    if (candidate.service == service && candidate.rack == rack) {
      points.push_back({candidate.meter_per_gpu.value, candidate.mean_output_per_gpu});
    }
  }
  if (points.empty()) {
    return std::nullopt;
  }
  return curve::PowerCurve<TokensPerSecond>::hull_of(points);
}

}  // namespace perwatt::plan
