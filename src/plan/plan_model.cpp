// Racks, deployments, training, demand and money. The power they draw: plan_model_power.cpp.
#include "plan_model.hpp"

#include <algorithm>

namespace perwatt::plan {

namespace {

/// Small beside any price of tokens (a thousandth of a cent per million), large beside rounding.
constexpr double kTieUsdPerHourPerKtok = 3.6e-5;

double in_ktok(TokensPerSecond rate) {
  return in_tokens_per_second(rate) / 1e3;
}

}  // namespace

PlanModel::PlanModel(const Site& site, const CandidateSet& set, const ManagedDraw& managed,
                     SolverUse& use, const PlanModelOptions& options)
    : site_{site}, set_{set}, managed_{managed}, options_{options}, program_{use} {
  earn_ = options.relaxed.empty() ? 1.0 : 0.0;
  add_rows();
  add_placement_rows();
  hall_rows_.resize(set.halls.size());
  halls_.resize(set.halls.size());
  for (std::size_t p = 0; p < set.halls.size(); ++p) {
    add_hall_rows(p);
  }
  for (std::size_t p = 0; p < set.halls.size(); ++p) {
    add_hall_columns(p);
  }
  for (std::size_t c = 0; c < set.candidates.size(); ++c) {
    for (std::size_t h = 0; h < hours(); ++h) {
      add_deployment(c, h);
    }
  }
  for (std::size_t t = 0; t < set.training.size(); ++t) {
    for (std::size_t h = 0; h < hours(); ++h) {
      add_training(t, h);
    }
  }
  for (std::size_t k = 0; k < set.racks.size(); ++k) {
    add_rack(k);
  }
  add_pipelines();
  add_supplies();
  add_retrofits();
  if (options.soft_commitments) {
    add_unmet_columns();
    add_unmet_training();
  }
  for (const auto& limit : options.relaxed) {
    add_excess(limit);
  }
}

void PlanModel::add_rows() {
  add_power_rows();
  for (const auto& rack : set_.racks) {
    rack_rows_.emplace_back();
    for (std::size_t h = 0; h < hours(); ++h) {
      rack_rows_.back().push_back(program_.add_row(0, 0));
    }
    stock_rows_.push_back(program_.add_row(-kInf, rack.stock->owned));
  }
  for (const auto& service : site_.services) {
    demand_rows_.emplace_back();
    for (const auto& hour : site_.year) {
      const double committed = in_ktok(service.committed_output.value_or(TokensPerSecond{}));
      demand_rows_.back().push_back(program_.add_row(
          committed * hour.demand_ratio, in_ktok(service.demand_output) * hour.demand_ratio));
    }
  }
  add_training_rows();
  if (site_.max_capital) {
    capital_row_ = program_.add_row(-kInf, in_usd_per_hour(*site_.max_capital));
  }
}

void PlanModel::add_training_rows() {
  for (const auto& job : site_.training) {
    const double most_gpus = static_cast<double>(job.max_pipelines) * job.gpus_per_pipeline();
    training_rows_.emplace_back();
    for (std::size_t h = 0; h < hours(); ++h) {
      training_rows_.back().push_back(program_.add_row(-kInf, most_gpus));
    }
    training_commitment_.push_back(
        job.committed ? std::optional{program_.add_row(in_ktok(*job.committed), kInf)}
                      : std::nullopt);
  }
}

void PlanModel::add_placement_rows() {
  placement_rows_.resize(set_.racks.size());
  for (std::size_t k = 0; k < set_.racks.size(); ++k) {
    const auto& stock = *set_.racks[k].stock;
    const auto is_here = [&](const Placement& placement) {
      return placement.system == stock.system && placement.hall == stock.hall;
    };
    if (std::none_of(site_.placements.begin(), site_.placements.end(), is_here)) {
      continue;
    }
    const auto add = [&](const auto& is_own) {
      const auto own = std::find_if(site_.placements.begin(), site_.placements.end(),
                                    [&](const Placement& p) { return is_here(p) && is_own(p); });
      auto& [share, rows] = placement_rows_[k].emplace_back();
      share = own == site_.placements.end() ? 0.0 : own->gpu_share_ratio;
      for (std::size_t h = 0; h < hours(); ++h) {
        rows.push_back(program_.add_row(-kInf, 0));
      }
    };
    for (const auto& service : site_.services) {
      add([&](const Placement& p) { return p.training.empty() && p.service == service.id; });
    }
    for (const auto& job : site_.training) {
      add([&](const Placement& p) { return p.service.empty() && p.training == job.id; });
    }
  }
}

void PlanModel::add_deployment(std::size_t c, std::size_t h) {
  const auto& candidate = set_.candidates[c];
  const auto& rack = set_.racks[candidate.rack];
  const auto& hour = site_.year[h];
  const double output = in_ktok(candidate.mean_output_per_gpu);
  const double it = in_megawatts(candidate.mean_it_per_gpu.value);
  std::vector<Entry> entries{{rack_rows_[candidate.rack][h], 1.0},
                             {demand_rows_[candidate.service][h], output}};
  if (!placement_rows_[candidate.rack].empty()) {
    entries.emplace_back(placement_rows_[candidate.rack][candidate.service].second[h], 1.0);
  }
  const auto& hall = hall_rows_[rack.hall];
  if (!hall.it.empty()) {
    entries.emplace_back(hall.it[h], it);
  }
  if (!hall.full.empty()) {
    entries.emplace_back(hall.full[h], in_megawatts(candidate.it_per_gpu.value));
  }
  UsdPerSecond margin = candidate.revenue_per_gpu;
  if (!is_physical(rack.hall)) {
    margin -= candidate.meter_per_gpu.value * hour.energy_price;
  }
  const double tie = options_.break_ties ? kTieUsdPerHourPerKtok * output : 0.0;
  gpus_.push_back(program_.add_column(hour.year_ratio * (earn_ * in_usd_per_hour(margin) + tie), 0,
                                      kInf, entries));
}

void PlanModel::add_training(std::size_t t, std::size_t h) {
  const auto& column = set_.training[t];
  const auto& rack = set_.racks[column.rack];
  const auto& hour = site_.year[h];
  std::vector<Entry> entries{{rack_rows_[column.rack][h], 1.0},
                             {training_rows_[column.job][h], 1.0}};
  if (const auto row = training_commitment_[column.job]) {
    entries.emplace_back(*row, hour.year_ratio * in_ktok(column.mean_trained_per_gpu));
  }
  if (!placement_rows_[column.rack].empty()) {
    const auto& placed = placement_rows_[column.rack][site_.services.size() + column.job];
    entries.emplace_back(placed.second[h], 1.0);
  }
  const auto& hall = hall_rows_[rack.hall];
  if (!hall.it.empty()) {
    entries.emplace_back(hall.it[h], in_megawatts(column.mean_it_per_gpu.value));
  }
  if (!hall.full.empty()) {
    // What a running pipeline draws above that: add_reserved_pipelines().
    entries.emplace_back(hall.full[h], in_megawatts(rack.idle_it_per_gpu.value));
  }
  UsdPerSecond margin = column.value_per_gpu;
  if (!is_physical(rack.hall)) {
    margin -= column.meter_per_gpu.value * hour.energy_price;
  }
  training_.push_back(
      program_.add_column(hour.year_ratio * earn_ * in_usd_per_hour(margin), 0, kInf, entries));
}

void PlanModel::add_rack(std::size_t k) {
  const auto& rack = set_.racks[k];
  const auto& hall = hall_rows_[rack.hall];
  for (std::size_t h = 0; h < hours(); ++h) {  // idle GPUs
    const auto& hour = site_.year[h];
    std::vector<Entry> entries{{rack_rows_[k][h], 1.0}};
    const double it = in_megawatts(rack.idle_it_per_gpu.value);
    for (const auto* rows : {&hall.it, &hall.full}) {
      if (!rows->empty()) {
        entries.emplace_back((*rows)[h], it);
      }
    }
    UsdPerSecond energy;
    if (!is_physical(rack.hall)) {
      energy = rack.idle_it_per_gpu.value * set_.halls[rack.hall].meter_over_it * hour.energy_price;
    }
    program_.add_column(-hour.year_ratio * earn_ * in_usd_per_hour(energy), 0, kInf, entries);
  }
  std::vector<Entry> powered{{stock_rows_[k], 1.0}};
  for (std::size_t h = 0; h < hours(); ++h) {
    powered.emplace_back(rack_rows_[k][h], -static_cast<double>(rack.gpus_per_rack));
    for (const auto& [share, rows] : placement_rows_[k]) {
      powered.emplace_back(rows[h], -share * rack.gpus_per_rack);
    }
    if (!is_managed() && !is_physical(rack.hall)) {
      powered.emplace_back(power_rows_[h], in_megawatts(rack.provisioned_per_rack.value));
    }
  }
  const double nameplate = in_megawatts(rack.provisioned_it_per_rack.value);
  if (hall.nameplate >= 0) {
    powered.emplace_back(hall.nameplate, nameplate);
  }
  if (!is_managed()) {
    for (const int row : hall.capacity) {
      powered.emplace_back(row, nameplate);
    }
  }
  if (hall.positions >= 0) {
    powered.emplace_back(hall.positions, 1.0);
  }
  powered_.push_back(program_.add_column(0, 0, kInf, powered, true));
  const double capital =
      in_usd_per_hour(rack.capital_per_gpu.value_or(UsdPerSecond{})) * rack.gpus_per_rack;
  std::vector<Entry> bought{{stock_rows_[k], -1.0}};
  if (capital_row_) {
    bought.emplace_back(*capital_row_, capital);
  }
  bought_.push_back(
      program_.add_column(-earn_ * capital, rack.stock->min_buy, rack.stock->max_buy, bought));
}

void PlanModel::add_retrofits() {
  for (const auto& retrofit : site_.retrofits) {
    const double capital = in_usd_per_hour(retrofit.capital_per_position);
    std::vector<Entry> entries;
    for (std::size_t p = 0; p < set_.halls.size(); ++p) {
      const auto& id = set_.halls[p].hall->id;
      if (id == retrofit.from || id == retrofit.to) {
        entries.emplace_back(hall_rows_[p].positions, id == retrofit.from ? 1.0 : -1.0);
      }
    }
    if (capital_row_) {
      entries.emplace_back(*capital_row_, capital);
    }
    retrofits_.push_back(
        program_.add_column(-earn_ * capital, 0, retrofit.max_positions, entries, true));
  }
}

void PlanModel::add_unmet_columns() {
  for (std::size_t s = 0; s < site_.services.size(); ++s) {
    const auto& service = site_.services[s];
    const auto committed = service.committed_output.value_or(TokensPerSecond{});
    const UsdPerSecond penalty = tokens_per_second(1e3) * service.output_price * kUnmetPriceFactor;
    for (std::size_t h = 0; h < hours(); ++h) {
      const auto& hour = site_.year[h];
      unmet_.push_back(program_.add_column(-hour.year_ratio * in_usd_per_hour(penalty), 0,
                                           in_ktok(committed) * hour.demand_ratio,
                                           {{demand_rows_[s][h], 1.0}}));
    }
  }
}

void PlanModel::add_unmet_training() {
  for (std::size_t j = 0; j < site_.training.size(); ++j) {
    const auto& job = site_.training[j];
    const UsdPerSecond penalty = tokens_per_second(1e3) * options_.unmet_training_prices[j];
    unmet_training_.push_back(job.committed
                                  ? std::optional{program_.add_column(
                                        -in_usd_per_hour(penalty), 0, in_ktok(*job.committed),
                                        {{*training_commitment_[j], 1.0}})}
                                  : std::nullopt);
  }
}

void PlanModel::add_excess(const Limit& limit) {
  double present = 0;
  bool is_whole = false;
  std::vector<Entry> entries;
  switch (limit.kind) {
    case Limit::Kind::envelope:
      present = in_megawatts(site_.envelope);
      for (const auto* rows : {&power_rows_, &import_rows_}) {
        for (const int row : *rows) {
          entries.emplace_back(row, -1.0);
        }
      }
      break;
    case Limit::Kind::racks: {
      const auto& stock = *set_.racks[limit.index].stock;
      present = static_cast<double>(stock.owned) + stock.max_buy;
      is_whole = true;
      entries = {{stock_rows_[limit.index], -1.0}};
      break;
    }
    case Limit::Kind::capital:
      present = in_usd_per_hour(*site_.max_capital);
      entries = {{*capital_row_, -1.0}};
      break;
    case Limit::Kind::commitment:
      present = in_ktok(*site_.services[limit.index].committed_output);
      for (std::size_t h = 0; h < hours(); ++h) {
        entries.emplace_back(demand_rows_[limit.index][h], site_.year[h].demand_ratio);
      }
      break;
    case Limit::Kind::pipelines: {
      const auto& job = site_.training[limit.index];
      present = job.max_pipelines;
      is_whole = true;
      for (const int row : training_rows_[limit.index]) {
        entries.emplace_back(row, -static_cast<double>(job.gpus_per_pipeline()));
      }
      break;
    }
    case Limit::Kind::training_commitment:
      present = in_ktok(*site_.training[limit.index].committed);
      entries = {{*training_commitment_[limit.index], 1.0}};
      break;
    case Limit::Kind::positions:
      present = *set_.halls[limit.index].hall->positions;
      is_whole = true;
      entries = {{hall_rows_[limit.index].positions, -1.0}};
      break;
    case Limit::Kind::hall_capacity:
      present = in_megawatts(*set_.halls[limit.index].hall->it_capacity);
      if (const int row = hall_rows_[limit.index].design_limit; row >= 0) {
        entries.emplace_back(row, -1.0);
      }
      for (const int row : hall_rows_[limit.index].capacity) {
        entries.emplace_back(row, -set_.halls[limit.index].usable_ratio);
      }
      break;
  }
  const double weight = 1.0 / std::max(present, 1e-6);
  excess_.push_back(program_.add_column(-weight, 0, kInf, entries, is_whole));
}

void PlanModel::set_owned_racks(std::size_t rack, double owned) {
  program_.set_row_bounds(stock_rows_[rack], -kInf, owned);
}

}  // namespace perwatt::plan
