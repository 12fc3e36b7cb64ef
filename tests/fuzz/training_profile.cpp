// A training profile, and the frontier of a small pipeline of it.
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "fuzz_check.hpp"

#include "perwatt/training/frequency_plan.hpp"
#include "perwatt/training/schedule.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perwatt;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] {
    const auto profile = training::read_profile(text, "profile.csv");
    training::PipelineShape shape;
    shape.stages = profile.rows.back().stage % 4 + 1;
    shape.microbatches = shape.stages * 2;
    shape.blocking_power = watts(80);
    static constexpr const char* kSchedules[] = {"1f1b", "interleaved:2", "gpipe",
                                                 "early-recompute", "zero-bubble"};
    shape.schedule =
        training::parse_schedule(kSchedules[profile.rows.size() % std::size(kSchedules)], "fuzz");
    const auto pipeline = training::make_pipeline(profile, shape);
    const training::Planner planner{pipeline};
    const auto& points = planner.frontier().points();
    for (std::size_t i = 1; i < points.size(); ++i) {
      fuzz::demand(points[i].time < points[i - 1].time && points[i].slope > points[i - 1].slope,
                   "the frontier is not convex");
    }
    const auto plan = planner.at(planner.frontier().fastest());
    fuzz::demand(plan.has_value(), "no plan at the fastest time");
  });
  return 0;
}
