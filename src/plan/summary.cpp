#include "summary.hpp"

#include <algorithm>
#include <cmath>

#include "training_runs.hpp"

namespace perwatt::plan {

namespace {

constexpr double kLeastGpus = 1e-6;  // fewer are the solver's rounding

double at(const LinearProgram::Solution& solution, int column) {
  return solution.columns[static_cast<std::size_t>(column)];
}

void take_racks(const CandidateSet& set, const PlanModel& model,
                const LinearProgram::Solution& solution, bool whole_racks, Plan& plan) {
  plan.racks.assign(set.racks.size(), {});
  for (std::size_t k = 0; k < set.racks.size(); ++k) {
    auto& use = plan.racks[k];
    const double powered = at(solution, model.powered_column(k));
    use.powered = whole_racks ? std::round(powered) : powered;
    const auto& stock = *set.racks[k].stock;
    use.bought = std::max(static_cast<double>(stock.min_buy), use.powered - stock.owned);
  }
}

void take_assignments(const Site& site, const CandidateSet& set, const PlanModel& model,
                      const LinearProgram::Solution& solution, Plan& plan) {
  for (std::size_t c = 0; c < set.candidates.size(); ++c) {
    Assignment assignment{c, 0, 0, {}};
    double most = 0;
    for (std::size_t h = 0; h < site.year.size(); ++h) {
      const double gpus = at(solution, model.gpus_column(c, h));
      assignment.gpus_by_hour.push_back(gpus > kLeastGpus ? gpus : 0.0);
      assignment.gpus += assignment.gpus_by_hour.back() * site.year[h].year_ratio;
      most = std::max(most, gpus);
    }
    if (most > kLeastGpus) {
      const auto& candidate = set.candidates[c];
      assignment.replicas = assignment.gpus / candidate.point.point->layout.num_gpus;
      plan.racks[candidate.rack].serving_gpus += assignment.gpus;
      plan.assignments.push_back(std::move(assignment));
    }
  }
}

void take_training(const Site& site, const CandidateSet& set, const PlanModel& model,
                   const LinearProgram::Solution& solution, Plan& plan) {
  for (std::size_t t = 0; t < set.training.size(); ++t) {
    TrainingAssignment assignment{t, 0, 0, {}};
    double most = 0;
    for (std::size_t h = 0; h < site.year.size(); ++h) {
      const double gpus = at(solution, model.training_column(t, h));
      assignment.gpus_by_hour.push_back(gpus > kLeastGpus ? gpus : 0.0);
      assignment.gpus += assignment.gpus_by_hour.back() * site.year[h].year_ratio;
      most = std::max(most, gpus);
    }
    if (most > kLeastGpus) {
      const auto& column = set.training[t];
      assignment.pipelines = assignment.gpus / site.training[column.job].gpus_per_pipeline();
      plan.racks[column.rack].training_gpus += assignment.gpus;
      plan.training.push_back(std::move(assignment));
    }
  }
}

/// Adds up the site from what runs, hour class by hour class.
class Summary {
 public:
  Summary(const Site& site, const CandidateSet& set, const ManagedDraw& managed,
          const PlanModel& model, const LinearProgram::Solution& solution, bool whole_racks,
          Plan& plan)
      : site_{site},
        set_{set},
        managed_{managed},
        model_{model},
        solution_{solution},
        whole_racks_{whole_racks},
        plan_{plan},
        hours_{site.year.size()} {}

  void fill() {
    plan_.hours.assign(hours_, {});
    plan_.halls.assign(set_.halls.size(), {});
    plan_.flow.service_gpu.assign(site_.services.size(), Watts{});
    plan_.served.assign(site_.services.size(), TokensPerSecond{});
    plan_.totals.input = TokensPerSecond{};
    plan_.flow.training_gpu.assign(site_.training.size(), Watts{});
    plan_.trained.assign(site_.training.size(), TokensPerSecond{});
    find_idle();
    add_tokens();
    add_training();
    add_boards();
    add_plants();
    add_money();
    add_bounds();
    add_tags();
    check_excursion();
  }

 private:
  enum class Board { mean, low, high };

