// AIConfigurator's table of measured latencies: rows that become cases, or rejected ones.
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "fuzz_check.hpp"
#include "point_check.hpp"

#include "perwatt/inference/import.hpp"
#include "perwatt/inference/serving/layout.hpp"

namespace {

using namespace perwatt;

void demand_sound(const inference::PointTable& table) {
  for (const auto& row : table.rejected) {
    fuzz::demand_one_line(row.where + ": " + row.reason);
  }
  for (const auto& point : table.points) {
    fuzz::demand(point.layout.num_gpus >= 1, "a deployment without GPUs");
    fuzz::demand(!point.concurrency || *point.concurrency >= 1, "a load below one request");
    for (const auto& time : {point.ttft_median, point.tpot_median}) {
      fuzz::demand(!time || (std::isfinite(time->in_base()) && time->in_base() > 0),
                   "a time that is none");
    }
    const auto layout = inference::serving::layout_of(point.layout, point.serving);
    fuzz::demand(layout.ok(), "a layout that is none");
    for (const auto& pool : {layout.value().prefill, layout.value().decode}) {
      fuzz::demand(
          pool.instances >= 1 && pool.instance.gpus >= 1 && pool.instance.gpus <= pool.gpus,
          "an instance larger than its pool");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] {
    static_cast<void>(inference::is_serving_latency(text));
    demand_sound(inference::import_serving_latency(text, "l.csv", fuzz::shipped_catalog()));
  });
  return 0;
}
