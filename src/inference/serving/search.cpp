#include "perwatt/inference/serving/search.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

namespace perwatt::inference::serving {

namespace {

constexpr double kLoadStep = 1.26;  // three loads to an octave
constexpr double kMostLoadOfMemory = 1.5;
constexpr double kMostLoad = 16384;
constexpr int kMostDecodeInstances = 6;  // of one copy: larger pools are copies of small ones

constexpr std::array<double, 7> kClockSteps{1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4};

bool is_within_limits(const SearchQuery& query, Seconds tpot, Seconds ttft) {
  return (!query.max_tpot || tpot <= *query.max_tpot) &&
         (!query.max_ttft || ttft <= *query.max_ttft);
}

bool is_unlimited(const PowerSetting& power) {
  return !power.gpu_cap && !power.clock_ratio;
}

/// Corrections of one deployment by load, so that relatives are asked at octaves only.
class ShiftByLoad {
 public:
  ShiftByLoad(const Calibration& calibration, Metric metric, Traits traits) {
    for (std::size_t i = 0; i < kOctaves; ++i) {
      traits.log2_concurrency = static_cast<double>(i);
      shifts_[i] = calibration.shift(metric, traits);
    }
  }

  [[nodiscard]] double at(double log2_load) const {
    const double bounded = std::clamp(log2_load, 0.0, static_cast<double>(kOctaves - 1));
    const auto low = std::min(static_cast<std::size_t>(bounded), kOctaves - 2);
    const double share = bounded - static_cast<double>(low);
    return shifts_[low] + share * (shifts_[low + 1] - shifts_[low]);
  }

 private:
  static constexpr std::size_t kOctaves = 16;
  std::array<double, kOctaves> shifts_{};
};

struct Corrections {
  Corrections(const Calibration& calibration, const Traits& traits)
      : throughput{calibration, Metric::throughput, traits},
        tpot{calibration, Metric::tpot, traits},
        ttft{calibration, Metric::ttft, traits},
        power{calibration, Metric::power, traits} {}

  ShiftByLoad throughput;
  ShiftByLoad tpot;
  ShiftByLoad ttft;
  ShiftByLoad power;
};

/// Ways to split the model over GPUs that it can run on.
std::vector<Instance> instances_of(const SearchQuery& query, SearchResult& result) {
  const ModelShape& model = *query.setup.model;
  std::vector<Instance> candidates;
  for (int gpus = 1; gpus <= query.max_gpus; gpus *= 2) {
    candidates.push_back({gpus, 1, 1});
    if (model.has_experts() && gpus > 1) {
      candidates.push_back({gpus, 1, gpus});
      candidates.push_back({gpus, gpus, gpus});
    }
    const int domain = query.setup.hardware.scale_up_gpus;
    if (gpus > domain && gpus % domain == 0) {
      candidates.push_back({gpus, 1, 1, gpus / domain});
      if (model.has_experts()) {
        candidates.push_back({gpus, 1, domain, gpus / domain});
      }
    }
  }
  std::vector<Instance> possible;
  for (const auto& instance : candidates) {
    const auto problem = layout_problem(instance, model, query.setup.hardware);
    if (problem.empty()) {
      possible.push_back(instance);
    } else {
      ++result.refused[problem];
    }
  }
  return possible;
}

ServingLayout aggregated(const Instance& instance) {
  ServingLayout layout;
  layout.num_gpus = instance.gpus;
  layout.decode = {instance, 1, instance.gpus};
  layout.prefill = layout.decode;
  return layout;
}

ServingLayout pools(const Instance& prefill, int prefills, const Instance& decode, int decodes) {
  ServingLayout layout;
  layout.mode = Serving::disaggregated;
  layout.prefill = {prefill, prefills, prefills * prefill.gpus};
  layout.decode = {decode, decodes, decodes * decode.gpus};
  layout.num_gpus = layout.prefill.gpus + layout.decode.gpus;
  return layout;
}

/// Tries layouts and keeps what is worth keeping.
class Searcher {
 public:
  Searcher(const SearchQuery& query, const Calibration& calibration, std::string precision,
           SearchResult& result)
      : query_{query},
        calibration_{calibration},
        precision_{std::move(precision)},
        coefficients_{calibration.coefficients.of(query.setup.hardware.accelerator,
                                                  query.setup.hardware.vendor)},
        result_{result} {}

  void try_aggregated(const Instance& instance) {
    Setup setup = query_.setup;
    setup.layout = aggregated(instance);
    const ServingWork work = count_work(setup);
    const ServingModel model{setup, work, coefficients_};
    if (!fits(model)) {
      return;
    }
    ++result_.layouts;
    const int most = most_load(model);
    for (int load = 1; load <= most; load = next(load)) {
      take(setup, model, load);
    }
  }

