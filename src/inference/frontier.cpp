#include "perwatt/inference/frontier.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace perwatt::inference {

namespace {

FrontierGroup group_of(const MeasuredPoint& point, bool by_engine) {
  FrontierGroup group{point.accelerator, point.precision, {}, {}, std::nullopt};
  if (by_engine) {
    group.engine = point.engine;
    group.spec_decode = point.spec_decode;
    group.serving = point.serving;
  }
  return group;
}

/// The systems to show an accelerator in: those asked for, else the first of the catalog.
std::vector<const catalog::System*> systems_for(const FrontierQuery& query,
                                                const catalog::Catalog& catalog,
                                                std::string_view accelerator) {
  std::vector<const catalog::System*> systems;
  for (const auto& system : catalog.systems()) {
    const bool asked =
        std::find(query.systems.begin(), query.systems.end(), system.id) != query.systems.end();
    if (system.accelerator == accelerator &&
        (asked || (query.systems.empty() && systems.empty()))) {
      systems.push_back(&system);
    }
  }
  return systems;
}

SystemFigures figures_in(const catalog::System& system, const catalog::Catalog& catalog,
                         const FrontierQuery& query, const OperatingPoint& point,
                         const GpuPowerEstimator& estimator) {
  const facility::PowerChain chain{catalog, system};
  const facility::CoolingPlant plant{
      catalog.cooling_plant(system.cooling_plant, system.defined_at)};
  SystemFigures figures;
  figures.system = &system;
  figures.gpu_power = estimator.power_of(point);
  if (figures.gpu_power) {
    figures.it = chain.it_per_gpu(figures.gpu_power->mean);
    figures.facility = plant.meter_for(*figures.it);
  }
  figures.provisioned = plant.meter_for(
      {chain.provisioned_node().it_total().value / static_cast<double>(system.gpus_per_node)});
  figures.price = facility::published_price_per_gpu(catalog.price_table(query.price_table, ""),
                                                    system.accelerator, query.price_basis);
  return figures;
}

struct GroupPoints {
  std::vector<OperatingPoint> measured;
  std::vector<OperatingPoint> meeting;
  std::optional<OperatingPoint> interpolated;
};

bool better(const OperatingPoint& a, const OperatingPoint& b) {
  return ranking_rate(a) > ranking_rate(b);
}

/// "h200" or "h200:fp8" against a row.
bool matches(const MeasuredPoint& point, std::string_view side) {
  const auto colon = side.find(':');
  return point.accelerator == side.substr(0, colon) &&
         (colon == std::string_view::npos || point.precision == side.substr(colon + 1));
}

}  // namespace

Frontier build_frontier(const FrontierQuery& query, const catalog::Catalog& catalog,
                        std::span<const MeasuredPoint> points, const GpuPowerEstimator& estimator) {
  const DeploymentSet set{points, query.model, query.workload};
  Frontier frontier;
  frontier.deployments = set.deployments().size();
  std::map<FrontierGroup, GroupPoints> groups;
  for (const auto& deployment : set.deployments()) {
    auto& group = groups[group_of(deployment.head(), query.by_engine)];
    for (const auto* point : deployment.points) {
      group.measured.push_back(at_row(*point));
    }
  }
  auto lenient = query.slo;
  lenient.allow_unknown_ttft = true;
  for (const auto& point : set.meeting(lenient)) {
    if (query.slo.max_ttft && !point.ttft && !query.slo.allow_unknown_ttft) {
      ++frontier.unknown_ttft;
      continue;
    }
    auto& group = groups[group_of(*point.point, query.by_engine)];
    if (point.tag != Tag::interpolated) {
      group.meeting.push_back(point);
    } else if (!group.interpolated || better(point, *group.interpolated)) {
      group.interpolated = point;
    }
  }
  for (const auto& [key, group] : groups) {
    if (group.meeting.empty()) {
      continue;
    }
    const auto best = std::min_element(group.meeting.begin(), group.meeting.end(), better);
    for (const auto* system : systems_for(query, catalog, key.accelerator)) {
      FrontierRow row{
          key, *best, figures_in(*system, catalog, query, *best, estimator), std::nullopt, {}};
      if (group.interpolated && better(*group.interpolated, *best)) {
        row.at_slo = group.interpolated;
      }
      for (const auto i : non_dominated(group.measured)) {
        row.curve.push_back(group.measured[i]);
      }
      frontier.rows.push_back(std::move(row));
    }
  }
  std::stable_sort(
      frontier.rows.begin(), frontier.rows.end(),
      [](const FrontierRow& a, const FrontierRow& b) { return better(a.best, b.best); });
  return frontier;
}

std::vector<RatioPoint> ratio_curve(const FrontierQuery& query, std::string_view numerator,
                                    std::string_view denominator,
                                    std::span<const TokensPerSecond> interactivities,
                                    std::span<const MeasuredPoint> points) {
  const DeploymentSet set{points, query.model, query.workload};
  std::vector<RatioPoint> curve;
  for (const auto interactivity : interactivities) {
    auto slo = query.slo;
    slo.min_interactivity = interactivity;
    std::optional<OperatingPoint> over;
    std::optional<OperatingPoint> under;
    for (const auto& point : set.meeting(slo)) {
      if (point.tag == Tag::interpolated) {
        continue;
      }
      if (matches(*point.point, numerator) && (!over || better(point, *over))) {
        over = point;
      }
      if (matches(*point.point, denominator) && (!under || better(point, *under))) {
        under = point;
      }
    }
    if (over && under) {
      curve.push_back({interactivity, *over, *under, ranking_rate(*over) / ranking_rate(*under)});
    }
  }
  return curve;
}

}  // namespace perwatt::inference
