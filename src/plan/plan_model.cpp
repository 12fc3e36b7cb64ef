#include "plan_model.hpp"

#include <algorithm>

namespace perwatt::plan {

namespace {

constexpr double kInf = LinearProgram::kInfinity;

double in_ktok(TokensPerSecond rate) {
  return in_tokens_per_second(rate) / 1e3;
}

}  // namespace

PlanModel::PlanModel(const Site& site, const CandidateSet& set, SolverUse& use,
                     const std::vector<Limit>& relaxed)
    : site_{site}, set_{set}, program_{use} {
  add_rows();
  add_columns(relaxed.empty());
  for (const auto& limit : relaxed) {
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

void PlanModel::add_columns(bool earn) {
  const double profit = earn ? 1.0 : 0.0;
  for (const auto& candidate : set_.candidates) {
    gpus_.push_back(program_.add_column(
        profit * in_usd_per_hour(candidate.margin_per_gpu), 0, kInf,
        {{rack_rows_[candidate.rack], 1.0},
         {demand_rows_[candidate.service],
          in_ktok(candidate.point.output_per_gpu) * site_.availability_ratio}}));
  }
  for (std::size_t k = 0; k < set_.racks.size(); ++k) {
    const auto& rack = set_.racks[k];
    const Watts idle = facility::CoolingPlant{*rack.plant}.meter_for(rack.idle_it_per_gpu).value;
    idle_.push_back(program_.add_column(-profit * in_usd_per_hour(idle * site_.energy_price), 0,
                                        kInf, {{rack_rows_[k], 1.0}}));
    powered_.push_back(
        program_.add_column(0, 0, kInf,
                            {{power_row_, in_megawatts(rack.provisioned_per_rack.value)},
                             {rack_rows_[k], -static_cast<double>(rack.gpus_per_rack)},
                             {stock_rows_[k], 1.0}},
                            true));
    const double capital =
        in_usd_per_hour(rack.capital_per_gpu.value_or(UsdPerSecond{})) * rack.gpus_per_rack;
    std::vector<LinearProgram::Entry> entries{{stock_rows_[k], -1.0}};
    if (capital_row_) {
      entries.emplace_back(*capital_row_, capital);
    }
    bought_.push_back(program_.add_column(-profit * capital, 0, rack.stock->max_buy, entries));
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
