#include "perwatt/plan/quality_guard.hpp"

#include <algorithm>

#include "perwatt/base/text.hpp"

namespace perwatt::plan {

namespace {

/// What answered `service` before; the service's model as released where nothing did.
std::vector<Answerer> answerers_of(const Site& site, std::size_t service,
                                   const catalog::Catalog& catalog,
                                   const std::set<Answerer>& before) {
  std::vector<Answerer> found;
  std::copy_if(before.begin(), before.end(), std::back_inserter(found),
               [&](const Answerer& answerer) { return answerer.service == service; });
  if (found.empty()) {
    const auto& model = catalog.model(site.services[service].model, site.file);
    found.push_back({service, model.id, model.native_precision.value_or("unknown precision")});
  }
  return found;
}

QualityChange change_between(const Answerer& from, const Answerer& to,
                             const catalog::Catalog& catalog) {
  QualityChange change{{}, from.model, from.precision, to.model, to.precision, {}};
  const auto& model = catalog.model(from.model, "");
  change.pairs = change.is_other_model()
                     ? catalog::common_benchmarks(model, from.precision,
                                                  catalog.model(to.model, ""), to.precision)
                     : catalog::quality_loss(model, from.precision, to.precision);
  return change;
}

std::string name_of(const QualityChange& change) {
  return change.from_model + " " + change.from_precision + " -> " +
         (change.is_other_model() ? change.to_model + " " : "") + change.to_precision;
}

}  // namespace

std::vector<QualityChange> quality_changes(const Site& site, const catalog::Catalog& catalog,
                                           const std::set<Answerer>& before,
                                           const std::set<Answerer>& after) {
  std::vector<QualityChange> changes;
  for (const auto& to : after) {
    const auto present = answerers_of(site, to.service, catalog, before);
    if (std::find(present.begin(), present.end(), to) != present.end()) {
      continue;
    }
    for (const auto& from : present) {
      auto change = change_between(from, to, catalog);
      auto known = std::find_if(changes.begin(), changes.end(), [&](const QualityChange& other) {
        return name_of(other) == name_of(change);
      });
      if (known == changes.end()) {
        known = changes.insert(changes.end(), std::move(change));
      }
      known->services.push_back(site.services[to.service].id);
    }
  }
  return changes;
}

std::string not_counted_because(std::span<const QualityChange> changes, double max_loss_points) {
  for (const auto& change : changes) {
    if (change.pairs.empty()) {
      return name_of(change) + ": no benchmark has a score of both";
    }
    const auto worst = std::max_element(
        change.pairs.begin(), change.pairs.end(),
        [](const auto& a, const auto& b) { return a.loss_points() < b.loss_points(); });
    if (worst->loss_points() > max_loss_points) {
      return name_of(change) + " loses " + significant(worst->loss_points(), 3) + " points on " +
             worst->from->benchmark + ", more than " + shortest(max_loss_points);
    }
  }
  return {};
}

}  // namespace perwatt::plan