  [[nodiscard]] std::size_t cell(std::size_t hall, std::size_t hour) const {
    return hall * hours_ + hour;
  }

  void find_idle() {
    idle_.assign(set_.racks.size() * hours_, 0.0);
    for (std::size_t k = 0; k < set_.racks.size(); ++k) {
      const double gpus = plan_.racks[k].powered * set_.racks[k].gpus_per_rack;
      std::fill_n(idle_.begin() + static_cast<std::ptrdiff_t>(k * hours_), hours_, gpus);
    }
    for (const auto& assignment : plan_.assignments) {
      const auto k = set_.candidates[assignment.candidate].rack;
      for (std::size_t h = 0; h < hours_; ++h) {
        idle_[k * hours_ + h] -= assignment.gpus_by_hour[h];
      }
    }
    for (const auto& assignment : plan_.training) {
      const auto k = set_.training[assignment.column].rack;
      for (std::size_t h = 0; h < hours_; ++h) {
        idle_[k * hours_ + h] -= assignment.gpus_by_hour[h];
      }
    }
    for (double& gpus : idle_) {
      gpus = gpus < kLeastGpus ? 0.0 : gpus;
    }
    for (std::size_t k = 0; k < set_.racks.size(); ++k) {
      for (std::size_t h = 0; h < hours_; ++h) {
        plan_.racks[k].idle_gpus += idle_[k * hours_ + h] * site_.year[h].year_ratio;
      }
    }
  }

  void add_tokens() {
    auto& totals = plan_.totals;
    for (const auto& assignment : plan_.assignments) {
      const auto& candidate = set_.candidates[assignment.candidate];
      const double serving = assignment.gpus * site_.availability_ratio;
      const auto interval = inference::rate_interval(candidate.point);
      const TokensPerSecond output = candidate.point.output_per_gpu * serving;
      totals.output += output;
      totals.output_by_tag[candidate.point.tag] += output;
      totals.output_low += output * interval.low_factor;
      totals.output_high += output * interval.high_factor;
      plan_.served[candidate.service] += output;
      totals.revenue += candidate.revenue_per_gpu * assignment.gpus;
      for (std::size_t h = 0; h < hours_; ++h) {
        plan_.hours[h].output += candidate.mean_output_per_gpu * assignment.gpus_by_hour[h];
      }
      const auto input = candidate.point.input_per_gpu();
      if (!input) {
        totals.input.reset();
      } else if (totals.input) {
        *totals.input += *input * serving;
      }
    }
  }

  void add_training() {
    for (auto& hour : plan_.hours) {
      hour.trained.assign(site_.training.size(), TokensPerSecond{});
    }
    auto& totals = plan_.totals;
    for (const auto& assignment : plan_.training) {
      const auto& column = set_.training[assignment.column];
      plan_.trained[column.job] += column.mean_trained_per_gpu * assignment.gpus;
      totals.training_value += column.value_per_gpu * assignment.gpus;
      for (std::size_t h = 0; h < hours_; ++h) {
        plan_.hours[h].trained[column.job] +=
            column.mean_trained_per_gpu * assignment.gpus_by_hour[h];
      }
    }
    totals.revenue += totals.training_value;
  }

  /// Adds the mean of `gpus` GPUs of a rack kind whose boards draw `per_gpu` to the flow.
  void add_flow(const RackKind& rack, Watts per_gpu, double gpus, Watts& boards) {
    const auto node = rack.chain.node_at(per_gpu);
    const double nodes = gpus / rack.system->gpus_per_node;
    auto& flow = plan_.flow;
    boards += node.gpu * nodes;
    flow.host += node.host * nodes;
    flow.fans += node.fans * nodes;
    flow.conversion += node.conversion * nodes;
    flow.network += node.network * nodes;
    plan_.totals.gpu += node.gpu * nodes;
  }

