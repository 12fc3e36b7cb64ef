#include <utility>

#include "charts.hpp"
#include "figures.hpp"
#include "layout_text.hpp"

#include "perwatt/base/csv.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::report {

namespace {

using Field = std::pair<const char*, std::string>;  // column and value

std::string number(const std::optional<double>& value) {
  return value ? shortest(*value) : "";
}

template <class Quantity>
std::string base(const std::optional<Quantity>& value) {
  return value ? shortest(value->in_base()) : "";
}

void add_configuration(const plan::SolvedSite& solved, const plan::Assignment& assignment,
                       std::vector<Field>& fields) {
  const auto& candidate = solved.set->candidates[assignment.candidate];
  const auto& rack = solved.set->racks[candidate.rack];
  const auto& row = *candidate.point.point;
  fields.insert(fields.end(), {{"service", solved.site->services[candidate.service].id},
                               {"model", row.model},
                               {"workload", to_string(row.workload)},
                               {"system", rack.system->id},
                               {"accelerator", row.accelerator},
                               {"cooling_plant", rack.plant->id},
                               {"precision", row.precision},
                               {"engine", row.engine},
                               {"spec_decode", row.spec_decode},
                               {"serving", to_string(row.serving)},
                               {"layout", layout_text(row.layout)},
                               {"num_gpus", std::to_string(row.layout.num_gpus)},
                               {"gpus", shortest(assignment.gpus)},
                               {"replicas", shortest(assignment.replicas)},
                               {"concurrency", number(candidate.point.concurrency)}});
}

void add_rates(const plan::SolvedSite& solved, const plan::Assignment& assignment,
               std::vector<Field>& fields) {
  const auto& candidate = solved.set->candidates[assignment.candidate];
  const auto& point = candidate.point;
  const auto figures = deployment_figures(solved, assignment);
  fields.insert(fields.end(),
                {{"interactivity_tokens_per_s", shortest(point.interactivity.in_base())},
                 {"ttft_seconds", base(point.ttft)},
                 {"ttft_known", candidate.ttft_known ? "true" : "false"},
                 {"output_tokens_per_s_per_gpu", shortest(point.output_per_gpu.in_base())},
                 {"total_tokens_per_s_per_gpu", base(point.total_per_gpu)},
                 {"output_tokens_per_s", shortest(figures.output.in_base())},
                 {"output_tokens_per_s_low", shortest(figures.output_low.in_base())},
                 {"output_tokens_per_s_high", shortest(figures.output_high.in_base())},
                 {"input_tokens_per_s", base(figures.input)},
                 {"tag", std::string{to_string(point.tag)}}});
}

void add_power(const plan::SolvedSite& solved, const plan::Assignment& assignment,
               std::vector<Field>& fields) {
  const auto& candidate = solved.set->candidates[assignment.candidate];
  const auto& rack = solved.set->racks[candidate.rack];
  const auto& power = candidate.gpu_power;
  const auto& row = *candidate.point.point;
  const auto figures = deployment_figures(solved, assignment);
  fields.insert(
      fields.end(),
      {{"gpu_power_watts", shortest(in_watts(power.mean))},
       {"gpu_power_low_watts", shortest(in_watts(power.low))},
       {"gpu_power_high_watts", shortest(in_watts(power.high))},
       {"gpu_power_tag", std::string{to_string(power.tag)}},
       {"gpu_power_basis", power.basis},
       {"gpu_cap_watts", shortest(in_watts(rack.chain.tdp()))},
       {"it_power_watts_per_gpu", shortest(in_watts(candidate.it_per_gpu.value))},
       {"mean_facility_power_watts_per_gpu", shortest(in_watts(candidate.meter_per_gpu.value))},
       {"facility_joules_per_output_token",
        shortest(in_joules_per_token(figures.facility_per_output))},
       {"margin_usd_per_hour_per_gpu", shortest(in_usd_per_hour(candidate.margin_per_gpu))},
       {"date", row.date},
       {"source", row.source},
       {"url", row.url},
       {"read_at", place_text(row.read_at)},
       {"interpolated_with",
        candidate.point.other != nullptr ? place_text(candidate.point.other->read_at) : ""}});
}

}  // namespace

std::string plan_csv(const PlanReport& report) {
  const auto& solved = report.solved;
  std::string text;
  for (std::size_t a = 0; a < solved.plan->assignments.size(); ++a) {
    const auto& assignment = solved.plan->assignments[a];
    std::vector<Field> fields{{"deployment", deployment_number(a)}};
    add_configuration(solved, assignment, fields);
    add_rates(solved, assignment, fields);
    add_power(solved, assignment, fields);
    std::vector<std::string> names;
    std::vector<std::string> values;
    for (auto& [name, value] : fields) {
      names.emplace_back(name);
      values.push_back(std::move(value));
    }
    text += (text.empty() ? csv_line(names) : "") + csv_line(values);
  }
  return text.empty() ? csv_line({"deployment"}) : text;
}

}  // namespace perwatt::report
