#include "managed_draw.hpp"

#include <algorithm>
#include <numeric>
#include <string>
#include <tuple>

namespace perwatt::plan {

namespace {

constexpr std::size_t kScenarios = 1000;
constexpr std::size_t kOtherScenarios = 20'011;  // another layering: no scenario is used twice
constexpr std::uint64_t kSeed = 1;

DrawGroup group_for(const Candidate& candidate) {
  return {candidate.service, candidate.rack, candidate.point.point->serving};
}

/// In an order that does not depend on that of the site file, since each is drawn for in turn.
std::vector<DrawGroup> groups_of(const Site& site, const CandidateSet& set) {
  std::vector<DrawGroup> groups;
  for (const auto& candidate : set.candidates) {
    const auto group = group_for(candidate);
    if (std::find(groups.begin(), groups.end(), group) == groups.end()) {
      groups.push_back(group);
    }
  }
  const auto name = [&](const DrawGroup& group) {
    const auto& stock = *set.racks[group.rack].stock;
    return std::tuple<const std::string&, const std::string&, const std::string&,
                      inference::Serving>{site.services[group.service].id, stock.system, stock.hall,
                                          group.serving};
  };
  std::sort(groups.begin(), groups.end(),
            [&](const DrawGroup& a, const DrawGroup& b) { return name(a) < name(b); });
  return groups;
}

}  // namespace

ScenarioSet capped_scenarios(const CandidateSet& set, const ManagedDraw& managed,
                             const ScenarioSet& by_group,
                             const std::vector<std::size_t>& candidates) {
  std::vector<double> ratios;
  ratios.reserve(by_group.scenarios() * candidates.size());
  for (std::size_t w = 0; w < by_group.scenarios(); ++w) {
    for (const std::size_t c : candidates) {
      const auto& candidate = set.candidates[c];
      const double at_cap = set.racks[candidate.rack].gpu_cap / candidate.gpu_power.mean;
      ratios.push_back(std::min(by_group.ratio(w, managed.group_of[c]), at_cap));
    }
  }
  return ScenarioSet::from_samples(candidates.size(), std::move(ratios),
                                   by_group.samples_effective());
}

ManagedDraw managed_draw(const Site& site, const CandidateSet& set, bool with_others) {
  ManagedDraw managed;
  const auto& provisioning = site.provisioning;
  if (provisioning.policy != ProvisioningPolicy::managed) {
    return managed;
  }
  managed.applies = true;
  managed.groups = groups_of(site, set);
  if (managed.groups.empty()) {
    return managed;
  }
  managed.group_of.reserve(set.candidates.size());
  for (const auto& candidate : set.candidates) {
    const auto at = std::find(managed.groups.begin(), managed.groups.end(), group_for(candidate));
    managed.group_of.push_back(static_cast<std::size_t>(at - managed.groups.begin()));
  }
  std::vector<PowerProfile> profiles;
  profiles.reserve(managed.groups.size());
  for (const auto& group : managed.groups) {
    profiles.push_back(provisioning.profiles->for_accelerator(
        set.racks[group.rack].system->accelerator, group.serving));
    managed.tag = weaker(managed.tag, profiles.back().tag);
  }
  const auto scenarios = draw_scenarios(profiles, provisioning.correlation, kScenarios, kSeed);
  managed.samples_effective = scenarios.samples_effective();
  if (const auto share =
          tail_share(managed.samples_effective, provisioning.excursion_probability)) {
    std::vector<std::size_t> all(set.candidates.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    managed.limit.emplace(capped_scenarios(set, managed, scenarios, all), *share);
    if (with_others) {
      managed.others =
          draw_scenarios(profiles, provisioning.correlation, kOtherScenarios, kSeed + 1);
    }
  }
  return managed;
}

Watts swing_per_gpu(const RackKind& rack, const Candidate& candidate) {
  constexpr int kSteps = 16;  // the chain is piecewise smooth: finer ones change 0.2 % at most
  const Watts mean = candidate.gpu_power.mean;
  const Watts from = std::min(mean, rack.gpu_cap * 0.99);
  const Watts it = rack.chain.it_per_gpu(from).value;
  double steepest = 0;
  for (int i = 1; i <= kSteps; ++i) {
    const Watts rise = (rack.gpu_cap - from) * (static_cast<double>(i) / kSteps);
    steepest = std::max(steepest, (rack.chain.it_per_gpu(from + rise).value - it) / rise);
  }
  return mean * steepest;
}

}  // namespace perwatt::plan