  void add_boards() {
    const double available = site_.availability_ratio;
    auto& flow = plan_.flow;
    for (const auto& assignment : plan_.assignments) {
      const auto& candidate = set_.candidates[assignment.candidate];
      const auto& rack = set_.racks[candidate.rack];
      const double serving = assignment.gpus * available;
      add_flow(rack, candidate.gpu_power.mean, serving, flow.service_gpu[candidate.service]);
      if (available < 1.0) {
        add_flow(rack, rack.idle_gpu, assignment.gpus - serving, flow.idle_gpu);
      }
    }
    const Watts serving_gpu = plan_.totals.gpu;
    for (const auto& assignment : plan_.training) {
      const auto& column = set_.training[assignment.column];
      const auto& rack = set_.racks[column.rack];
      const double training = assignment.gpus * available;
      add_flow(rack, column.gpu_power.mean, training, flow.training_gpu[column.job]);
      if (available < 1.0) {
        add_flow(rack, rack.idle_gpu, assignment.gpus - training, flow.idle_gpu);
      }
    }
    plan_.totals.training_gpu = plan_.totals.gpu - serving_gpu;
    for (std::size_t k = 0; k < set_.racks.size(); ++k) {
      add_flow(set_.racks[k], set_.racks[k].idle_gpu, plan_.racks[k].idle_gpus, flow.idle_gpu);
    }
    flow.other_loads = set_.load_it.value;
  }

  /// Mean IT power of the GPUs given to training, by hall and hour class. Its boards have no
  /// interval.
  [[nodiscard]] std::vector<Watts> training_it_power() const {
    std::vector<Watts> it(set_.halls.size() * hours_);
    for (const auto& assignment : plan_.training) {
      const auto& column = set_.training[assignment.column];
      for (std::size_t h = 0; h < hours_; ++h) {
        it[cell(set_.racks[column.rack].hall, h)] +=
            column.mean_it_per_gpu.value * assignment.gpus_by_hour[h];
      }
    }
    return it;
  }

  /// Mean IT power by hall and hour class with the boards at one end of their interval.
  [[nodiscard]] std::vector<facility::ItPower> it_power(Board board) const {
    std::vector<facility::ItPower> it(set_.halls.size() * hours_);
    for (std::size_t p = 0; p < set_.halls.size(); ++p) {
      for (std::size_t h = 0; h < hours_; ++h) {
        it[cell(p, h)] = set_.halls[p].load_it;
      }
    }
    const double available = site_.availability_ratio;
    for (const auto& assignment : plan_.assignments) {
      const auto& candidate = set_.candidates[assignment.candidate];
      const auto& rack = set_.racks[candidate.rack];
      const auto& power = candidate.gpu_power;
      const Watts gpu = board == Board::mean  ? power.mean
                        : board == Board::low ? power.low
                                              : power.high;
      const Watts mean = rack.chain.it_per_gpu(gpu).value * available +
                         rack.idle_it_per_gpu.value * (1.0 - available);
      for (std::size_t h = 0; h < hours_; ++h) {
        it[cell(rack.hall, h)].value += mean * assignment.gpus_by_hour[h];
      }
    }
    const auto training = training_it_power();
    for (std::size_t i = 0; i < it.size(); ++i) {
      it[i].value += training[i];
    }
    for (std::size_t k = 0; k < set_.racks.size(); ++k) {
      for (std::size_t h = 0; h < hours_; ++h) {
        it[cell(set_.racks[k].hall, h)].value +=
            set_.racks[k].idle_it_per_gpu.value * idle_[k * hours_ + h];
      }
    }
    return it;
  }

  /// IT power of a hall with every deployment serving, and every pipeline that runs at the highest
  /// draw of any plan of its job on these racks in this hour class.
  [[nodiscard]] Watts full_it(std::size_t p, std::size_t h) const {
    Watts full = set_.halls[p].load_it.value;
    for (const auto& assignment : plan_.assignments) {
      const auto& candidate = set_.candidates[assignment.candidate];
      if (set_.racks[candidate.rack].hall == p) {
        full += candidate.it_per_gpu.value * assignment.gpus_by_hour[h];
      }
    }
    for (const auto& assignment : plan_.training) {
      const auto& rack = set_.racks[set_.training[assignment.column].rack];
      if (rack.hall == p) {
        full += rack.idle_it_per_gpu.value * assignment.gpus_by_hour[h];
      }
    }
    for (const auto& [job_on_rack, run] : training_runs(site_, set_, plan_, h, whole_racks_)) {
      const auto& [job, k] = job_on_rack;
      if (set_.racks[k].hall == p) {
        full += (run.highest_it - set_.racks[k].idle_it_per_gpu.value) * run.gpus_at_once;
      }
    }
    for (std::size_t k = 0; k < set_.racks.size(); ++k) {
      if (set_.racks[k].hall == p) {
        full += set_.racks[k].idle_it_per_gpu.value * idle_[k * hours_ + h];
      }
    }
    return full;
  }

