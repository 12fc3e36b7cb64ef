#include "managed_draw.hpp"

#include <algorithm>

namespace perwatt::plan {

namespace {

constexpr std::size_t kScenarios = 1000;
constexpr std::size_t kOtherScenarios = 20'011;  // another layering: no scenario is used twice
constexpr std::uint64_t kSeed = 1;

DrawGroup group_for(const Candidate& candidate) {
  return {candidate.service, candidate.rack, candidate.point.point->serving};
}

}  // namespace

std::size_t ManagedDraw::group_of(const Candidate& candidate) const {
  return static_cast<std::size_t>(std::find(groups.begin(), groups.end(), group_for(candidate)) -
                                  groups.begin());
}

ManagedDraw managed_draw(const Site& site, const CandidateSet& set, bool with_others) {
  ManagedDraw managed;
  const auto& provisioning = site.provisioning;
  if (provisioning.policy != ProvisioningPolicy::managed) {
    return managed;
  }
  std::vector<PowerProfile> profiles;
  for (const auto& candidate : set.candidates) {
    const auto group = group_for(candidate);
    if (std::find(managed.groups.begin(), managed.groups.end(), group) == managed.groups.end()) {
      managed.groups.push_back(group);
      profiles.push_back(provisioning.profiles->for_accelerator(
          set.racks[group.rack].system->accelerator, group.serving));
      managed.tag = weaker(managed.tag, profiles.back().tag);
    }
  }
  if (profiles.empty()) {
    return managed;
  }
  auto scenarios = draw_scenarios(profiles, provisioning.correlation, kScenarios, kSeed);
  managed.samples_effective = scenarios.samples_effective();
  if (const auto share =
          tail_share(managed.samples_effective, provisioning.excursion_probability)) {
    managed.limit.emplace(std::move(scenarios), *share);
    if (with_others) {
      managed.others =
          draw_scenarios(profiles, provisioning.correlation, kOtherScenarios, kSeed + 1);
    }
  }
  return managed;
}

Watts swing_per_gpu(const RackKind& rack, const Candidate& candidate) {
  // The chain is convex but for the supplies' best load: the chord of its upper half is steeper
  // than the chain below it, and within 1 % of its steepest slope (managed_draw_test).
  const Watts half = rack.gpu_cap * 0.5;
  const double slope =
      (rack.chain.it_per_gpu(rack.gpu_cap).value - rack.chain.it_per_gpu(half).value) / half;
  return candidate.gpu_power.mean * slope;
}

}  // namespace perwatt::plan
