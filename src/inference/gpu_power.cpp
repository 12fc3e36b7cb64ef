#include "perwatt/inference/gpu_power.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace perwatt::inference {

namespace {

// docs/model/gpu_power.md#distance. Chosen for coverage on held-out families, models and
// accelerators.
constexpr std::size_t kNeighbours = 10;
constexpr double kOtherAccelerator = 1.0;
constexpr double kOtherPrecision = 0.3;
constexpr double kOtherEngine = 0.3;
constexpr double kDistanceFloor = 0.05;
constexpr double kSpreadFloor = 0.10;             // of ln(power)
constexpr double kOtherAcceleratorSpread = 0.20;  // of ln(power), for relatives on other hardware
constexpr double kSigmasOf90Percent = 1.645;
constexpr double kAcceptedPerStep = 2.2;  // tokens per verified step with speculation
constexpr double kFlopsPerParameterAndToken = 2.0;
constexpr double kTokensPerOutputOfTasks = 1.5;  // tasks that give no input length

double bytes_per_weight(std::string_view precision) {
  if (precision == "bf16") {
    return 2.0;
  }
  return precision == "fp8" ? 1.0 : 0.56;  // 4 bit with block scales
}

/// "dynamo-sglang", "mori-sglang" and "sglang" are one engine behind different serving layers.
std::string_view engine_family(std::string_view engine) {
  for (const std::string_view layer : {"dynamo-", "mori-"}) {
    if (engine.starts_with(layer)) {
      engine.remove_prefix(layer.size());
    }
  }
  if (engine.ends_with("-disagg")) {
    engine.remove_suffix(std::string_view{"-disagg"}.size());
  }
  return engine;
}

int index_of(const std::vector<std::string>& names, std::string_view name) {
  const auto at = std::find(names.begin(), names.end(), name);
  return static_cast<int>(at - names.begin());  // names.size() when it is new
}

int index_or_add(std::vector<std::string>& names, std::string_view name) {
  const int index = index_of(names, name);
  if (index == static_cast<int>(names.size())) {
    names.emplace_back(name);
  }
  return index;
}

/// The features, or nothing where the catalog lacks a figure.
std::optional<PowerFeatures> features_of(const MeasuredPoint& row, TokensPerSecond output,
                                         std::optional<TokensPerSecond> total,
                                         TokensPerSecond interactivity,
                                         const catalog::Accelerator& accelerator,
                                         const catalog::Model& model) {
  const auto peak = accelerator.peak_flops(row.precision);
  if (!peak || !accelerator.memory_bytes_per_second || !model.active_parameters) {
    return std::nullopt;
  }
  const TokensPerSecond all = total.value_or(output * kTokensPerOutputOfTasks);
  const double steps_per_second =
      in_tokens_per_second(interactivity) / (row.spec_decode == "none" ? 1.0 : kAcceptedPerStep);
  const double active_bytes = *model.active_parameters * bytes_per_weight(row.precision);
  PowerFeatures features;
  features.log_compute_ratio = std::log(in_tokens_per_second(all) * kFlopsPerParameterAndToken *
                                        *model.active_parameters / *peak);
  features.log_batch_per_gpu = std::log(output / interactivity);
  features.log_weight_bandwidth_ratio = std::log(
      steps_per_second * active_bytes / row.layout.num_gpus / *accelerator.memory_bytes_per_second);
  return features;
}

/// The interactivity of a row; where it has none, by Little's law from its requests in flight.
std::optional<TokensPerSecond> interactivity_of(const MeasuredPoint& row) {
  if (row.interactivity) {
    return row.interactivity;
  }
  if (row.output_per_gpu && row.concurrency) {
    return *row.output_per_gpu * (static_cast<double>(row.layout.num_gpus) / *row.concurrency);
  }
  return std::nullopt;
}

std::optional<GpuPower> power_of_row(const MeasuredPoint& row) {
  if (!row.gpu_power) {
    return std::nullopt;
  }
  return GpuPower{*row.gpu_power, *row.gpu_power, *row.gpu_power,
                  row.power_is_derived ? Tag::derived : Tag::measured,
                  row.power_is_derived ? "J/token x tokens/s of the row" : "the row's own reading"};
}

}  // namespace

GpuPowerEstimator::GpuPowerEstimator(std::span<const MeasuredPoint> points,
                                     const catalog::Catalog& catalog)
    : catalog_{&catalog} {
  for (const auto& row : points) {
    const auto interactivity = interactivity_of(row);
    // ML.ENERGY v2 gives energy per request only; its watts are low against v3 (docs/limits.md).
    if (!row.gpu_power || !row.output_per_gpu || !interactivity || row.source == "mlenergy-v2") {
      continue;
    }
    const auto* accelerator = catalog.find_accelerator(row.accelerator);
    const auto* model = catalog.find_model(row.model);
    const auto features = features_of(row, *row.output_per_gpu, row.total_per_gpu, *interactivity,
                                      *accelerator, *model);
    if (features) {
      columns_.log_compute_ratio.push_back(features->log_compute_ratio);
      columns_.log_batch_per_gpu.push_back(features->log_batch_per_gpu);
      columns_.log_weight_bandwidth_ratio.push_back(features->log_weight_bandwidth_ratio);
      relatives_.push_back({std::log(*row.gpu_power / accelerator->tdp.value), &row, accelerator,
                            index_or_add(precisions_, row.precision),
                            index_or_add(engine_families_, engine_family(row.engine))});
    }
  }
}

