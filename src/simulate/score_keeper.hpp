// Adds up what a run did, from the plant's own truth.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "service_work.hpp"
#include "training_work.hpp"

#include "perwatt/allocate/allocator.hpp"
#include "perwatt/allocate/site_limits.hpp"
#include "perwatt/simulate/run_scenario.hpp"

namespace perwatt::simulate {

/// Since counting began: good output and the input it had, kept iterations.
[[nodiscard]] Usd earned(const ServiceWork& service);
[[nodiscard]] Usd earned(const TrainingWork& training);

/// Of all services, since counting began.
struct TokenCounts {
  std::int64_t output = 0;
  std::int64_t good = 0;
};

class ScoreKeeper {
 public:
  /// All of it outlives the keeper. `steps` will be scored.
  ScoreKeeper(const Scenario& scenario, const PolicyPlan& policy, const Plant& plant,
              std::int64_t steps);

  /// Before the first scored step. `cap_writes` so far.
  void start(std::int64_t cap_writes);

  /// After scored step number `step` of the plant. `demands` without caps, by device.
  void add_step(std::int64_t step, std::span<const Watts> demands, const TokenCounts& tokens);

  [[nodiscard]] PolicyResult result(const std::vector<std::unique_ptr<ServiceWork>>& services,
                                    const std::vector<std::unique_ptr<TrainingWork>>& trainings,
                                    std::int64_t cap_writes) const;

 private:
  /// Since the last part of the timeline.
  struct Part {
    double supply_watts = 0;
    double highest_watts = 0;
    double wanted_watts = 0;
    std::int64_t steps = 0;
    TokenCounts tokens;  // at its start
  };

  [[nodiscard]] double wanted_at_root(std::span<const Watts> demands) const;
  void end_part(std::span<const Watts> demands, const TokenCounts& tokens);
  void sample_stranded(std::span<const Watts> demands);
  void add_services(PolicyResult& result,
                    const std::vector<std::unique_ptr<ServiceWork>>& services) const;
  void add_trainings(PolicyResult& result,
                     const std::vector<std::unique_ptr<TrainingWork>>& trainings) const;

  const Scenario& scenario_;
  const PolicyPlan& policy_;
  const Plant& plant_;
  std::int64_t steps_;
  std::int64_t part_steps_;
  Seconds step_;
  allocate::SiteLimits limits_;
  std::optional<Watts> limit_;                // of the root
  std::optional<allocate::Allocator> reach_;  // of sample_stranded(): what can be drawn
  Part part_;
  Timeline timeline_;
  double idle_watts_ = 0;  // sums over samples
  double child_watts_ = 0;
  std::int64_t samples_ = 0;
  Joules energy_before_;
  Joules gpu_energy_before_;
  std::int64_t writes_before_ = 0;
};

}  // namespace perwatt::simulate
