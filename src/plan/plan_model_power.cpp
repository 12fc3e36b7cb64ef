// The power of a plan: halls, the envelope, supplies, and the tail of the draw.
#include <algorithm>
#include <cmath>

#include "plan_model.hpp"

namespace perwatt::plan {

namespace {

constexpr double kTight = 1e-9;  // relative violation that a cut may leave
constexpr int kMostRounds = 200;

std::size_t segment_at(const facility::PartLoadCurve& curve, double load_ratio) {
  const auto& x = curve.load_ratio;
  const auto above = std::upper_bound(x.begin() + 1, x.end() - 1, load_ratio);
  return static_cast<std::size_t>(above - x.begin()) - 1;
}

}  // namespace

std::optional<double> PlanModel::stated_design(std::size_t p) const {
  const auto& capacity = set_.halls[p].hall->it_capacity;
  const bool may_grow =
      is_physical(p) &&
      std::any_of(options_.relaxed.begin(), options_.relaxed.end(), [&](const Limit& limit) {
        return limit.kind == Limit::Kind::hall_capacity && limit.index == p;
      });
  return capacity && !may_grow ? std::optional{in_megawatts(*capacity)} : std::nullopt;
}

double PlanModel::room_inside(Watts envelope) const {
  double room = in_megawatts(envelope + firm_supply(site_));
  for (std::size_t p = 0; p < set_.halls.size(); ++p) {
    if (!is_managed() && !is_physical(p)) {  // else they are in the hall's rows
      room -= in_megawatts(set_.halls[p].load_it.value) * set_.halls[p].meter_over_it;
    }
  }
  return room;
}

UsdPerSecond PlanModel::constant_cost() const {
  UsdPerSecond cost;
  for (std::size_t p = 0; p < set_.halls.size(); ++p) {
    if (!is_physical(p)) {
      cost += set_.halls[p].load_it.value * set_.halls[p].meter_over_it * site_.energy_price;
    }
  }
  return cost;
}

void PlanModel::set_envelope(Watts envelope) {
  for (const int row : power_rows_) {
    program_.set_row_bounds(row, -kInf, room_inside(envelope));
  }
  for (const int row : import_rows_) {
    program_.set_row_bounds(row, -kInf, in_megawatts(envelope));
  }
}

void PlanModel::add_power_rows() {
  for (std::size_t h = 0; h < hours(); ++h) {
    power_rows_.push_back(program_.add_row(-kInf, room_inside(site_.envelope)));
    if (!site_.supplies.empty()) {
      mean_rows_.push_back(program_.add_row(0, 0));
      import_rows_.push_back(program_.add_row(-kInf, in_megawatts(site_.envelope)));
      program_.add_column(0, 0, kInf, {{mean_rows_.back(), -1.0}, {import_rows_.back(), 1.0}});
    }
  }
}

void PlanModel::add_hall_rows(std::size_t p) {
  const auto& hall = set_.halls[p];
  auto& rows = hall_rows_[p];
  const double load = in_megawatts(hall.load_it.value);
  const auto by_hour = [&] {
    std::vector<int> added;
    for (std::size_t h = 0; h < hours(); ++h) {
      added.push_back(program_.add_row(-load, -load));
    }
    return added;
  };
  if (is_physical(p) || !mean_rows_.empty()) {
    rows.it = by_hour();
  }
  if (is_managed()) {
    rows.full = by_hour();
  }
  if (is_modular(p) || (is_physical(p) && !is_managed())) {
    rows.nameplate = program_.add_row(-load, -load);
  }
  if (const auto design = stated_design(p)) {
    for (std::size_t h = 0; h < (is_managed() ? hours() : 1); ++h) {
      rows.capacity.push_back(
          program_.add_row(-kInf, *design * hall.usable_ratio - (is_managed() ? 0.0 : load)));
    }
  }
  if (hall.hall->it_capacity && !stated_design(p)) {
    rows.design_limit = program_.add_row(-kInf, in_megawatts(*hall.hall->it_capacity));
  }
  if (hall.hall->positions) {
    rows.positions = program_.add_row(-kInf, *hall.hall->positions);
  }
}

void PlanModel::add_hall_columns(std::size_t p) {
  const auto& hall = set_.halls[p];
  const auto& rows = hall_rows_[p];
  auto& columns = halls_[p];
  if (is_physical(p) && !stated_design(p)) {
    add_design(p);
  }
  if (is_managed()) {
    add_tail(p);
  } else if (is_physical(p) && !is_modular(p)) {
    const int reserved = program_.add_column(0, 0, kInf, {{rows.nameplate, -1.0}});
    columns.reserved.assign(hours(), reserved);
    if (columns.design >= 0) {
      program_.add_cut(0, kInf, {{columns.design, hall.usable_ratio}, {reserved, -1.0}});
    }
  }
  for (std::size_t h = 0; h < hours(); ++h) {
    if (!rows.it.empty()) {
      std::vector<Entry> entries{{rows.it[h], -1.0}};
      if (!is_physical(p)) {
        entries.emplace_back(mean_rows_[h], hall.meter_over_it);
      }
      columns.it.push_back(program_.add_column(0, 0, kInf, entries));
    }
    if (is_physical(p)) {
      add_mean(p, h);
    }
    if (is_physical(p) && !columns.reserved.empty()) {
      columns.peak.push_back(program_.add_column(0, 0, kInf, {{power_rows_[h], 1.0}}));
      add_chord(hall.hall->curves->worst[h],
                segment_at(hall.hall->curves->worst[h], hall.usable_ratio), p, columns.reserved[h],
                columns.peak[h]);
    }
  }
}

/// A plant that grows with the racks is built for their nameplates under every policy, and for as
/// much more as the warmest hour takes away. A stated capacity that may be exceeded grows by what
/// the program pays for.
void PlanModel::add_design(std::size_t p) {
  const auto& hall = set_.halls[p];
  const auto& rows = hall_rows_[p];
  if (!is_modular(p)) {
    halls_[p].design = program_.add_column(0, in_megawatts(*hall.hall->it_capacity), kInf,
                                           {{rows.design_limit, 1.0}});
    return;
  }
  std::vector<Entry> entries{{rows.nameplate, -hall.usable_ratio}};
  if (!is_managed()) {
    for (std::size_t h = 0; h < hours(); ++h) {
      entries.emplace_back(
          power_rows_[h], facility::meter_ratio_at(hall.hall->curves->worst[h], hall.usable_ratio));
    }
  }
  halls_[p].design = program_.add_column(0, 0, kInf, entries);
}

void PlanModel::add_tail(std::size_t p) {
  const auto& hall = set_.halls[p];
  const auto& rows = hall_rows_[p];
  auto& columns = halls_[p];
  for (std::size_t h = 0; h < hours(); ++h) {
    const int full = program_.add_column(0, 0, kInf, {{rows.full[h], -1.0}});
    std::vector<Entry> entries;
    if (!rows.capacity.empty()) {
      entries.emplace_back(rows.capacity[h], 1.0);
    }
    if (!is_physical(p)) {
      entries.emplace_back(power_rows_[h], hall.meter_over_it);
    }
    const int reserved = program_.add_column(0, 0, kInf, entries);
    program_.add_cut(0, kInf, {{reserved, 1.0}, {full, -1.0}});
    if (columns.design >= 0) {
      program_.add_cut(0, kInf, {{columns.design, hall.usable_ratio}, {reserved, -1.0}});
    }
    columns.full.push_back(full);
    columns.reserved.push_back(reserved);
  }
}

void PlanModel::add_mean(std::size_t p, std::size_t h) {
  const auto& hour = site_.year[h];
  std::vector<Entry> entries;
  if (!mean_rows_.empty()) {
    entries.emplace_back(mean_rows_[h], 1.0);
  }
  const int mean = program_.add_column(
      -earn_ * hour.year_ratio * in_usd_per_hour(megawatts(1) * hour.energy_price), 0, kInf,
      entries);
  halls_[p].mean.push_back(mean);
  const auto& curve = set_.halls[p].hall->curves->mean[h];
  const double end = curve.load_ratio.back();
  if (hour.energy_price < UsdPerJoule{}) {
    // Paid to draw, the program would draw without limit: one chord over the whole range, exact.
    const facility::PartLoadCurve chord{{0, end},
                                        {curve.meter_ratio.front(), curve.meter_ratio.back()}};
    add_chord(chord, 0, p, halls_[p].it[h], mean, true);
    return;
  }
  for (const double share : {0.2, 0.5, 0.9}) {
    add_chord(curve, segment_at(curve, share * end), p, halls_[p].it[h], mean);
  }
}

/// meter >= intercept design + slope load, the chord of one segment; or = when `is_equal`.
void PlanModel::add_chord(const facility::PartLoadCurve& curve, std::size_t segment, std::size_t p,
                          int load, int meter, bool is_equal) {
  if (curve.load_ratio.size() < 2) {
    return;  // the hall carries nothing at all
  }
  const double run = curve.load_ratio[segment + 1] - curve.load_ratio[segment];
  const double slope = (curve.meter_ratio[segment + 1] - curve.meter_ratio[segment]) / run;
  const double intercept = curve.meter_ratio[segment] - slope * curve.load_ratio[segment];
  std::vector<Entry> entries{{meter, 1.0}, {load, -slope}};
  double standing = 0;
  if (const auto design = stated_design(p)) {
    standing = intercept * *design;
  } else {
    entries.emplace_back(halls_[p].design, -intercept);
  }
  program_.add_cut(standing, is_equal ? standing : kInf, entries);
}

double PlanModel::design_of(std::size_t p, const Solution& solution) const {
  const auto stated = stated_design(p);
  return stated ? *stated : at(solution, halls_[p].design);
}

bool PlanModel::tighten_curve(const facility::PartLoadCurve& curve, std::size_t p, int load,
                              int meter, const Solution& solution) {
  const double design = design_of(p, solution);
  if (design <= kTight) {
    return false;
  }
  const double ratio = at(solution, load) / design;
  const double truth = design * facility::meter_ratio_at(curve, ratio);
  if (at(solution, meter) >= truth - kTight * (truth + kTight)) {
    return false;
  }
  add_chord(curve, segment_at(curve, ratio), p, load, meter);
  return true;
}

bool PlanModel::tighten_tail(std::size_t p, std::size_t h, const Solution& solution) {
  if (!managed_.limit) {
    return false;  // nothing moves
  }
  const std::size_t count = set_.candidates.size();
  std::vector<double> per_gpu(count, 0.0);  // MW that move
  std::vector<double> swing(count, 0.0);
  for (std::size_t c = 0; c < count; ++c) {
    const auto& rack = set_.racks[set_.candidates[c].rack];
    if (rack.hall == p) {
      per_gpu[c] = in_megawatts(swing_per_gpu(rack, set_.candidates[c]));
      swing[c] = per_gpu[c] * at(solution, gpus_column(c, h));
    }
  }
  const auto& columns = halls_[p];
  const auto cut = managed_.limit->cut_at(swing);
  double truth = at(solution, columns.full[h]);
  std::vector<Entry> entries{{columns.reserved[h], 1.0}, {columns.full[h], -1.0}};
  for (std::size_t c = 0; c < count; ++c) {
    truth += swing[c] * cut.swing_coefficients[c];
    if (per_gpu[c] > 0) {
      entries.emplace_back(gpus_column(c, h), -per_gpu[c] * cut.swing_coefficients[c]);
    }
  }
  if (at(solution, columns.reserved[h]) >= truth - kTight * (truth + kTight)) {
    return false;
  }
  program_.add_cut(0, kInf, entries);
  return true;
}

bool PlanModel::tighten(const Solution& solution) {
  bool is_cut = false;
  for (std::size_t p = 0; p < set_.halls.size(); ++p) {
    for (std::size_t h = 0; h < hours(); ++h) {
      if (is_managed()) {
        is_cut |= tighten_tail(p, h, solution);
      }
      if (!is_physical(p)) {
        continue;
      }
      const auto& curves = *set_.halls[p].hall->curves;
      const auto& columns = halls_[p];
      if (site_.year[h].energy_price >= UsdPerJoule{}) {
        is_cut |= tighten_curve(curves.mean[h], p, columns.it[h], columns.mean[h], solution);
      }
      if (!columns.peak.empty()) {
        is_cut |= tighten_curve(curves.worst[h], p, columns.reserved[h], columns.peak[h], solution);
      }
    }
  }
  return is_cut;
}

std::optional<LinearProgram::Solution> PlanModel::solve_relaxed() {
  auto solution = program_.solve_relaxed();
  for (int round = 0; solution && tighten(*solution) && round < kMostRounds; ++round) {
    solution = program_.solve_relaxed();
  }
  return solution;
}

std::optional<LinearProgram::Solution> PlanModel::solve_integer() {
  // The relaxation's cuts first: a cheap way to most of those that the whole racks need.
  if (!solve_relaxed()) {
    return std::nullopt;
  }
  auto solution = search({}, {});
  if (!solution || reserved_pipelines_.empty()) {
    return solution;
  }
  return with_whole_pipelines(*solution);
}

std::optional<LinearProgram::Solution> PlanModel::search(const SearchLimits& limits,
                                                         const std::vector<int>& also) {
  auto solution = program_.solve_integer(limits, also);
  for (int round = 0; solution && tighten(*solution) && round < kMostRounds; ++round) {
    solution = program_.solve_integer(limits, also);
  }
  return solution;
}

void PlanModel::add_supplies() {
  for (const auto& supply : site_.supplies) {
    if (supply.is_battery) {
      add_battery(supply);
    } else {
      add_generation(supply);
    }
  }
}

void PlanModel::add_generation(const PowerSupply& supply) {
  const double power = in_megawatts(supply.power);
  const double hours_limit = supply.hours_per_year.value_or(kHoursPerYear) / kHoursPerYear;
  const int year_row = program_.add_row(-kInf, power * hours_limit);
  for (std::size_t h = 0; h < hours(); ++h) {
    const auto& hour = site_.year[h];
    const UsdPerSecond saved = megawatts(1) * (hour.energy_price - supply.energy_price);
    supplies_.push_back(
        {program_.add_column(earn_ * hour.year_ratio * in_usd_per_hour(saved), 0, power,
                             {{mean_rows_[h], -1.0}, {year_row, hour.year_ratio}}),
         -1});
  }
}

void PlanModel::add_battery(const PowerSupply& supply) {
  constexpr double kHoursPerDay = 24;
  const double power = in_megawatts(supply.power);
  // One cycle a day: what a day discharges fits the battery, and a day charges what it discharges.
  const int day_row =
      program_.add_row(-kInf, supply.energy.in_base() / kJoulesPerMwh / kHoursPerDay);
  const int cycle_row = program_.add_row(0, 0);
  for (std::size_t h = 0; h < hours(); ++h) {
    const auto& hour = site_.year[h];
    const double price =
        earn_ * hour.year_ratio * in_usd_per_hour(megawatts(1) * hour.energy_price);
    SupplyColumns columns;
    columns.out = program_.add_column(
        price, 0, power,
        {{mean_rows_[h], -1.0}, {day_row, hour.year_ratio}, {cycle_row, -hour.year_ratio}});
    columns.in = program_.add_column(
        -price, 0, power,
        {{mean_rows_[h], 1.0}, {cycle_row, hour.year_ratio * supply.round_trip_ratio}});
    supplies_.push_back(columns);
  }
}

}  // namespace perwatt::plan
