#include "plan_model.hpp"

#include <algorithm>

namespace perwatt::plan {

namespace {

constexpr double kInf = LinearProgram::kInfinity;

/// Small beside any price of tokens (a thousandth of a cent per million), large beside rounding.
constexpr double kTieUsdPerHourPerKtok = 3.6e-5;

double in_ktok(TokensPerSecond rate) {
  return in_tokens_per_second(rate) / 1e3;
}

}  // namespace

PlanModel::PlanModel(const Site& site, const CandidateSet& set, SolverUse& use,
                     const PlanModelOptions& options)
    : site_{site}, set_{set}, options_{options}, program_{use} {
  add_rows();
  add_placement_rows();
  add_columns();
  if (options.soft_commitments) {
    add_unmet_columns();
  }
  for (const auto& limit : options.relaxed) {
    add_excess(limit);
  }
}

void PlanModel::add_rows() {
  power_row_ =
      program_.add_row(-kInf, in_megawatts(site_.envelope - set_.load_parts.total().value));
  for (const auto& rack : set_.racks) {
    rack_rows_.push_back(program_.add_row(0, 0));
    stock_rows_.push_back(program_.add_row(-kInf, rack.stock->owned));
  }
  for (const auto& service : site_.services) {
    demand_rows_.push_back(
        program_.add_row(in_ktok(service.committed_output.value_or(TokensPerSecond{})),
                         in_ktok(service.demand_output)));
  }
  if (site_.max_capital) {
    capital_row_ = program_.add_row(-kInf, in_usd_per_hour(*site_.max_capital));
  }
}

void PlanModel::add_placement_rows() {
  placement_rows_.resize(set_.racks.size());
  for (std::size_t k = 0; k < set_.racks.size(); ++k) {
    const auto& stock = *set_.racks[k].stock;
    const auto is_here = [&](const Placement& placement) {
      return placement.system == stock.system && placement.cooling_plant == stock.cooling_plant;
    };
    if (std::none_of(site_.placements.begin(), site_.placements.end(), is_here)) {
      continue;
    }
    for (const auto& service : site_.services) {
      const auto own =
          std::find_if(site_.placements.begin(), site_.placements.end(),
                       [&](const Placement& p) { return is_here(p) && p.service == service.id; });
      const double share = own == site_.placements.end() ? 0.0 : own->gpu_share_ratio;
      placement_rows_[k].emplace_back(program_.add_row(-kInf, 0), share);
    }
  }
}

void PlanModel::add_columns() {
  const double profit = options_.relaxed.empty() ? 1.0 : 0.0;
  const double tie = options_.break_ties ? kTieUsdPerHourPerKtok : 0.0;
  for (const auto& candidate : set_.candidates) {
    const double output = in_ktok(candidate.point.output_per_gpu) * site_.availability_ratio;
    std::vector<LinearProgram::Entry> entries{{rack_rows_[candidate.rack], 1.0},
                                              {demand_rows_[candidate.service], output}};
    if (!placement_rows_[candidate.rack].empty()) {
      entries.emplace_back(placement_rows_[candidate.rack][candidate.service].first, 1.0);
    }
    gpus_.push_back(program_.add_column(
        profit * in_usd_per_hour(candidate.margin_per_gpu) + tie * output, 0, kInf, entries));
  }
  for (std::size_t k = 0; k < set_.racks.size(); ++k) {
    const auto& rack = set_.racks[k];
    const Watts idle = facility::CoolingPlant{*rack.plant}.meter_for(rack.idle_it_per_gpu).value;
    idle_.push_back(program_.add_column(-profit * in_usd_per_hour(idle * site_.energy_price), 0,
                                        kInf, {{rack_rows_[k], 1.0}}));
    std::vector<LinearProgram::Entry> powered{
        {power_row_, in_megawatts(rack.provisioned_per_rack.value)},
        {rack_rows_[k], -static_cast<double>(rack.gpus_per_rack)},
        {stock_rows_[k], 1.0}};
    for (const auto& [row, share] : placement_rows_[k]) {
      powered.emplace_back(row, -share * rack.gpus_per_rack);
    }
    powered_.push_back(program_.add_column(0, 0, kInf, powered, true));
    const double capital =
        in_usd_per_hour(rack.capital_per_gpu.value_or(UsdPerSecond{})) * rack.gpus_per_rack;
    std::vector<LinearProgram::Entry> entries{{stock_rows_[k], -1.0}};
    if (capital_row_) {
      entries.emplace_back(*capital_row_, capital);
    }
    bought_.push_back(program_.add_column(-profit * capital, 0, rack.stock->max_buy, entries));
  }
}

void PlanModel::add_unmet_columns() {
  for (std::size_t s = 0; s < site_.services.size(); ++s) {
    const auto& service = site_.services[s];
    const auto committed = service.committed_output.value_or(TokensPerSecond{});
    const UsdPerSecond penalty = tokens_per_second(1e3) * service.output_price * kUnmetPriceFactor;
    unmet_.push_back(program_.add_column(-in_usd_per_hour(penalty), 0, in_ktok(committed),
                                         {{demand_rows_[s], 1.0}}));
  }
}

void PlanModel::add_excess(const Limit& limit) {
  int row = power_row_;
  double coefficient = -1.0;
  double present = in_megawatts(site_.envelope);
  bool is_whole = false;
  switch (limit.kind) {
    case Limit::Kind::envelope:
      break;
    case Limit::Kind::racks: {
      const auto& stock = *set_.racks[limit.index].stock;
      row = stock_rows_[limit.index];
      present = static_cast<double>(stock.owned) + stock.max_buy;
      is_whole = true;
      break;
    }
    case Limit::Kind::capital:
      row = *capital_row_;
      present = in_usd_per_hour(*site_.max_capital);
      break;
    case Limit::Kind::commitment:
      row = demand_rows_[limit.index];
      coefficient = 1.0;
      present = in_ktok(*site_.services[limit.index].committed_output);
      break;
  }
  const double weight = 1.0 / std::max(present, 1e-6);
  excess_.push_back(program_.add_column(-weight, 0, kInf, {{row, coefficient}}, is_whole));
}

void PlanModel::set_envelope(Watts envelope) {
  program_.set_row_bounds(power_row_, -kInf,
                          in_megawatts(envelope - set_.load_parts.total().value));
}

void PlanModel::set_owned_racks(std::size_t rack, double owned) {
  program_.set_row_bounds(stock_rows_[rack], -kInf, owned);
}

}  // namespace perwatt::plan
