// Systems side by side: the best deployments for a model and workload under an SLO, with power at
// every boundary and cost. Definitions: docs/model/frontier.md.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/facility/power_chain.hpp"
#include "perwatt/facility/tco.hpp"
#include "perwatt/inference/deployment.hpp"
#include "perwatt/inference/gpu_power.hpp"

namespace perwatt::inference {

/// What kind of deployment a frontier is drawn for.
struct FrontierGroup {
  std::string accelerator;
  std::string precision;
  std::string engine;       // empty: over all engines
  std::string spec_decode;  // empty: with and without
  std::optional<Serving> serving;

  auto operator<=>(const FrontierGroup&) const = default;
};

/// Power and cost of one GPU at an operating point, in a system.
struct SystemFigures {
  const catalog::System* system = nullptr;
  std::optional<GpuPower> gpu_power;             // nothing: unknown
  std::optional<facility::ItPower> it;           // per GPU, mean
  std::optional<facility::MeterPower> facility;  // per GPU, mean
  facility::MeterPower provisioned;              // per GPU, every board at its cap
  std::optional<UsdPerSecond> price;             // published, per GPU, all in
};

struct FrontierRow {
  FrontierGroup group;
  OperatingPoint best;  // highest rate among measured rows that meet the SLO
  SystemFigures figures;
  std::optional<OperatingPoint> at_slo;  // interpolated to the SLO's bound, where that is better
  std::vector<OperatingPoint> curve;     // non-dominated measured rows, by falling interactivity
};

struct FrontierQuery {
  std::string model;  // catalog id
  Workload workload;
  Slo slo;
  std::string price_table;  // catalog id
  facility::PriceBasis price_basis = facility::PriceBasis::tco_hyperscaler;
  std::vector<std::string> systems;  // catalog ids; empty: the first system of each accelerator
  bool by_engine = false;  // a row per engine, speculation and serving mode, not only per precision
};

struct Frontier {
  std::vector<FrontierRow> rows;  // by falling rate per GPU
  std::size_t deployments = 0;    // measured, of this model and workload
  std::size_t unknown_ttft = 0;   // rows left out because their TTFT is unknown
};

/// REQUIRES: ids in `query` are of `catalog`. `points`, `estimator` and `catalog` must outlive the
/// result.
[[nodiscard]] Frontier build_frontier(const FrontierQuery& query, const catalog::Catalog& catalog,
                                      std::span<const MeasuredPoint> points,
                                      const GpuPowerEstimator& estimator);

/// Best measured rate of one accelerator against another at one interactivity.
struct RatioPoint {
  TokensPerSecond interactivity;
  OperatingPoint numerator;
  OperatingPoint denominator;
  double per_gpu = 0;
};

/// Ratios at each of `interactivities` both sides reach. A side is "accelerator" or
/// "accelerator:precision".
[[nodiscard]] std::vector<RatioPoint> ratio_curve(const FrontierQuery& query,
                                                  std::string_view numerator,
                                                  std::string_view denominator,
                                                  std::span<const TokensPerSecond> interactivities,
                                                  std::span<const MeasuredPoint> points);

}  // namespace perwatt::inference
