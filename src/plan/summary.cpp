#include "summary.hpp"

#include <algorithm>
#include <cmath>

namespace perwatt::plan {

namespace {

constexpr double kLeastGpus = 1e-6;  // fewer are the solver's rounding

double at(const LinearProgram::Solution& solution, int column) {
  return solution.columns[static_cast<std::size_t>(column)];
}

/// Power of all chosen columns and idle GPUs with the serving boards' watts picked by `board`.
template <class Board>
Watts meter_total(const CandidateSet& set, const Plan& plan, double available, Board board) {
  Watts meter = set.load_parts.total().value;
  for (const auto& assignment : plan.assignments) {
    const auto& candidate = set.candidates[assignment.candidate];
    const auto& rack = set.racks[candidate.rack];
    const facility::ItPower serving = rack.chain.it_per_gpu(board(candidate.gpu_power));
    const facility::ItPower average{serving.value * available +
                                    rack.idle_it_per_gpu.value * (1.0 - available)};
    meter += facility::CoolingPlant{*rack.plant}.meter_for(average).value * assignment.gpus;
  }
  for (std::size_t k = 0; k < set.racks.size(); ++k) {
    const auto& rack = set.racks[k];
    meter += facility::CoolingPlant{*rack.plant}.meter_for(rack.idle_it_per_gpu).value *
             plan.racks[k].idle_gpus;
  }
  return meter;
}

/// Adds `gpus` GPUs of a rack kind, each board drawing `per_gpu` for `share` of the time, to the
/// flow.
void add_flow(const RackKind& rack, Watts per_gpu, double gpus, Watts& boards, PowerFlow& flow,
              Totals& totals) {
  const auto node = rack.chain.node_at(per_gpu);
  const double nodes = gpus / rack.system->gpus_per_node;
  boards += node.gpu * nodes;
  flow.host += node.host * nodes;
  flow.fans += node.fans * nodes;
  flow.conversion += node.conversion * nodes;
  flow.network += node.network * nodes;
  const auto parts = facility::CoolingPlant{*rack.plant}.parts_at({node.it_total().value * nodes});
  flow.cooling += parts.cooling;
  flow.distribution += parts.distribution;
  totals.gpu += node.gpu * nodes;
  totals.it += parts.it;
  totals.meter += parts.total().value;
}

class Summary {
 public:
  Summary(const Site& site, const CandidateSet& set, Plan& plan)
      : site_{site}, set_{set}, plan_{plan} {}

  void fill() {
    const double available = site_.availability_ratio;
    auto& totals = plan_.totals;
    auto& flow = plan_.flow;
    flow.service_gpu.assign(site_.services.size(), Watts{});
    plan_.served.assign(site_.services.size(), TokensPerSecond{});
    totals.input = TokensPerSecond{};
    for (const auto& assignment : plan_.assignments) {
      add_assignment(assignment);
    }
    for (std::size_t k = 0; k < set_.racks.size(); ++k) {
      const auto& rack = set_.racks[k];
      add_flow(rack, rack.idle_gpu, plan_.racks[k].idle_gpus, flow.idle_gpu, flow, totals);
      if (plan_.racks[k].powered > 0) {
        totals.power_tag =
            weaker(totals.power_tag, weaker(rack.system->chain_tag, rack.plant->pue.tag));
      }
      if (plan_.racks[k].idle_gpus > kLeastGpus || available < 1.0) {
        totals.power_tag = weaker(totals.power_tag, rack.idle_tag);
      }
      totals.provisioned += rack.provisioned_per_rack.value * plan_.racks[k].powered;
      totals.capital_cost += rack.capital_per_gpu.value_or(UsdPerSecond{}) *
                             (plan_.racks[k].bought * rack.gpus_per_rack);
    }
    flow.other_loads = set_.load_it.value;
    flow.cooling += set_.load_parts.cooling;
    flow.distribution += set_.load_parts.distribution;
    totals.it += set_.load_it.value;
    totals.meter += set_.load_parts.total().value;
    totals.provisioned += set_.load_parts.total().value;
    totals.meter_peak = totals.provisioned;
    totals.meter_low = meter_total(set_, plan_, available,
                                   [](const inference::GpuPower& power) { return power.low; });
    totals.meter_high = meter_total(set_, plan_, available,
                                    [](const inference::GpuPower& power) { return power.high; });
    totals.energy_cost = totals.meter * site_.energy_price;
  }

 private:
  void add_assignment(const Assignment& assignment) {
    const double available = site_.availability_ratio;
    const auto& candidate = set_.candidates[assignment.candidate];
    const auto& rack = set_.racks[candidate.rack];
    const auto& service = site_.services[candidate.service];
    auto& totals = plan_.totals;
    auto& flow = plan_.flow;
    const double serving = assignment.gpus * available;
    const auto interval = inference::rate_interval(candidate.point);
    const TokensPerSecond output = candidate.point.output_per_gpu * serving;
    totals.output += output;
    totals.output_low += output * interval.low_factor;
    totals.output_high += output * interval.high_factor;
    plan_.served[candidate.service] += output;
    totals.revenue += output * service.output_price;
    if (const auto input = candidate.point.input_per_gpu()) {
      totals.revenue += *input * serving * service.input_price;
      if (totals.input) {
        *totals.input += *input * serving;
      }
    } else {
      totals.input.reset();
    }
    totals.tag = weaker(totals.tag, candidate.point.tag);
    totals.power_tag = weaker(totals.power_tag, candidate.gpu_power.tag);
    add_flow(rack, candidate.gpu_power.mean, serving, flow.service_gpu[candidate.service], flow,
             totals);
    if (available < 1.0) {
      add_flow(rack, rack.idle_gpu, assignment.gpus - serving, flow.idle_gpu, flow, totals);
    }
  }

  const Site& site_;
  const CandidateSet& set_;
  Plan& plan_;
};

void take_solution(const CandidateSet& set, const PlanModel& model,
                   const LinearProgram::Solution& solution, bool whole_racks, Plan& plan) {
  plan.racks.assign(set.racks.size(), {});
  for (std::size_t k = 0; k < set.racks.size(); ++k) {
    auto& use = plan.racks[k];
    const double powered = at(solution, model.powered_column(k));
    use.powered = whole_racks ? std::round(powered) : powered;
    use.bought = std::max(0.0, use.powered - set.racks[k].stock->owned);
  }
  for (std::size_t c = 0; c < set.candidates.size(); ++c) {
    const double gpus = at(solution, model.gpus_column(c));
    if (gpus > kLeastGpus) {
      const auto& candidate = set.candidates[c];
      plan.assignments.push_back({c, gpus, gpus / candidate.point.point->layout.num_gpus});
      plan.racks[candidate.rack].serving_gpus += gpus;
    }
  }
  for (std::size_t k = 0; k < set.racks.size(); ++k) {
    auto& use = plan.racks[k];
    use.idle_gpus = std::max(0.0, use.powered * set.racks[k].gpus_per_rack - use.serving_gpus);
    if (use.idle_gpus < kLeastGpus) {
      use.idle_gpus = 0;
    }
  }
}

}  // namespace

void take_answer(const Site& site, const CandidateSet& set, const PlanModel& model,
                 const LinearProgram::Solution& solution, bool whole_racks, Plan& plan) {
  plan.status = PlanStatus::optimal;
  take_solution(set, model, solution, whole_racks, plan);
  Summary{site, set, plan}.fill();
}

}  // namespace perwatt::plan
