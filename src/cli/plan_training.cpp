#include "plan_training.hpp"

#include <algorithm>

#include "json_values.hpp"
#include "table.hpp"
#include <fmt/format.h>

#include "perwatt/base/text.hpp"

namespace perwatt::cli {

namespace {

using plan::SolvedSite;

/// What GPUs given to a job take of power, idle share of availability included, and train.
struct Draw {
  Watts gpu;
  Watts it;
  Watts meter;  // at the halls' yearly means
  TokensPerSecond trained;

  [[nodiscard]] Json joules_per_trained_token() const {
    if (trained <= TokensPerSecond{}) {
      return nullptr;
    }
    return {{"gpu", in_joules_per_token(gpu / trained)},
            {"it", in_joules_per_token(it / trained)},
            {"facility", in_joules_per_token(meter / trained)}};
  }
};

void add_gpus(const SolvedSite& solved, const plan::TrainingColumn& column, double gpus,
              Draw& draw) {
  const double available = solved.site->availability_ratio;
  const auto& rack = solved.set->racks[column.rack];
  draw.gpu += (column.gpu_power.mean * available + rack.idle_gpu * (1 - available)) * gpus;
  draw.it += column.mean_it_per_gpu.value * gpus;
  draw.meter += column.meter_per_gpu.value * gpus;
  draw.trained += column.mean_trained_per_gpu * gpus;
}

/// The column at full clocks of the same job on the same racks, which is always there.
const plan::TrainingColumn& full_clocks(const SolvedSite& solved,
                                        const plan::TrainingColumn& column) {
  const auto& all = solved.set->training;
  return *std::find_if(all.begin(), all.end(), [&](const plan::TrainingColumn& other) {
    return other.job == column.job && other.rack == column.rack &&
           other.point.needs == plan::FrequencyPlans::none;
  });
}

double slowdown(const SolvedSite& solved, const plan::TrainingColumn& column) {
  return column.point.time / full_clocks(solved, column).point.time - 1;
}

const char* plan_name(const plan::TrainingColumn& column) {
  return column.point.needs == plan::FrequencyPlans::none ? "full_clocks" : "frequency_plan";
}

Json column_json(const SolvedSite& solved, const plan::TrainingColumn& column) {
  const auto& job = solved.site->training[column.job];
  const auto& rack = solved.set->racks[column.rack];
  Draw one;
  add_gpus(solved, column, 1, one);
  return {{"system", rack.system->id},
          {"hall", rack.stock->hall},
          {"plan", plan_name(column)},
          {"time_seconds", in_seconds(column.point.time)},
          {"slowdown_ratio", slowdown(solved, column)},
          {"iteration_joules_per_pipeline", (column.gpu_power.mean * column.point.time *
                                             static_cast<double>(job.gpus_per_pipeline()))
                                                .in_base()},
          {"bound_gap_ratio", column.point.gap_ratio()},
          {"gpu_power_watts", in_watts(column.gpu_power.mean)},
          {"gpu_power_tag", to_string(column.gpu_power.tag)},
          {"gpu_power_basis", column.gpu_power.basis},
          {"highest_operation_power_watts", in_watts(column.highest_gpu_power)},
          {"it_power_watts_per_gpu", in_watts(column.it_per_gpu.value)},
          {"mean_facility_power_watts_per_gpu", in_watts(column.meter_per_gpu.value)},
          {"mean_trained_tokens_per_s_per_gpu", column.mean_trained_per_gpu.in_base()},
          {"joules_per_trained_token", one.joules_per_trained_token()},
          {"margin_usd_per_hour_per_gpu", in_usd_per_hour(column.margin_per_gpu)}};
}

Json systems_json(const SolvedSite& solved, std::size_t j) {
  Json systems = Json::array();
  const auto& job = solved.site->training[j];
  for (const auto& fit : solved.set->training_fit[j]) {
    const auto& rack = solved.set->racks[fit.rack];
    Json item{{"system", rack.system->id},
              {"hall", rack.stock->hall},
              {"gpu_cap_watts", in_watts(rack.gpu_cap)},
              {"settings", job.curve->settings()},
              {"settings_above_cap", fit.settings_above_cap}};
    if (fit.is_too_large) {
      item["left_out_reason"] = "one pipeline has more GPUs than the racks";
    } else if (fit.is_too_large_for_share) {
      item["left_out_reason"] = "one pipeline has more GPUs than the share placed on the racks";
    } else if (fit.is_waiting_above_cap) {
      item["left_out_reason"] = "the blocking power is above the cap of the boards";
    } else if (fit.is_above_cap) {
      item["left_out_reason"] = "an operation has no setting within the cap of the boards";
    } else {
      item["left_out_reason"] = nullptr;
    }
    systems.push_back(std::move(item));
  }
  return systems;
}

void add_plans(const SolvedSite& solved, std::size_t j, Json& json) {
  Draw draw;
  double gpus = 0;
  UsdPerSecond value;
  json["plans"] = Json::array();
  for (const auto& assignment : solved.plan->training) {
    const auto& column = solved.set->training[assignment.column];
    if (column.job != j) {
      continue;
    }
    auto item = column_json(solved, column);
    item["gpus"] = assignment.gpus;
    item["gpus_by_hour_class"] = assignment.gpus_by_hour;
    item["pipelines"] = assignment.pipelines;
    item["trained_tokens_per_s"] =
        in_tokens_per_second(column.mean_trained_per_gpu * assignment.gpus);
    json["plans"].push_back(std::move(item));
    add_gpus(solved, column, assignment.gpus, draw);
    gpus += assignment.gpus;
    value += column.value_per_gpu * assignment.gpus;
  }
  json["gpus"] = gpus;
  json["pipelines"] = gpus / solved.site->training[j].gpus_per_pipeline();
  json["trained_tokens_per_s_by_hour_class"] = Json::array();
  for (const auto& hour : solved.plan->hours) {
    json["trained_tokens_per_s_by_hour_class"].push_back(in_tokens_per_second(hour.trained[j]));
  }
  json["gpu_power_watts"] = in_watts(draw.gpu);
  json["it_power_watts"] = in_watts(draw.it);
  json["facility_power_watts"] = in_watts(draw.meter);
  json["joules_per_trained_token"] = draw.joules_per_trained_token();
  if (draw.trained <= TokensPerSecond{}) {
    json["joules_per_trained_token_reason"] = "nothing is trained";
  }
  json["value_usd_per_hour"] = in_usd_per_hour(value);
}

/// Every point weighed, also where there is no plan.
Json columns_json(const SolvedSite& solved, std::size_t j) {
  Json columns = Json::array();
  for (std::size_t t = 0; t < solved.set->training.size(); ++t) {
    if (solved.set->training[t].job == j) {
      columns.push_back(column_json(solved, solved.set->training[t]));
      if (solved.plan->status == plan::PlanStatus::optimal) {
        columns.back()["reduced_cost_usd_per_hour_per_gpu"] =
            solved.plan->training_reduced_cost_usd_per_hour[t];
      }
    }
  }
  return columns;
}

std::string significant_percent(double ratio, int digits = 3) {
  return significant(100 * ratio, digits) + " %";
}

std::string jobs_table(const SolvedSite& solved) {
  TextTable table{{"training", "accelerator", "GPUs a pipeline", "pipelines wanted",
                   "committed tok/s", "trained tok/s", "90 % interval"},
                  {0, 1}};
  for (std::size_t j = 0; j < solved.site->training.size(); ++j) {
    const auto& job = solved.site->training[j];
    const double trained = in_tokens_per_second(solved.plan->trained[j]);
    const auto interval = rate_interval(job);
    table.add({job.id, job.accelerator, std::to_string(job.gpus_per_pipeline()),
               std::to_string(job.max_pipelines),
               job.committed ? significant(in_tokens_per_second(*job.committed), 5) : "-",
               significant(trained, 5),
               significant(trained * interval.low_factor) + " - " +
                   significant(trained * interval.high_factor)});
  }
  std::string text = table.text();
  for (std::size_t j = 0; j < solved.site->training.size(); ++j) {
    if (const auto& reason = solved.plan->untrained[j]) {
      text +=
          fmt::format("{} is not trained: {} is {}; it would need {}\n",
                      solved.site->training[j].id, reason->limit, reason->present, reason->needed);
    }
  }
  return text;
}

std::string plans_table(const SolvedSite& solved) {
  TextTable table{{"training", "system", "plan", "iteration s", "slower by", "GPUs", "pipelines",
                   "trained tok/s", "GPU W", "cap W", "J/trained fac.", "above bound", "tags"},
                  {0, 1, 2, 12}};
  for (const auto& assignment : solved.plan->training) {
    const auto& column = solved.set->training[assignment.column];
    const auto& rack = solved.set->racks[column.rack];
    const bool is_plan = column.point.needs != plan::FrequencyPlans::none;
    table.add(
        {solved.site->training[column.job].id, rack.system->id,
         is_plan ? "frequency plan" : "full clocks", significant(in_seconds(column.point.time), 5),
         significant_percent(slowdown(solved, column)), significant(assignment.gpus, 5),
         significant(assignment.pipelines, 4),
         significant(in_tokens_per_second(column.mean_trained_per_gpu * assignment.gpus), 5),
         significant(in_watts(column.gpu_power.mean), 3), significant(in_watts(rack.gpu_cap), 4),
         significant(in_joules_per_token(column.meter_per_gpu.value / column.mean_trained_per_gpu),
                     3),
         is_plan ? significant_percent(column.point.gap_ratio(), 2) : "-",
         fmt::format("derived / {}", to_string(column.gpu_power.tag))});
  }
  return table.text();
}

std::string hours_table(const SolvedSite& solved) {
  const auto& site = *solved.site;
  std::vector<std::string> header{"hour class", "USD/kWh"};
  for (const auto& job : site.training) {
    header.push_back(job.id + ", trained tok/s");
  }
  TextTable table{header, {0}};
  for (std::size_t h = 0; h < site.year.size(); ++h) {
    std::vector<std::string> row{site.year[h].name,
                                 significant(in_usd_per_kwh(site.year[h].energy_price), 3)};
    for (const auto& trained : solved.plan->hours[h].trained) {
      row.push_back(significant(in_tokens_per_second(trained), 5));
    }
    table.add(row);
  }
  return table.text();
}

/// Trained tokens/s times `factor`; null without a plan.
Json trained_json(const SolvedSite& solved, std::size_t j, double factor) {
  if (solved.plan->status != plan::PlanStatus::optimal) {
    return nullptr;
  }
  return in_tokens_per_second(solved.plan->trained[j]) * factor;
}

Json job_json(const SolvedSite& solved, std::size_t j) {
  const auto& job = solved.site->training[j];
  const auto interval = rate_interval(job);
  const auto& untrained = solved.plan->untrained[j];
  const auto text = [](const std::string& value) {
    return value.empty() ? Json(nullptr) : Json(value);
  };
  return {{"id", job.id},
          {"accelerator", job.accelerator},
          {"profile", text(job.profile)},
          {"dag", text(job.dag)},
          {"stages", job.curve->pipeline().stages},
          {"microbatches", job.shape ? Json(job.shape->microbatches) : Json(nullptr)},
          {"schedule", text(job.schedule)},
          {"transfer_seconds", job.shape ? Json(in_seconds(job.shape->transfer)) : Json(nullptr)},
          {"tail_seconds", in_seconds(job.curve->pipeline().tail)},
          {"blocking_power_watts", in_watts(job.curve->pipeline().blocking_power)},
          {"gpus_per_stage", job.gpus_per_stage},
          {"gpus_per_pipeline", job.gpus_per_pipeline()},
          {"tokens_per_iteration", in_tokens(job.tokens_per_iteration)},
          {"max_pipelines", job.max_pipelines},
          {"committed_trained_tokens_per_s",
           job.committed ? Json(in_tokens_per_second(*job.committed)) : Json(nullptr)},
          {"value_usd_per_million_trained_tokens", in_usd_per_million_tokens(job.value)},
          {"frequency_plans", to_string(solved.site->rules.frequency_plans)},
          {"trained_tokens_per_s", trained_json(solved, j, 1)},
          {"trained_tokens_per_s_low", trained_json(solved, j, interval.low_factor)},
          {"trained_tokens_per_s_high", trained_json(solved, j, interval.high_factor)},
          {"rate_factor", interval.central_factor},
          {"tag", to_string(Tag::derived)},
          {"untrained_reason", untrained ? Json(untrained->limit + " is " + untrained->present +
                                                "; it would need " + untrained->needed)
                                         : Json(nullptr)},
          {"systems", systems_json(solved, j)}};
}

}  // namespace

Json training_json(const SolvedSite& solved) {
  Json jobs = Json::array();
  for (std::size_t j = 0; j < solved.site->training.size(); ++j) {
    jobs.push_back(job_json(solved, j));
    if (solved.plan->status == plan::PlanStatus::optimal) {
      add_plans(solved, j, jobs.back());
    }
    jobs.back()["columns"] = columns_json(solved, j);
  }
  return jobs;
}

std::string training_text(const SolvedSite& solved) {
  if (solved.site->training.empty()) {
    return {};
  }
  std::string text = '\n' + jobs_table(solved);
  if (solved.plan->training.empty()) {
    return text;
  }
  text += '\n' + plans_table(solved);
  if (solved.site->year.size() > 1) {
    text += '\n' + hours_table(solved);
  }
  return text;
}

}  // namespace perwatt::cli
