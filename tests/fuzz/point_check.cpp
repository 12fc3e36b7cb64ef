#include "point_check.hpp"

#include <tuple>

#include "fuzz_check.hpp"

namespace perwatt::fuzz {

namespace {

/// Everything but the place that the point was read at.
auto fields(const inference::MeasuredPoint& p) {
  return std::tie(p.source, p.accelerator, p.model, p.precision, p.engine, p.spec_decode, p.serving,
                  p.layout, p.workload, p.mean_output_tokens, p.concurrency, p.mean_batch_size,
                  p.total_per_gpu, p.output_per_gpu, p.interactivity, p.ttft_median, p.ttft_p99,
                  p.tpot_median, p.tpot_p99, p.e2e_median, p.gpu_power, p.joules_per_output_token,
                  p.joules_per_total_token, p.prefill_gpu_power, p.decode_gpu_power, p.date, p.url,
                  p.output_is_derived, p.power_is_derived, p.interactivity_is_derived);
}

}  // namespace

const catalog::Catalog& shipped_catalog() {
  static const auto kCatalog = catalog::Catalog::load({PERWATT_SHIPPED_CATALOG});
  return kCatalog;
}

void demand_sound(const inference::PointTable& table) {
  for (const auto& row : table.rejected) {
    demand_one_line(row.where);
    demand_one_line(row.reason);
  }
  const auto text = inference::format_points(table.points);
  const auto again = inference::parse_points(text, "formatted.csv", shipped_catalog());
  if (!again.rejected.empty()) {
    const auto& first = again.rejected.front();
    demand(false, "rejected when read back: " + first.where + " " + first.reason);
  }
  demand(again.points.size() == table.points.size(), "points were lost when read back");
  for (std::size_t i = 0; i < table.points.size(); ++i) {
    demand(fields(again.points[i]) == fields(table.points[i]),
           "another point when read back: " + again.points[i].read_at);
  }
  std::size_t replaced = 0;
  const auto merged = inference::merge_points(table.points, again.points, replaced);
  demand(merged.size() == table.points.size() && replaced == table.points.size(),
         "a point does not replace itself");
}

}  // namespace perwatt::fuzz
