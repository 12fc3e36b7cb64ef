// Whole pipelines of training jobs, and what managed provisioning reserves for them.
#include <algorithm>
#include <cmath>

#include "plan_model.hpp"

namespace perwatt::plan {

namespace {

/// Draws of plans this near to each other are reserved at the highest of them.
constexpr double kLevelStep = 0.01;

/// Pipelines that are whole in every hour class are too many to search to the end.
constexpr SearchLimits kPipelineSearch{1e-4, 400};
constexpr SearchLimits kOtherLevels{1e-4, 100};

/// Where limits may be exceeded, so may the pipelines that they would allow.
constexpr double kRelaxedFactor = 1e3;

}  // namespace

std::vector<PlanModel::JobOnRacks> PlanModel::jobs_on_racks() const {
  std::vector<JobOnRacks> units;
  for (std::size_t t = 0; t < set_.training.size(); ++t) {
    const auto& column = set_.training[t];
    if (units.empty() || units.back().job != column.job || units.back().rack != column.rack) {
      units.push_back({column.job, column.rack, {}});
    }
    units.back().columns.push_back(t);
  }
  for (auto& unit : units) {
    std::stable_sort(unit.columns.begin(), unit.columns.end(), [&](std::size_t a, std::size_t b) {
      return set_.training[a].highest_it_per_gpu.value < set_.training[b].highest_it_per_gpu.value;
    });
  }
  return units;
}

void PlanModel::add_pipelines() {
  for (const auto& unit : jobs_on_racks()) {
    if (is_managed()) {
      add_reserved_pipelines(unit);
    } else {
      add_whole_pipelines(unit);
    }
  }
}

void PlanModel::keep_within_racks(const JobOnRacks& unit, const std::vector<int>& pipelines) {
  const auto& placed = placement_rows_[unit.rack];
  const double share = placed.empty() ? 1.0 : placed[site_.services.size() + unit.job].first;
  std::vector<Entry> entries{{powered_[unit.rack], -share * set_.racks[unit.rack].gpus_per_rack}};
  for (const int column : pipelines) {
    entries.emplace_back(column, site_.training[unit.job].gpus_per_pipeline());
  }
  program_.add_cut(-kInf, 0, entries);
}

/// What trains are turns of whole pipelines that the powered racks hold at once.
void PlanModel::add_whole_pipelines(const JobOnRacks& unit) {
  const int pipelines = program_.add_column(0, 0, kInf, {}, true);
  keep_within_racks(unit, {pipelines});
  const double gpus = site_.training[unit.job].gpus_per_pipeline();
  for (std::size_t h = 0; h < hours(); ++h) {
    std::vector<Entry> entries{{pipelines, -gpus}};
    for (const std::size_t t : unit.columns) {
      entries.emplace_back(training_column(t, h), 1.0);
    }
    program_.add_cut(-kInf, 0, entries);
  }
}

/// Whole pipelines in every hour class, all at one level of draw, which no plan they run passes.
void PlanModel::add_reserved_pipelines(const JobOnRacks& unit) {
  const auto& job = site_.training[unit.job];
  const auto& rack = set_.racks[unit.rack];
  const double gpus = job.gpus_per_pipeline();
  const auto draw = [&](std::size_t i) {
    return in_megawatts(set_.training[unit.columns[i]].highest_it_per_gpu.value);
  };
  std::vector<std::size_t> tops;  // the last column of each level
  for (std::size_t i = unit.columns.size(); i-- > 0;) {
    if (tops.empty() || draw(i) < draw(tops.back()) * (1 - kLevelStep)) {
      tops.push_back(i);
    }
  }
  std::reverse(tops.begin(), tops.end());
  const double racks = static_cast<double>(rack.stock->owned) + rack.stock->max_buy + 1;
  const double most =
      racks * rack.gpus_per_rack / gpus * (options_.relaxed.empty() ? 1.0 : kRelaxedFactor);
  std::vector<int> chosen;  // by level: whether it is the one of the year
  std::vector<Entry> one;
  for (std::size_t l = 0; l < tops.size(); ++l) {
    chosen.push_back(program_.add_column(0, 0, 1, {}, true));
    one.emplace_back(chosen.back(), 1.0);
  }
  draw_levels_.insert(draw_levels_.end(), chosen.begin(), chosen.end());
  program_.add_cut(-kInf, 1, one);
  for (std::size_t h = 0; h < hours(); ++h) {
    std::vector<int> pipelines;
    for (std::size_t l = 0; l < tops.size(); ++l) {
      const double above_idle = draw(tops[l]) - in_megawatts(rack.idle_it_per_gpu.value);
      pipelines.push_back(
          program_.add_column(0, 0, kInf, {{hall_rows_[rack.hall].full[h], gpus * above_idle}}));
      program_.add_cut(-kInf, 0, {{pipelines.back(), 1.0}, {chosen[l], -most}});
    }
    reserved_pipelines_.insert(reserved_pipelines_.end(), pipelines.begin(), pipelines.end());
    keep_within_racks(unit, pipelines);
    for (std::size_t l = 0; l < tops.size(); ++l) {  // who draws so much is reserved so much
      std::vector<Entry> entries;
      for (std::size_t i = l == 0 ? 0 : tops[l - 1] + 1; i < unit.columns.size(); ++i) {
        entries.emplace_back(training_column(unit.columns[i], h), 1.0);
      }
      for (std::size_t above = l; above < tops.size(); ++above) {
        entries.emplace_back(pipelines[above], -gpus);
      }
      program_.add_cut(-kInf, 0, entries);
    }
  }
}

std::optional<LinearProgram::Solution> PlanModel::with_whole_pipelines(const Solution& fractional) {
  for (const int level : draw_levels_) {
    const double is_chosen = at(fractional, level);
    program_.set_column_bounds(level, is_chosen, is_chosen);
  }
  auto solution = search(kPipelineSearch, reserved_pipelines_);
  for (const int level : draw_levels_) {
    program_.set_column_bounds(level, 0, 1);
  }
  if (solution && fractional.bound - solution->objective <=
                      kPipelineSearch.gap_ratio * std::abs(solution->objective)) {
    solution->bound = fractional.bound;
    return solution;
  }
  // Few pipelines may be better off at another level; of many, this search sees little.
  auto other = search(solution ? kOtherLevels : SearchLimits{}, reserved_pipelines_);
  if (!other) {
    return std::nullopt;
  }
  other->bound = std::min(other->bound, fractional.bound);
  if (solution && solution->objective > other->objective) {
    solution->bound = std::max(solution->objective, other->bound);
    return solution;
  }
  return other;
}

}  // namespace perwatt::plan
