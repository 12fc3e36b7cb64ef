// Quality beside the gain: a cheaper precision or another model counts only with scores of both
// sides on the same benchmarks. Rule and sources: docs/model/attribution.md#quality.
#pragma once

#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "perwatt/catalog/catalog.hpp"
#include "perwatt/catalog/quality.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

/// What answers a service: a model in one precision of its weights.
struct Answerer {
  std::size_t service = 0;  // index into Site::services
  std::string model;        // catalog id
  std::string precision;

  auto operator<=>(const Answerer&) const = default;
};

/// An answerer that the baseline does not have, beside one that it has.
struct QualityChange {
  std::vector<std::string> services;  // ids, in the order of the site
  std::string from_model;
  std::string from_precision;
  std::string to_model;
  std::string to_precision;
  std::vector<catalog::ScorePair> pairs;  // into the catalog; empty: nobody measured both

  [[nodiscard]] bool is_other_model() const { return from_model != to_model; }
};

/// Every answerer of `after` that `before` lacks for the same service, against each that `before`
/// has there; where it has none, against the service's model as released. Changes that several
/// services share are one.
[[nodiscard]] std::vector<QualityChange> quality_changes(const Site& site,
                                                         const catalog::Catalog& catalog,
                                                         const std::set<Answerer>& before,
                                                         const std::set<Answerer>& after);

/// Why the gain of these changes does not count: one without a score on both sides, or one that
/// loses more than `max_loss_points` on any benchmark. Empty: it counts.
[[nodiscard]] std::string not_counted_because(std::span<const QualityChange> changes,
                                              double max_loss_points);

}  // namespace perwatt::plan
