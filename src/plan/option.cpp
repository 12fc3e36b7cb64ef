#include "perwatt/plan/option.hpp"

namespace perwatt::plan {

namespace {

using inference::serving::ModelledServing;

/// Finds the options of one service.
class Finder {
 public:
  Finder(std::size_t index, const Service& service, ModelledServing* modelled, OptionSet& set)
      : index_{index}, service_{service}, modelled_{modelled}, set_{set} {}

  void add_model(const std::string& model, const std::set<std::string>& accelerators,
                 std::span<const inference::MeasuredPoint> points,
                 const inference::GpuPowerEstimator& estimator) {
    const inference::DeploymentSet deployments{points, model, service_.workload};
    // The TTFT unknowns too: whether they count is decided later, and how many there are is told.
    auto slo = service_.slo;
    slo.allow_unknown_ttft = true;
    for (const auto& point : deployments.meeting(slo)) {
      if (accelerators.contains(point.point->accelerator)) {
        add(point, estimator.power_of(point));
      }
    }
    std::set<std::string> unmeasured = accelerators;
    for (const auto& deployment : deployments.deployments()) {
      const auto& accelerator = deployment.head().accelerator;
      if (accelerators.contains(accelerator)) {
        unmeasured.erase(accelerator);
        auto& rows = set_.rows[index_];
        rows.insert(rows.end(), deployment.points.begin(), deployment.points.end());
      }
    }
    if (modelled_ != nullptr) {
      for (const auto& accelerator : unmeasured) {
        add_modelled(model, accelerator);
      }
    }
  }

 private:
  void add_modelled(const std::string& model, const std::string& accelerator) {
    const auto& found = modelled_->deployments(model, service_.workload, accelerator);
    if (!found.missing_because.empty()) {
      set_.unmodelled[index_].push_back({model, accelerator, found.missing_because});
    }
    const auto& slo = service_.slo;
    for (const auto& [point, power] : found.points) {
      set_.rows[index_].push_back(point.point);
      if (point.interactivity >= slo.min_interactivity &&
          (!slo.max_ttft || *point.ttft <= *slo.max_ttft)) {
        add(point, power);
      }
    }
  }

  void add(const inference::OperatingPoint& point, std::optional<inference::GpuPower> power) {
    Option option{
        index_, point, !service_.slo.max_ttft || point.ttft.has_value(), std::move(power), {}};
    if (modelled_ != nullptr && option.gpu_power) {
      option.clocks = modelled_->clocks(point, *option.gpu_power);
    }
    set_.options.push_back(std::move(option));
  }

  std::size_t index_;
  const Service& service_;
  ModelledServing* modelled_;
  OptionSet& set_;
};

}  // namespace

OptionSet find_options(std::span<const Service> services, const std::set<std::string>& accelerators,
                       std::span<const inference::MeasuredPoint> points,
                       const inference::GpuPowerEstimator& estimator, ModelledServing* modelled) {
  OptionSet set;
  set.rows.resize(services.size());
  set.unmodelled.resize(services.size());
  for (std::size_t s = 0; s < services.size(); ++s) {
    Finder finder{s, services[s], modelled, set};
    finder.add_model(services[s].model, accelerators, points, estimator);
    for (const auto& model : services[s].alternative_models) {
      finder.add_model(model, accelerators, points, estimator);
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