  /// MW by candidate that move with the profiles, in one hall or in all.
  [[nodiscard]] std::vector<double> swing_in(std::size_t h, std::optional<std::size_t> p) const {
    std::vector<double> swing(set_.candidates.size(), 0.0);
    for (const auto& assignment : plan_.assignments) {
      const auto& candidate = set_.candidates[assignment.candidate];
      const auto& rack = set_.racks[candidate.rack];
      if (!p || rack.hall == *p) {
        swing[assignment.candidate] =
            in_megawatts(swing_per_gpu(rack, candidate)) * assignment.gpus_by_hour[h];
      }
    }
    return swing;
  }

  /// IT power of a hall with every board at its cap.
  [[nodiscard]] Watts nameplate_it(std::size_t p) const {
    Watts nameplate = set_.halls[p].load_it.value;
    for (std::size_t k = 0; k < set_.racks.size(); ++k) {
      if (set_.racks[k].hall == p) {
        nameplate += set_.racks[k].provisioned_it_per_rack.value * plan_.racks[k].powered;
      }
    }
    return nameplate;
  }

  /// What the policy reserves in a hall and hour class, at the IT boundary.
  [[nodiscard]] Watts reserved_it(std::size_t p, std::size_t h) const {
    if (!managed_.applies) {
      return nameplate_it(p);
    }
    if (!managed_.limit) {
      return full_it(p, h);
    }
    // The program's column may hold more where nothing presses on it.
    const std::vector<double> mean(set_.candidates.size(), 0.0);
    return full_it(p, h) + megawatts(managed_.limit->tail_mean(mean, swing_in(h, p)));
  }

  [[nodiscard]] Watts design_it(std::size_t p) const {
    const auto& hall = set_.halls[p];
    if (hall.hall->it_capacity) {
      return *hall.hall->it_capacity;
    }
    return hall.usable_ratio > 0 ? nameplate_it(p) / hall.usable_ratio : Watts{};
  }

  [[nodiscard]] Watts worst_meter(std::size_t p, std::size_t h, Watts reserved) const {
    const auto& hall = set_.halls[p];
    const Watts design = plan_.halls[p].design_it;
    if (!hall.hall->curves || design <= Watts{}) {
      return reserved * hall.meter_over_it;
    }
    return design * facility::meter_ratio_at(hall.hall->curves->worst[h], reserved / design);
  }

  /// The plant's parts over the weather of one hour class.
  [[nodiscard]] facility::PlantPower parts_of(std::size_t p, std::size_t h,
                                              facility::ItPower it) const {
    const auto& hall = set_.halls[p];
    const facility::ItPower design{plan_.halls[p].design_it};
    if (!hall.hall->curves) {
      return hall.plant.parts_at(it);
    }
    facility::PlantPower sum;
    if (design.value <= Watts{}) {
      return sum;
    }
    double hours = 0;
    for (const auto& row : site_.year[h].weather) {
      hours += row.hours;
    }
    for (const auto& row : site_.year[h].weather) {
      const auto parts = hall.plant.parts_at(it, design, {row.dry_bulb, row.wet_bulb});
      sum += parts * (row.hours / hours);
    }
    return sum;
  }

