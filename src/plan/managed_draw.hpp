// Managed provisioning: which deployments' draw moves together, and how much of it must be
// reserved. docs/model/provisioning.md.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "perwatt/inference/measured_point.hpp"
#include "perwatt/plan/candidate.hpp"
#include "perwatt/plan/excursion.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

/// Deployments of one service on one rack kind in one serving mode: they move as one.
struct DrawGroup {
  std::size_t service = 0;
  std::size_t rack = 0;
  inference::Serving serving = inference::Serving::aggregated;

  bool operator==(const DrawGroup&) const = default;
};

/// Empty under any other policy. Without groups where no service can run: training alone, whose
/// boards are reserved at their highest draw, needs no profile.
struct ManagedDraw {
  bool applies = false;  // the policy is managed
  std::vector<DrawGroup> groups;
  std::vector<std::size_t> group_of;  // by candidate
  /// Its groups are the candidates: each draws as its group does, up to the cap of its boards.
  /// Nothing: the data cannot support the probability.
  std::optional<ExcursionLimit> limit;
  std::optional<ScenarioSet> others;  // by group, not capped: what the limit was not made from
  double samples_effective = 0;
  Tag tag = Tag::derived;  // weakest among the profiles
};

/// Scenarios of the given candidates, each drawing as its group but no more than its cap.
[[nodiscard]] ScenarioSet capped_scenarios(const CandidateSet& set, const ManagedDraw& managed,
                                           const ScenarioSet& by_group,
                                           const std::vector<std::size_t>& candidates);

/// `with_others`: draws the scenarios for the check out of sample, too.
[[nodiscard]] ManagedDraw managed_draw(const Site& site, const CandidateSet& set,
                                       bool with_others = false);

/// Whether the data cannot support the probability that is asked for.
[[nodiscard]] inline bool is_refused(const ManagedDraw& managed) {
  return !managed.groups.empty() && !managed.limit;
}

/// IT power of one GPU that moves with the profile: the mean board power times what a watt above it
/// is at the node's inlet, at most: the steepest chord of the chain from the mean up to the cap.
[[nodiscard]] Watts swing_per_gpu(const RackKind& rack, const Candidate& candidate);

}  // namespace perwatt::plan
