#include "plan_training_tables.hpp"

#include "text.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::report {

namespace {

Table jobs_table(const plan::SolvedSite& solved) {
  Table table{"training",
              "Training",
              "Trained tokens are of their own kind and in no other figure of tokens. Intervals "
              "hold for 9 of 10 measured workloads.",
              {{"job"},
               {"accelerator"},
               {"profile", kProse},
               {"GPUs per pipeline", kRight},
               {"pipelines wanted", kRight},
               {"committed, trained tok/s", kRight},
               {"trained tok/s", kRight},
               {"90 % interval", kRight},
               {"remark", kProse}},
              {}};
  for (std::size_t j = 0; j < solved.site->training.size(); ++j) {
    const auto& job = solved.site->training[j];
    const double trained = in_tokens_per_second(solved.plan->trained[j]);
    const auto interval = rate_interval(job);
    const auto& reason = solved.plan->untrained[j];
    table.add({job.id, job.accelerator, job.profile.empty() ? job.dag : job.profile,
               std::to_string(job.gpus_per_pipeline()), std::to_string(job.max_pipelines),
               job.committed ? significant(in_tokens_per_second(*job.committed), 5) : "",
               significant(trained, 5),
               significant(trained * interval.low_factor, 4) + " to " +
                   significant(trained * interval.high_factor, 4),
               reason ? "not trained: " + reason->limit + " is " + reason->present +
                            "; it would need " + reason->needed
                      : ""});
  }
  return table;
}

Table plans_table(const plan::SolvedSite& solved) {
  Table table{"training-plans",
              "Training: which plan runs where",
              "Plans of one job on one rack kind take turns. The bound is the least energy of any "
              "plan of the same time. Rates and GPU power are derived from the measured profile.",
              {{"job"},
               {"system"},
               {"plan"},
               {"iteration s", kRight},
               {"GPUs", kRight},
               {"pipelines", kRight},
               {"trained tok/s", kRight},
               {"GPU W", kRight},
               {"highest operation W", kRight},
               {"cap W", kRight},
               {"facility J per trained token", kRight},
               {"above the bound", kRight}},
              {}};
  for (const auto& assignment : solved.plan->training) {
    const auto& column = solved.set->training[assignment.column];
    const auto& rack = solved.set->racks[column.rack];
    const bool is_plan = column.point.needs != plan::FrequencyPlans::none;
    table.add(
        {solved.site->training[column.job].id, rack.system->id,
         is_plan ? "frequency plan" : "full clocks", significant(in_seconds(column.point.time), 5),
         significant(assignment.gpus, 5), significant(assignment.pipelines, 4),
         significant(in_tokens_per_second(column.mean_trained_per_gpu * assignment.gpus), 5),
         significant(in_watts(column.gpu_power.mean), 3),
         significant(in_watts(column.highest_gpu_power), 3), significant(in_watts(rack.gpu_cap), 4),
         significant(in_joules_per_token(column.meter_per_gpu.value / column.mean_trained_per_gpu),
                     3),
         is_plan ? percent_text(column.point.gap_ratio(), 2) : ""});
  }
  return table;
}

}  // namespace

std::vector<Table> training_tables(const plan::SolvedSite& solved) {
  if (solved.site->training.empty()) {
    return {};
  }
  return {jobs_table(solved), plans_table(solved)};
}

}  // namespace perwatt::report