  /// Pools whose sizes match at some load: the prefill pool one instance short of what the decode
  /// pool takes, or just enough.
  void try_pools(const Instance& prefill, const Instance& decode) {
    Setup setup = query_.setup;
    setup.layout = pools(prefill, 1, decode, 1);
    if (setup.layout.num_gpus > query_.max_gpus) {
      return;
    }
    ServingWork work = count_work(setup);  // of all sizes of the pools, but for the transfer
    const ServingModel one{setup, work, coefficients_};
    if (!fits(one)) {
      return;
    }
    const auto& prompt = one.steps().prefill();
    const int most = most_load(one);
    for (int load = 1; load <= most; load = next(load)) {
      // What one decode instance asks of the prefill pool.
      const double asked =
          one.at_batch(std::min<double>(load, one.most_sequences())).requests_per_second *
          prompt.seconds();
      for (int decodes = 1; decodes <= kMostDecodeInstances; ++decodes) {
        const int enough = static_cast<int>(std::ceil(decodes * asked));
        for (const int prefills : {enough - 1, enough}) {
          if (prefills < 1 || std::gcd(prefills, decodes) > 1) {
            continue;
          }
          setup.layout = pools(prefill, prefills, decode, decodes);
          if (setup.layout.num_gpus > query_.max_gpus) {
            continue;
          }
          ++result_.layouts;
          work.kv_transfer_seconds = kv_transfer_seconds(setup, work.kv_transfer_bytes);
          const ServingModel model{setup, work, coefficients_};
          take(setup, model, load * decodes);
        }
      }
    }
  }

  /// What no other one beats in TPOT and rate, with its power.
  void finish() {
    std::sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
      return a.tpot != b.tpot ? a.tpot < b.tpot : a.output_per_gpu > b.output_per_gpu;
    });
    TokensPerSecond best;
    for (const auto& one : found_) {
      if (one.output_per_gpu > best) {
        best = one.output_per_gpu;
        result_.frontier.push_back(one);
      }
    }
    for (auto& one : result_.frontier) {
      set_power(one);
    }
    for (auto* best_of : {&result_.best_aggregated, &result_.best_disaggregated}) {
      if (*best_of) {
        set_power(**best_of);
      }
    }
  }

 private:
  static int next(int load) {
    return std::max(load + 1, static_cast<int>(std::lround(load * kLoadStep)));
  }

  static int most_load(const ServingModel& model) {
    return static_cast<int>(std::min(kMostLoad, kMostLoadOfMemory * model.most_sequences()));
  }

  bool fits(const ServingModel& model) {
    if (!model.fits()) {
      ++result_.refused["weights and one sequence do not fit the memory"];
      return false;
    }
    return true;
  }

  /// Of deployments that relatives cannot tell apart but by load.
  const Corrections& corrections_of(const Setup& setup) {
    const auto key = std::pair{setup.layout.mode, setup.layout.decode.instance.gpus};
    auto found = corrections_.find(key);
    if (found == corrections_.end()) {
      found = corrections_.emplace(key, Corrections{calibration_, traits_of(setup, precision_, 1)})
                  .first;
    }
    return found->second;
  }

  /// Of a deployment under `load` by what relatives say.
  Correction correction_of(const Corrections& corrections, double log2_load) const {
    return {std::exp(-corrections.throughput.at(log2_load)),
            std::exp(-corrections.power.at(log2_load))};
  }

  void take(const Setup& setup, const ServingModel& model, double load) {
    const Corrections& corrections = corrections_of(setup);
    ++result_.points;
    const double log2_load = std::log2(load / setup.layout.decode.instances);
    const Correction correction = correction_of(corrections, log2_load);
    Found one;
    one.layout = setup.layout;
    one.copies = query_.max_gpus / setup.layout.num_gpus;
    one.concurrency = load;
    if (is_unlimited(query_.power)) {
      one.physical = model.closed_loop(load);
    } else {
      const OperatedDeployment deployment{setup, model.work(), coefficients_};
      const auto operation = deployment.at(ClosedLoop{load}, query_.power, correction);
      if (!operation.is_cap_kept) {
        ++result_.refused["no clock keeps the cap"];
        return;
      }
      one.physical = operation.prediction;
      one.clocks = operation.clocks;
    }
    one.tpot = one.physical.tpot * std::exp(-corrections.tpot.at(log2_load));
    one.ttft = one.physical.ttft * std::exp(-corrections.ttft.at(log2_load));
    one.output_per_gpu =
        one.physical.output_per_gpu * correction.rate * one.gpus() / query_.max_gpus;
    auto& best = setup.layout.mode == Serving::disaggregated ? result_.best_disaggregated
                                                             : result_.best_aggregated;
    if (is_within_limits(query_, one.tpot, one.ttft) &&
        (!best || one.output_per_gpu > best->output_per_gpu)) {
      best = one;
    }
    found_.push_back(one);
  }

