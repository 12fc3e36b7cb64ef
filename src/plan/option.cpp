#include "perwatt/plan/option.hpp"

namespace perwatt::plan {

namespace {

void add_model(std::size_t s, const Service& service, const std::string& model,
               const std::set<std::string>& accelerators,
               std::span<const inference::MeasuredPoint> points,
               const inference::GpuPowerEstimator& estimator, OptionSet& set) {
  const inference::DeploymentSet deployments{points, model, service.workload};
  // The TTFT unknowns too: whether they count is decided later, and how many there are is told.
  auto slo = service.slo;
  slo.allow_unknown_ttft = true;
  for (const auto& point : deployments.meeting(slo)) {
    if (accelerators.contains(point.point->accelerator)) {
      set.options.push_back(
          {s, point, !service.slo.max_ttft || point.ttft.has_value(), estimator.power_of(point)});
    }
  }
  for (const auto& deployment : deployments.deployments()) {
    if (accelerators.contains(deployment.head().accelerator)) {
      set.measured[s].insert(set.measured[s].end(), deployment.points.begin(),
                             deployment.points.end());
    }
  }
}

}  // namespace

OptionSet find_options(std::span<const Service> services, const std::set<std::string>& accelerators,
                       std::span<const inference::MeasuredPoint> points,
                       const inference::GpuPowerEstimator& estimator) {
  OptionSet set;
  set.measured.resize(services.size());
  for (std::size_t s = 0; s < services.size(); ++s) {
    add_model(s, services[s], services[s].model, accelerators, points, estimator, set);
    for (const auto& model : services[s].alternative_models) {
      add_model(s, services[s], model, accelerators, points, estimator, set);
    }
  }
  return set;
}

std::set<std::string> accelerators_of(const Site& site, const catalog::Catalog& catalog) {
  std::set<std::string> accelerators;
  for (const auto& stock : site.racks) {
    accelerators.insert(catalog.system(stock.system, stock.defined_at).accelerator);
  }
  return accelerators;
}

}  // namespace perwatt::plan
