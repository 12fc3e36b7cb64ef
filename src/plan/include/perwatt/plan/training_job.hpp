// Training beside inference: jobs of a site and the points at which one pipeline of a job may run,
// from its time-energy frontier. Formulas: docs/model/plan.md#training.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/training/pipeline.hpp"
#include "perwatt/training/schedule.hpp"

namespace perwatt::plan {

/// Which frequency plans training jobs may run; each allows what those before it allow.
enum class FrequencyPlans {
  none,       // full clocks
  same_time,  // no iteration longer than at full clocks
  any
};

[[nodiscard]] std::string_view to_string(FrequencyPlans plans);
[[nodiscard]] std::optional<FrequencyPlans> parse_frequency_plans(std::string_view text);

/// One plan of real settings for an iteration of one pipeline.
struct TrainingPoint {
  FrequencyPlans needs = FrequencyPlans::none;
  Seconds time;         // of the iteration
  Joules energy;        // of an iteration, per GPU of a stage's group, summed over stages
  Joules lower_bound;   // of any plan that takes this time
  Watts mean_power;     // of one board over the iteration, mean of the stages
  Watts highest_power;  // of one board, mean over the operation that draws most, or waiting

  /// At least 0; 0 where nothing takes energy.
  [[nodiscard]] double gap_ratio() const {
    return energy > lower_bound && lower_bound > Joules{} ? energy / lower_bound - 1 : 0;
  }
};

/// The points of one pipeline under each power cap that is asked for, solved once for the settings
/// that a cap leaves. Not safe for use by several threads at once.
class TrainingCurve {
 public:
  explicit TrainingCurve(training::Pipeline pipeline);

  [[nodiscard]] const training::Pipeline& pipeline() const { return pipeline_; }

  /// On boards that hold `cap`: full clocks first, then plans from fast to slow, and the one of
  /// least energy among them. Their mixtures draw at most kThinning more than the frontier at the
  /// same rate, plus each point's gap_ratio(). Empty where an operation has no setting within the
  /// cap, or waiting draws more than it.
  [[nodiscard]] const std::vector<TrainingPoint>& points_under(Watts cap);

  /// Settings of the profile, over all stages and instructions; those that draw more than `cap`.
  [[nodiscard]] std::size_t settings() const;
  [[nodiscard]] std::size_t settings_above(Watts cap) const;

  /// Share of an iteration at full clocks that transfers and the tail add to its operations.
  [[nodiscard]] double beside_operations_ratio() const { return beside_operations_ratio_; }

  /// Relative, of the frontier's watts at one rate.
  static constexpr double kThinning = 1e-4;

 private:
  training::Pipeline pipeline_;
  double beside_operations_ratio_ = 0;
  /// By settings above the cap: they are those of most watts, so their number tells which.
  std::map<std::size_t, std::vector<TrainingPoint>> solved_;
};

/// A model somebody trains with data parallel replicas (pipelines), each of stages x gpus_per_stage
/// GPUs. Replicas on one rack kind wait for each other: they run the same plan at the same time.
struct TrainingJob {
  std::string id;
  std::string accelerator;  // catalog id: where the profile was measured, and where it may run
  std::string profile;      // the file as written; empty where the graph needs none
  std::string dag;          // the graph's file; empty where the schedule makes the pipeline
  std::optional<training::PipelineShape> shape;  // nothing with a graph
  std::string schedule;                          // as written, or its default
  int gpus_per_stage = 1;
  Tokens tokens_per_iteration;  // of one pipeline
  UsdPerToken value;            // of a trained token
  int max_pipelines = 0;
  std::optional<TokensPerSecond> committed;  // trained tokens/s, mean over the year
  std::shared_ptr<TrainingCurve> curve;      // never null
  std::string defined_at;

  [[nodiscard]] int gpus_per_pipeline() const { return curve->pipeline().stages * gpus_per_stage; }

  /// Alike but for where they are written.
  [[nodiscard]] bool same_as(const TrainingJob& other) const;
};

/// What measured iterations say of the trained tokens/s of a job (docs/model/plan.md#training).
struct TrainingRateInterval {
  double central_factor = 1;  // on tokens over the time of the model, in the plan's rates
  double low_factor = 1;      // on the plan's rate: 9 of 10 measured workloads lie between
  double high_factor = 1;
};

[[nodiscard]] TrainingRateInterval rate_interval(const TrainingJob& job);

}  // namespace perwatt::plan