std::optional<GpuPowerEstimator::Query> GpuPowerEstimator::query_of(
    const OperatingPoint& point) const {
  const auto& row = *point.point;
  const auto* accelerator = catalog_->find_accelerator(row.accelerator);
  const auto* model = catalog_->find_model(row.model);
  const auto features = features_of(row, point.output_per_gpu, point.total_per_gpu,
                                    point.interactivity, *accelerator, *model);
  if (!features) {
    return std::nullopt;
  }
  return Query{*features, accelerator, index_of(precisions_, row.precision),
               index_of(engine_families_, engine_family(row.engine))};
}

std::vector<GpuPowerEstimator::Neighbour> GpuPowerEstimator::nearest(const Query& query,
                                                                     const OperatingPoint& point,
                                                                     Excluded excluded) const {
  // All distances first, in a loop without branches; few of them get into the list.
  const std::size_t count = relatives_.size();
  std::vector<double> distances(count);
  const auto [x, y, z] = query.features;
  for (std::size_t i = 0; i < count; ++i) {
    const double dx = columns_.log_compute_ratio[i] - x;
    const double dy = columns_.log_batch_per_gpu[i] - y;
    const double dz = columns_.log_weight_bandwidth_ratio[i] - z;
    distances[i] = dx * dx + dy * dy + dz * dz;
  }
  std::vector<Neighbour> found;
  found.reserve(kNeighbours + 1);
  for (std::size_t i = 0; i < count; ++i) {
    if (found.size() == kNeighbours && distances[i] >= found.back().distance) {
      continue;
    }
    const auto& relative = relatives_[i];
    const double distance = distances[i] +
                            (relative.accelerator == query.accelerator ? 0.0 : kOtherAccelerator) +
                            (relative.precision == query.precision ? 0.0 : kOtherPrecision) +
                            (relative.engine_family == query.engine_family ? 0.0 : kOtherEngine);
    if (found.size() == kNeighbours && distance >= found.back().distance) {
      continue;
    }
    const bool is_itself = relative.point == point.point || relative.point == point.other;
    if (is_itself || (excluded != nullptr && excluded(*relative.point, *point.point))) {
      continue;
    }
    // Into the short sorted list; a tie keeps the earlier row first.
    const auto place = std::upper_bound(
        found.begin(), found.end(), distance,
        [](double value, const Neighbour& neighbour) { return value < neighbour.distance; });
    found.insert(place, {distance, &relative});
    if (found.size() > kNeighbours) {
      found.pop_back();
    }
  }
  return found;
}

std::optional<GpuPower> GpuPowerEstimator::estimate(const OperatingPoint& point,
                                                    Excluded excluded) const {
  const auto query = query_of(point);
  const auto neighbours = query ? nearest(*query, point, excluded) : std::vector<Neighbour>{};
  if (neighbours.empty()) {
    return std::nullopt;
  }
  double weight_sum = 0;
  double mean = 0;
  double foreign = 0;  // weight on other accelerators
  for (const auto& [distance, relative] : neighbours) {
    const double weight = 1.0 / (distance + kDistanceFloor);
    weight_sum += weight;
    mean += weight * relative->log_share_of_tdp;
    foreign += relative->accelerator == query->accelerator ? 0.0 : weight;
  }
  mean /= weight_sum;
  foreign /= weight_sum;
  double variance = 0;
  for (const auto& [distance, relative] : neighbours) {
    const double deviation = relative->log_share_of_tdp - mean;
    variance += deviation * deviation / (distance + kDistanceFloor) / weight_sum;
  }
  const double sigma = std::sqrt(variance + kSpreadFloor * kSpreadFloor +
                                 foreign * kOtherAcceleratorSpread * kOtherAcceleratorSpread);
  const Watts tdp = query->accelerator->tdp.value;
  const Watts floor = query->accelerator->idle ? query->accelerator->idle->value : Watts{};
  const auto bounded = [&](double log_share) {
    return std::clamp(tdp * std::exp(log_share), floor, tdp);
  };
  return GpuPower{bounded(mean), bounded(mean - kSigmasOf90Percent * sigma),
                  bounded(mean + kSigmasOf90Percent * sigma), Tag::modelled,
                  std::to_string(neighbours.size()) + " nearest measured relatives, " +
                      std::to_string(std::lround(100 * (1 - foreign))) + " % of the weight on " +
                      query->accelerator->id};
}

std::optional<GpuPower> GpuPowerEstimator::power_of(const OperatingPoint& point) const {
  auto own = power_of_row(*point.point);
  if (own && point.other == nullptr) {
    return own;
  }
  if (own) {
    if (const auto other = power_of_row(*point.other)) {
      const Watts mean = own->mean + (other->mean - own->mean) * point.share_of_other;
      return GpuPower{mean, std::min(own->mean, other->mean), std::max(own->mean, other->mean),
                      Tag::interpolated, "between the two rows' own readings"};
    }
  }
  return estimate(point, nullptr);
}

}  // namespace perwatt::inference
