#include "training_columns.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "perwatt/curve/power_curve.hpp"

namespace perwatt::plan {

namespace {

inference::GpuPower board_power(const TrainingPoint& point, double leakage_ratio) {
  const Watts mean = point.mean_power * leakage_ratio;
  const bool is_scaled = leakage_ratio != 1.0;
  return {mean, mean, mean, is_scaled ? Tag::modelled : Tag::derived,
          std::string{"energy of the profile over the time of the iteration"} +
              (is_scaled ? "; leakage at the hall's supply temperature" : "")};
}

TrainingColumn make_column(const Site& site, const CandidateSet& set, std::size_t j, std::size_t k,
                           const TrainingPoint& point) {
  const auto& job = site.training[j];
  const auto& rack = set.racks[k];
  const auto& hall = set.halls[rack.hall];
  const double available = site.availability_ratio;
  TrainingColumn column{j,  k,  point, board_power(point, hall.leakage_ratio), {}, {}, {}, {}, {},
                        {}, {}, {}};
  column.it_per_gpu = rack.chain.it_per_gpu(column.gpu_power.mean);
  column.highest_gpu_power = point.highest_power * hall.leakage_ratio;
  // Boards between two turns of the job idle.
  column.highest_it_per_gpu.value =
      std::max(rack.chain.it_per_gpu(column.highest_gpu_power).value, rack.idle_it_per_gpu.value);
  column.mean_it_per_gpu.value =
      column.it_per_gpu.value * available + rack.idle_it_per_gpu.value * (1.0 - available);
  column.meter_per_gpu.value = column.mean_it_per_gpu.value * hall.meter_over_it;
  column.mean_trained_per_gpu =
      trained_rate(job, point) * (available / static_cast<double>(job.gpus_per_pipeline()));
  column.value_per_gpu = column.mean_trained_per_gpu * job.value;
  column.margin_per_gpu = column.value_per_gpu - column.meter_per_gpu.value * site.energy_price;
  return column;
}

/// Keeps full clocks and what lies on the hull of trained tokens over power: mixtures of those do
/// as well as any other.
std::vector<TrainingColumn> needed(std::vector<TrainingColumn> columns) {
  std::vector<curve::CurvePoint<TokensPerSecond>> points;
  std::vector<bool> is_needed;
  for (const auto& column : columns) {
    points.push_back({column.it_per_gpu.value, column.mean_trained_per_gpu});
    is_needed.push_back(column.point.needs == FrequencyPlans::none);
  }
  for (const std::size_t i : curve::concave_hull<TokensPerSecond>(points)) {
    is_needed[i] = true;
  }
  std::vector<TrainingColumn> kept;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (is_needed[i]) {
      kept.push_back(std::move(columns[i]));
    }
  }
  return kept;
}

/// Share of the GPUs of a rack kind that `job` may use; 1 where nothing is placed on it.
double placed_share(const Site& site, const RackStock& stock, const TrainingJob& job) {
  bool is_placed = false;
  for (const auto& placement : site.placements) {
    if (placement.system == stock.system && placement.hall == stock.hall) {
      is_placed = true;
      if (placement.service.empty() && placement.training == job.id) {
        return placement.gpu_share_ratio;
      }
    }
  }
  return is_placed ? 0.0 : 1.0;
}

/// The columns of one job on one rack kind; says in `fit` why there are none.
std::vector<TrainingColumn> columns_on(const Site& site, const CandidateSet& set, std::size_t j,
                                       TrainingFit& fit) {
  const auto& job = site.training[j];
  const auto& rack = set.racks[fit.rack];
  // The profile's watts are those of the reference temperature.
  const Watts cap = rack.gpu_cap / set.halls[rack.hall].leakage_ratio;
  fit.settings_above_cap = job.curve->settings_above(cap);
  const double gpus =
      (static_cast<double>(rack.stock->owned) + rack.stock->max_buy) * rack.gpus_per_rack;
  const double share = placed_share(site, *rack.stock, job);
  fit.is_too_large = job.gpus_per_pipeline() > gpus;
  fit.is_too_large_for_share = !fit.is_too_large && job.gpus_per_pipeline() > gpus * share;
  fit.is_waiting_above_cap = job.curve->pipeline().blocking_power > cap;
  if (fit.is_too_large || fit.is_too_large_for_share || fit.is_waiting_above_cap) {
    return {};
  }
  std::vector<TrainingColumn> columns;
  for (const auto& point : job.curve->points_under(cap)) {
    if (point.needs <= site.rules.frequency_plans) {
      columns.push_back(make_column(site, set, j, fit.rack, point));
    }
  }
  fit.is_above_cap = columns.empty();
  // Under managed provisioning a column's highest watts count, too.
  return site.provisioning.policy == ProvisioningPolicy::managed ? columns
                                                                 : needed(std::move(columns));
}

}  // namespace

TokensPerSecond trained_rate(const TrainingJob& job, const TrainingPoint& point) {
  return job.tokens_per_iteration / point.time * rate_interval(job).central_factor;
}

void add_training_columns(const Site& site, CandidateSet& set) {
  set.training_fit.resize(site.training.size());
  for (std::size_t j = 0; j < site.training.size(); ++j) {
    for (std::size_t k = 0; k < set.racks.size(); ++k) {
      if (set.racks[k].system->accelerator != site.training[j].accelerator) {
        continue;
      }
      TrainingFit fit;
      fit.rack = k;
      for (auto& column : columns_on(site, set, j, fit)) {
        set.training.push_back(std::move(column));
      }
      set.training_fit[j].push_back(fit);
    }
  }
}

}  // namespace perwatt::plan