  void set_power(Found& one) {
    Setup setup = query_.setup;
    setup.layout = one.layout;
    const ServingWork work = count_work(setup);
    const OperatedDeployment deployment{setup, work, coefficients_};
    const double log2_load = std::log2(one.concurrency / setup.layout.decode.instances);
    const auto correction = correction_of(corrections_of(setup), log2_load);
    const auto operation = deployment.at(ClosedLoop{one.concurrency}, query_.power, correction);
    one.gpu_power = std::min(operation.gpu_power, setup.hardware.tdp);
  }

  const SearchQuery& query_;
  const Calibration& calibration_;
  std::string precision_;
  CoefficientsOfOne coefficients_;
  SearchResult& result_;
  std::map<std::pair<Serving, int>, Corrections> corrections_;
  std::vector<Found> found_;
};

/// A found deployment, to be run otherwise.
class FoundDeployment {
 public:
  FoundDeployment(const SearchQuery& query, const Found& found, const Calibration& calibration)
      : found_{found},
        setup_{with_layout(query.setup, found.layout)},
        work_{count_work(setup_)},
        coefficients_{
            calibration.coefficients.of(setup_.hardware.accelerator, setup_.hardware.vendor)},
        deployment_{setup_, work_, coefficients_} {
    // Corrections are of the point found: relatives were measured at full clocks.
    const TokensPerSecond in_use = found.output_per_gpu * (1.0 * query.max_gpus / found.gpus());
    correction_.rate = in_use / found.physical.output_per_gpu;
    correction_.power =
        found.gpu_power /
        deployment_.at(ClosedLoop{found.concurrency}, query.power, correction_).gpu_power;
  }

  FoundDeployment(const FoundDeployment&) = delete;
  FoundDeployment& operator=(const FoundDeployment&) = delete;

  /// Nothing where no clock keeps the cap and `needs_cap`.
  [[nodiscard]] std::optional<OperatedPoint> at(double load, const PowerSetting& setting,
                                                bool needs_cap) const {
    const auto operation = deployment_.at(ClosedLoop{load}, setting, correction_);
    if (needs_cap && !operation.is_cap_kept) {
      return std::nullopt;
    }
    const auto& prediction = operation.prediction;
    return OperatedPoint{setting,
                         load,
                         prediction.output_per_gpu * correction_.rate,
                         prediction.tpot * (found_.tpot / found_.physical.tpot),
                         prediction.ttft * (found_.ttft / found_.physical.ttft),
                         operation.gpu_power};
  }

 private:
  static Setup with_layout(Setup setup, const ServingLayout& layout) {
    setup.layout = layout;
    return setup;
  }

  const Found& found_;
  Setup setup_;
  ServingWork work_;
  CoefficientsOfOne coefficients_;
  OperatedDeployment deployment_;
  Correction correction_;
};

}  // namespace

std::vector<ClockPoint> power_curve(const SearchQuery& query, const Found& found,
                                    const Calibration& calibration) {
  const FoundDeployment deployment{query, found, calibration};
  std::vector<ClockPoint> curve;
  curve.reserve(kClockSteps.size());
  for (const double clock : kClockSteps) {
    if (query.power.clock_ratio && clock > *query.power.clock_ratio) {
      continue;
    }
    const auto point = deployment.at(found.concurrency, {query.power.gpu_cap, clock}, false);
    curve.push_back({clock, point->output_per_gpu, point->tpot, point->ttft, point->gpu_power});
  }
  return curve;
}

std::vector<OperatedPoint> at_settings(const SearchQuery& query, const Found& found,
                                       const Calibration& calibration,
                                       std::span<const PowerSetting> settings) {
  const FoundDeployment deployment{query, found, calibration};
  std::vector<OperatedPoint> points;
  for (const auto& setting : settings) {
    const auto within = [&](double load) -> std::optional<OperatedPoint> {
      auto point = deployment.at(load, setting, true);
      return point && is_within_limits(query, point->tpot, point->ttft) ? point : std::nullopt;
    };
    double above = found.concurrency;
    auto best = within(above);
    for (double load = std::floor(above / kLoadStep); !best && load >= 1;
         load = std::floor(load / kLoadStep)) {
      best = within(load);
      above = best ? above : load;
    }
    while (best && above - best->concurrency > 1) {
      const double middle = std::floor((above + best->concurrency) / 2);
      if (auto point = within(middle)) {
        best = std::move(point);
      } else {
        above = middle;
      }
    }
    if (best) {
      points.push_back(*best);
    }
  }
  return points;
}

SearchResult search(const SearchQuery& query, const Calibration& calibration) {
  SearchResult result;
  Searcher searcher{query, calibration,
                    std::string{query.setup.format.precision(query.setup.model->has_experts())},
                    result};
  const auto instances = instances_of(query, result);
  if (query.tries_aggregated) {
    for (const auto& instance : instances) {
      searcher.try_aggregated(instance);
    }
  }
  if (query.tries_disaggregated) {
    for (const auto& prefill : instances) {
      for (const auto& decode : instances) {
        searcher.try_pools(prefill, decode);
      }
    }
  }
  searcher.finish();
  return result;
}

}  // namespace perwatt::inference::serving
