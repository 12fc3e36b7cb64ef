// A plan, in JSON or as Python text, put on a small pipeline.
#include <cstddef>
#include <cstdint>

#include "fuzz_check.hpp"

#include "perwatt/training/plan_file.hpp"
#include "perwatt/training/schedule.hpp"

namespace {

perwatt::training::Pipeline pipeline_of(const char* profile) {
  perwatt::training::PipelineShape shape;
  shape.stages = 1;
  shape.microbatches = 1;
  return make_pipeline(perwatt::training::read_profile(profile, "profile.csv"), shape);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perwatt;
  static const auto plain = pipeline_of(
      "stage,instruction,frequency,time,energy\n0,forward,1410,1,5\n0,forward,1200,1.5,3\n"
      "0,backward,1410,2,9\n0,backward,1200,2.5,7\n");
  static const auto with_knobs = pipeline_of(
      "stage,instruction,frequency,mlp,time,energy\n0,forward,1410,a,1,5\n"
      "0,forward,1410,b,1.5,3\n0,backward,1410,a,2,9\n");
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto& pipeline = text.find("mlp") == std::string_view::npos ? plain : with_knobs;
  const training::Planner planner{pipeline};
  fuzz::demand_answer_or_error([&] {
    const auto table = training::read_plan(text, "plan");
    const auto plan = planner.score(training::match(table, pipeline));
    const auto again = training::plan_json(plan, pipeline);
    fuzz::demand(training::match(training::read_plan(again, "again"), pipeline) == plan.chosen,
                 "a plan changes when it is written and read");
  });
  return 0;
}