  void add_plants() {
    auto& totals = plan_.totals;
    const auto it = it_power(Board::mean);
    const auto training_it = training_it_power();
    for (std::size_t p = 0; p < set_.halls.size(); ++p) {
      auto& hall = plan_.halls[p];
      for (std::size_t h = 0; h < hours_; ++h) {
        hall.reserved_it = std::max(hall.reserved_it, reserved_it(p, h));
      }
      hall.design_it = design_it(p);
      for (std::size_t h = 0; h < hours_; ++h) {
        const double share = site_.year[h].year_ratio;
        const auto parts = parts_of(p, h, it[cell(p, h)]);
        const Watts worst = worst_meter(p, h, reserved_it(p, h));
        hall.power += parts * share;
        hall.worst_meter = std::max(hall.worst_meter, worst);
        plan_.hours[h].it += parts.it;
        plan_.hours[h].meter += parts.total().value;
        plan_.hours[h].reserved += worst;
        if (parts.it > Watts{}) {  // what serves a hall is shared by IT power
          const Watts training = training_it[cell(p, h)] * share;
          totals.training_it += training;
          totals.training_meter += training * (parts.total().value / parts.it);
        }
      }
      plan_.flow.cooling += hall.power.cooling;
      plan_.flow.distribution += hall.power.distribution;
      totals.it += hall.power.it;
      totals.meter += hall.power.total().value;
      totals.water_litres_per_second += hall.power.water_litres_per_second;
    }
    for (std::size_t k = 0; k < set_.racks.size(); ++k) {
      plan_.halls[set_.racks[k].hall].racks += plan_.racks[k].powered;
    }
    for (const auto& hour : plan_.hours) {
      totals.meter_peak = std::max(totals.meter_peak, hour.reserved);
    }
    totals.provisioned = totals.meter_peak;
  }

  void add_money() {
    auto& totals = plan_.totals;
    double grams = 0;
    for (std::size_t h = 0; h < hours_; ++h) {
      const auto& hour = site_.year[h];
      auto& use = plan_.hours[h];
      UsdPerSecond supply_cost;
      double supply_grams = 0;
      for (std::size_t j = 0; j < site_.supplies.size(); ++j) {
        const auto& supply = site_.supplies[j];
        const auto& columns = model_.supply_columns(j, h);
        const Watts out = megawatts(at(solution_, columns.out));
        const Watts in = columns.in < 0 ? Watts{} : megawatts(at(solution_, columns.in));
        use.supplied += out - in;
        supply_cost += out * supply.energy_price;
        supply_grams += in_watts(out) * supply.carbon_grams_per_kwh / kJoulesPerKwh;
      }
      const Watts grid = use.meter - use.supplied;
      use.energy_cost = grid * hour.energy_price + supply_cost;
      totals.energy_cost += use.energy_cost * hour.year_ratio;
      totals.supplied += use.supplied * hour.year_ratio;
      grams +=
          hour.year_ratio *
          (supply_grams + in_watts(grid) * hour.carbon_grams_per_kwh.value_or(0) / kJoulesPerKwh);
    }
    if (site_.year.front().carbon_grams_per_kwh) {
      totals.carbon_grams_per_second = grams;
    }
    for (std::size_t k = 0; k < set_.racks.size(); ++k) {
      const auto& rack = set_.racks[k];
      totals.capital_cost += rack.capital_per_gpu.value_or(UsdPerSecond{}) *
                             (plan_.racks[k].bought * rack.gpus_per_rack);
    }
    for (std::size_t r = 0; r < site_.retrofits.size(); ++r) {
      const auto& retrofit = site_.retrofits[r];
      const double found = at(solution_, model_.retrofit_column(r));
      const double moved = whole_racks_ ? std::round(found) : found;
      totals.capital_cost += retrofit.capital_per_position * moved;
      for (std::size_t p = 0; p < set_.halls.size(); ++p) {
        const auto& id = set_.halls[p].hall->id;
        plan_.halls[p].retrofitted_positions +=
            (id == retrofit.to ? moved : 0) - (id == retrofit.from ? moved : 0);
      }
    }
  }

  /// Mean meter power with the boards at one end of their interval.
  [[nodiscard]] Watts meter_at(Board board) const {
    const auto it = it_power(board);
    Watts meter;
    for (std::size_t p = 0; p < set_.halls.size(); ++p) {
      const auto& hall = set_.halls[p];
      const Watts design = plan_.halls[p].design_it;
      for (std::size_t h = 0; h < hours_; ++h) {
        const Watts power = it[cell(p, h)].value;
        const Watts at_meter =
            hall.hall->curves && design > Watts{}
                ? design * facility::meter_ratio_at(hall.hall->curves->mean[h], power / design)
                : power * hall.meter_over_it;
        meter += at_meter * site_.year[h].year_ratio;
      }
    }
    return meter;
  }

