// A plan, in JSON or as Python text, put on a small pipeline.
#include <cstddef>
#include <cstdint>

#include "fuzz_check.hpp"

#include "perwatt/training/plan_file.hpp"
#include "perwatt/training/schedule.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perwatt;
  static const auto pipeline = [] {
    const auto profile = training::read_profile(
        "stage,instruction,frequency,time,energy\n0,forward,1410,1,5\n0,forward,1200,1.5,3\n"
        "0,backward,1410,2,9\n0,backward,1200,2.5,7\n",
        "profile.csv");
    training::PipelineShape shape;
    shape.stages = 1;
    shape.microbatches = 1;
    return training::make_pipeline(profile, shape);
  }();
  static const training::Planner planner{pipeline};
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] {
    const auto table = training::read_plan(text, "plan");
    const auto plan = planner.score(training::match(table, pipeline));
    const auto again = training::plan_json(plan, pipeline);
    fuzz::demand(training::match(training::read_plan(again, "again"), pipeline) == plan.chosen,
                 "a plan changes when it is written and read");
  });
  return 0;
}
