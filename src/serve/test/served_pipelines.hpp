// Small pipelines for tests of the server.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "perwatt/serve/planned_pipeline.hpp"
#include "perwatt/training/profile.hpp"
#include "perwatt/training/schedule.hpp"

namespace perwatt::serve {

inline constexpr const char* kSmallProfile =
    "stage,instruction,frequency,time,energy\n"
    "0,forward,1400,0.10,40\n0,forward,1200,0.12,30\n0,forward,1000,0.15,26\n"
    "0,backward,1400,0.20,80\n0,backward,1200,0.24,60\n0,backward,1000,0.30,52\n"
    "1,forward,1400,0.05,20\n1,forward,1200,0.06,15\n1,forward,1000,0.08,13\n"
    "1,backward,1400,0.10,40\n1,backward,1200,0.12,30\n1,backward,1000,0.15,26\n";

inline training::Pipeline small_pipeline(const std::string& profile = kSmallProfile,
                                         int microbatches = 4) {
  training::PipelineShape shape;
  shape.stages = 2;
  shape.microbatches = microbatches;
  shape.blocking_power = watts(50);
  return training::make_pipeline(training::read_profile(profile, "small.csv"), shape);
}

inline std::unique_ptr<PlannedPipeline> served(const std::string& name, PlanGoal goal = {}) {
  return std::make_unique<PlannedPipeline>(name, small_pipeline(), goal, "test");
}

}  // namespace perwatt::serve
