// One endpoint, its power meters, and any number of runs against it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "perwatt/base/arrivals.hpp"
#include "perwatt/device/power_recorder.hpp"
#include "perwatt/facility/cooling_plant.hpp"
#include "perwatt/facility/power_chain.hpp"
#include "perwatt/measure/endpoint.hpp"
#include "perwatt/measure/energy_baseline.hpp"
#include "perwatt/measure/energy_scale.hpp"
#include "perwatt/measure/load_results.hpp"
#include "perwatt/measure/load_runner.hpp"
#include "perwatt/measure/measurement.hpp"
#include "perwatt/measure/workload.hpp"

namespace perwatt::measure {

/// Where requests come from.
struct WorkloadSpec {
  enum class Kind { synthetic, prompt_file, trace };

  Kind kind = Kind::synthetic;
  SyntheticSpec synthetic;
  std::filesystem::path file;
  std::optional<LengthLaw> output;  // of prompts without a length of their own
  double trace_speed_ratio = 1.0;
};

struct PowerSpec {
  std::vector<std::string> sources;  // as in --power
  device::SourceOptions options;
  Seconds period = seconds(0.1);
  Seconds idle;  // measured before the first run; zero: no baseline
  EnergyRules rules;
};

/// A system of the catalog whose GPUs are metered: wider boundaries are modelled from them.
struct FacilityModel {
  const facility::PowerChain* chain = nullptr;  // outlives the session
  const facility::CoolingPlant* plant = nullptr;
  std::optional<PlantOperation> operation;
};

struct MeasureSpec {
  Endpoint endpoint;
  net::ClientOptions client;
  RequestShape shape;  // scale is filled by the session
  WorkloadSpec workload;
  ArrivalPlan arrivals;
  std::optional<std::size_t> concurrency;
  Seconds concurrency_ramp;
  Seconds warmup;
  std::optional<Seconds> duration;
  std::optional<std::size_t> request_count;
  Seconds drain = seconds(60);
  bool keep_gaps = false;
  Slo slo;
  ClientBounds bounds;
  PowerSpec power;
  std::optional<FacilityModel> facility;
  std::string label;
  std::string scorer;  // command that scores answers with an expected text; empty: exact match
  std::uint64_t seed = 0;
};

/// What one run varies.
struct LoadLevel {
  std::optional<double> request_rate_per_second;  // else the spec's
  std::optional<std::size_t> concurrency;         // else the spec's
  std::optional<std::int64_t> input_tokens;       // of synthetic prompts; else the spec's
  std::optional<std::int64_t> output_tokens;
  std::optional<Watts> power_cap;  // set by the caller, noted in the result
};

struct RunResult {
  Measurement measurement;
  LoadRun load;
  std::vector<device::MeterTrace> traces;  // of the window and a little around it
  WallClock clock;                         // at the start of the run
};

/// Thread rule: one thread; `stop` may be set from a signal handler.
class Session {
 public:
  /// Opens the power sources, asks for the model, reads how the server counts words and measures
  /// the idle power. Throws Error (usage, bad_input, peer_failed) for what stands in the way; once
  /// `stop` is set it only comes back, and run() ends at once.
  Session(MeasureSpec spec, const std::atomic<bool>& stop);

  /// One run. What the server or a meter does during it is told by the measurement. Lengths and
  /// times repeat with the seed; texts differ from process to process, so that no prefix cache
  /// knows them.
  [[nodiscard]] RunResult run(const LoadLevel& level, const std::function<void(double)>& progress);

  [[nodiscard]] const MeasureSpec& spec() const { return spec_; }

  /// One for each boundary that is metered.
  [[nodiscard]] const std::vector<IdlePower>& idle() const { return idle_; }

 private:
  [[nodiscard]] std::vector<std::unique_ptr<device::PowerSource>> make_sources() const;
  void open_power(std::vector<std::unique_ptr<device::PowerSource>> sources);
  void measure_idle();
  [[nodiscard]] std::unique_ptr<Workload> make_workload(const LoadLevel& level) const;
  [[nodiscard]] LoadPlan make_plan(const LoadLevel& level, const Workload& workload);

  MeasureSpec spec_;
  const std::atomic<bool>& stop_;
  std::unique_ptr<device::PowerRecorder> recorder_;
  std::vector<IdlePower> idle_;
  std::vector<std::string> idle_notes_;
  std::uint64_t prompt_nonce_ = static_cast<std::uint64_t>(Instant::now().nanoseconds());
  std::uint64_t runs_ = 0;
};

/// The load in words: "poisson 10 req/s, cap 64".
[[nodiscard]] std::string load_text(const MeasureSpec& spec, const LoadLevel& level);

/// Fills energy, power_valid and its reasons of a measurement whose load side stands.
void add_energy_results(const LoadRun& run, std::span<const device::MeterTrace> traces,
                        std::span<const IdlePower> idle, const EnergyRules& rules,
                        const std::optional<FacilityModel>& facility, Measurement& measurement);

/// Fills the use of each tenant: tokens of the window, and its share of the first boundary's
/// energy.
void add_tenants(const LoadRun& run, Measurement& measurement);

/// Fills quality_score and joules_per_answer from answers whose expected text is known.
void add_quality(const LoadRun& run, const std::string& scorer, Measurement& measurement);

}  // namespace perwatt::measure
