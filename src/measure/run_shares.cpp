// What of a run belongs to whom, and what an answer costs.
#include <cmath>

#include "perwatt/measure/experiments.hpp"
#include "perwatt/measure/intervals.hpp"

namespace perwatt::measure {

namespace {

bool began_inside(const RequestRecord& record, const Window& window) {
  return record.first_content && *record.first_content >= window.begin &&
         *record.first_content < window.end;
}

}  // namespace

void add_tenants(const LoadRun& run, Measurement& measurement) {
  std::map<std::string, std::pair<std::int64_t, double>> tokens_of;
  bool is_shared = false;
  for (const auto& record : run.records) {
    is_shared = is_shared || !record.tenant.empty();
    auto& [input, output] = tokens_of[record.tenant];
    input += began_inside(record, run.window) ? record.input_tokens.value_or(0) : 0;
    output += in_tokens(output_in_window(record));
  }
  if (!is_shared) {
    return;
  }
  for (const auto& [tenant, counts] : tokens_of) {
    measurement.tenants.push_back(
        {tenant, counts.first, std::llround(counts.second), std::nullopt});
  }
  if (measurement.power_valid) {
    measurement.tenant_basis =
        share_by_tenant(*measurement.energy.front().account.energy, nullptr, measurement.tenants);
  }
}

void add_quality(const LoadRun& run, const std::string& scorer, Measurement& measurement) {
  const auto scores = prompt_scores(run.records, scorer);
  if (scores.empty()) {
    return;
  }
  std::vector<double> values;
  values.reserve(scores.size());
  for (const auto& [prompt, score] : scores) {
    values.push_back(score);
  }
  measurement.quality_score = mean_interval(values);
  double answers = 0;  // each with the share of it that came inside the window
  for (const auto& record : run.records) {
    if (record.outcome == RequestOutcome::ok) {
      answers += static_cast<double>(record.content_chunks_in_window) /
                 static_cast<double>(record.content_chunks);
    }
  }
  if (measurement.power_valid && answers > 0) {
    measurement.joules_per_answer = measurement.energy.front().account.energy->in_base() / answers;
  }
}

}  // namespace perwatt::measure
