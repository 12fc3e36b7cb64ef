#include "perwatt/inference/serving/open_load.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

namespace perwatt::inference::serving {

namespace {

constexpr std::array<double, 10> kLoadRatios{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95};
constexpr int kRequests = 20000;  // a simulation
constexpr int kHalvings = 7;      // of the last share of the capacity, in the search for the most

/// One copy, its clocks those of the found point, its times as relatives correct them.
class OpenCopy {
 public:
  OpenCopy(const SearchQuery& query, const Found& found, const Calibration& calibration)
      : query_{query},
        found_{found},
        setup_{with_layout(query.setup, found.layout)},
        work_{count_work(setup_)},
        coefficients_{
            calibration.coefficients.of(setup_.hardware.accelerator, setup_.hardware.vendor)},
        slow_{found.tpot / found.physical.tpot} {
    setup_.clocks = found.clocks;
    model_.emplace(setup_, work_, coefficients_);
    const auto traits = traits_of(setup_, setup_.format.precision(setup_.model->has_experts()),
                                  setup_.layout.decode.instances);
    const auto& prefill = model_->steps().prefill();
    const double prompt = prefill.seconds() + prefill.pipeline_fill + work_.kv_transfer_seconds;
    const Seconds alone = model_->closed_loop(setup_.layout.decode.instances).ttft *
                          std::exp(-calibration.shift(Metric::ttft, traits));
    outside_engine_ = std::max(Seconds{}, alone - seconds(slow_ * prompt));
    capacity_ = sustained_requests_per_second(setup_, *model_) * found_.copies / slow_;
  }

  OpenCopy(const OpenCopy&) = delete;
  OpenCopy& operator=(const OpenCopy&) = delete;

  /// Requests/s of all copies.
  [[nodiscard]] double capacity() const { return capacity_; }

  [[nodiscard]] Seconds outside_engine() const { return outside_engine_; }

  [[nodiscard]] OpenLoadPoint at_rate(double requests_per_second, const OpenLoad& load) const {
    Traffic traffic;
    traffic.arrivals.pattern = load.pattern;
    traffic.arrivals.burstiness = load.burstiness;
    traffic.arrivals.burst_size = load.burst_size;
    // In the model's own time, which relatives stretch.
    traffic.arrivals.rate_per_second = requests_per_second / found_.copies * slow_;
    traffic.arrivals.count = kRequests;
    traffic.arrivals.seed = load.seed;
    traffic.input = load.lengths;
    traffic.output = load.lengths;
    const auto result = simulate_requests(setup_, *model_, traffic);
    const auto corrected = [&](const Quantiles& values, Seconds more) {
      return Quantiles{values.p50 * slow_ + more, values.p90 * slow_ + more,
                       values.p99 * slow_ + more};
    };
    OpenLoadPoint point;
    point.requests_per_second = requests_per_second;
    point.load_ratio = requests_per_second / capacity_;
    point.output_per_gpu =
        tokens_per_second(requests_per_second * setup_.output_tokens / query_.max_gpus);
    point.ttft = corrected(result.ttft, outside_engine_);
    point.tpot = corrected(result.tpot, Seconds{});
    point.request = corrected(result.request, outside_engine_);
    return point;
  }

 private:
  static Setup with_layout(Setup setup, const ServingLayout& layout) {
    setup.layout = layout;
    return setup;
  }

  const SearchQuery& query_;
  const Found& found_;
  Setup setup_;
  ServingWork work_;
  CoefficientsOfOne coefficients_;
  double slow_;
  std::optional<ServingModel> model_;
  Seconds outside_engine_;
  double capacity_ = 0;
};

}  // namespace

Seconds at(const Quantiles& quantiles, Percentile percentile) {
  switch (percentile) {
    case Percentile::p50:
      return quantiles.p50;
    case Percentile::p90:
      return quantiles.p90;
    case Percentile::p99:
      break;
  }
  return quantiles.p99;
}

OpenLoadAnswer under_open_load(const SearchQuery& query, const Found& found,
                               const Calibration& calibration, const OpenLoad& load) {
  const OpenCopy copy{query, found, calibration};
  OpenLoadAnswer answer;
  answer.capacity_requests_per_second = copy.capacity();
  answer.outside_engine = copy.outside_engine();
  const auto is_within = [&](const OpenLoadPoint& point) {
    return (!query.max_ttft || at(point.ttft, load.limited) <= *query.max_ttft) &&
           (!query.max_tpot || at(point.tpot, load.limited) <= *query.max_tpot);
  };
  const auto at_share = [&](double share) {
    return copy.at_rate(share * answer.capacity_requests_per_second, load);
  };
  double low = 0;
  double high = 1;
  for (const double share : kLoadRatios) {
    answer.points.push_back(at_share(share));
    if (high < 1) {
      continue;
    }
    if (is_within(answer.points.back())) {
      answer.most = answer.points.back();
      low = share;
    } else {
      high = share;
    }
  }
  for (int i = 0; i < kHalvings; ++i) {
    const auto point = at_share((low + high) / 2);
    if (is_within(point)) {
      answer.most = point;
      low = point.load_ratio;
    } else {
      high = point.load_ratio;
    }
  }
  const auto& rate = load.requests_per_second;
  if (rate && *rate < answer.capacity_requests_per_second) {
    answer.asked = copy.at_rate(*rate, load);
  }
  return answer;
}

}  // namespace perwatt::inference::serving