  void add_bounds() {
    plan_.totals.meter_low = meter_at(Board::low);
    plan_.totals.meter_high = meter_at(Board::high);
  }

  void add_tags() {
    auto& totals = plan_.totals;
    for (const auto& assignment : plan_.assignments) {
      const auto& candidate = set_.candidates[assignment.candidate];
      totals.tag = weaker(totals.tag, candidate.point.tag);
      totals.power_tag = weaker(totals.power_tag, candidate.gpu_power.tag);
    }
    for (const auto& assignment : plan_.training) {
      totals.power_tag = weaker(totals.power_tag, set_.training[assignment.column].gpu_power.tag);
    }
    for (std::size_t k = 0; k < set_.racks.size(); ++k) {
      const auto& rack = set_.racks[k];
      if (plan_.racks[k].powered > 0) {
        totals.power_tag =
            weaker(totals.power_tag, weaker(rack.system->chain_tag, rack.plant->pue.tag));
      }
      if (plan_.racks[k].idle_gpus > kLeastGpus || site_.availability_ratio < 1.0) {
        totals.power_tag = weaker(totals.power_tag, rack.idle_tag);
      }
    }
  }

  /// How often scenarios that the plan did not see pass what is reserved, in the worst hour class.
  void check_excursion() {
    if (!managed_.others) {
      return;
    }
    ExcursionCheck check;
    check.samples_effective = managed_.samples_effective;
    check.tag = managed_.tag;
    std::vector<std::size_t> running;
    for (const auto& assignment : plan_.assignments) {
      running.push_back(assignment.candidate);
    }
    if (running.empty()) {
      plan_.excursion = check;
      return;
    }
    const ExcursionLimit others{capped_scenarios(set_, managed_, *managed_.others, running), 1.0};
    const std::vector<double> mean(running.size(), 0.0);
    for (std::size_t h = 0; h < hours_; ++h) {
      Watts room;  // what all halls together reserve for the swing
      for (std::size_t p = 0; p < set_.halls.size(); ++p) {
        room += reserved_it(p, h) - full_it(p, h);
      }
      const auto by_candidate = swing_in(h, std::nullopt);
      std::vector<double> swing;
      swing.reserve(running.size());
      for (const std::size_t c : running) {
        swing.push_back(by_candidate[c]);
      }
      check.out_of_sample_ratio = std::max(check.out_of_sample_ratio,
                                           others.excursion_ratio(mean, swing, in_megawatts(room)));
      check.expected_excess += megawatts(others.expected_excess(mean, swing, in_megawatts(room))) *
                               site_.year[h].year_ratio;
    }
    const auto& totals = plan_.totals;
    const Watts it = totals.it_beside_training();  // what trains is reserved and not throttled
    if (it > Watts{}) {                            // throttled at the mean tokens per IT joule
      check.throttled_output = totals.output * (check.expected_excess / it);
      check.throttled_revenue =
          (totals.revenue - totals.training_value) * (check.expected_excess / it);
    }
    plan_.excursion = check;
  }

  const Site& site_;
  const CandidateSet& set_;
  const ManagedDraw& managed_;
  const PlanModel& model_;
  const LinearProgram::Solution& solution_;
  bool whole_racks_;
  Plan& plan_;
  std::size_t hours_;
  std::vector<double> idle_;  // by rack kind and hour class
};

}  // namespace

void take_answer(const Site& site, const CandidateSet& set, const ManagedDraw& managed,
                 const PlanModel& model, const LinearProgram::Solution& solution, bool whole_racks,
                 Plan& plan) {
  plan.status = PlanStatus::optimal;
  take_racks(set, model, solution, whole_racks, plan);
  take_assignments(site, set, model, solution, plan);
  take_training(site, set, model, solution, plan);
  Summary{site, set, managed, model, solution, whole_racks, plan}.fill();
}

}  // namespace perwatt::plan
