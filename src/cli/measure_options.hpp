// The flags of perwatt measure and what they mean.
#pragma once

#include <string>
#include <vector>

#include "verbs.hpp"

#include "perwatt/measure/session.hpp"

namespace perwatt::cli {

struct MeasureOptions {
  DataOptions data;
  std::string url;
  std::string model;
  std::string endpoint_type = "chat";
  std::string label;
  // load
  std::string request_rate;
  std::string pattern = "poisson";
  double burstiness = 1.0;
  std::int64_t burst_size = 1;
  std::string rate_ramp;
  std::size_t concurrency = 0;
  std::string concurrency_ramp = "0s";
  std::size_t request_count = 0;
  std::string duration;
  std::string warmup;
  std::string drain = "60s";
  std::uint64_t seed = 1;
  // prompts
  std::int64_t isl = 512;
  double isl_stddev = 0.0;
  std::int64_t osl = 0;
  double osl_stddev = 0.0;
  std::string length_range = "1:1";
  int turns = 1;
  std::string turn_delay = "0s";
  std::string prompts_file;
  std::string trace_file;
  double trace_speed = 1.0;
  bool no_ignore_eos = false;
  std::string extra_body;
  std::vector<std::string> tenants;
  // connection
  std::string api_key_env;
  std::vector<std::string> headers;
  std::string ca_file;
  bool insecure = false;
  std::string timeout = "600s";
  // power
  std::vector<std::string> power;
  std::string power_period = "100ms";
  std::string idle = "0s";
  int gpus = 0;
  std::string sysfs_root = "/sys";
  std::string system;
  // verdicts and results
  std::string goodput;
  std::string most_client_lag = "5ms";
  bool chunk_times = false;
  std::string output_dir;
  int runs = 1;
  bool json = false;
  // experiments
  std::vector<std::string> compare;
  std::vector<std::string> power_a;
  std::vector<std::string> power_b;
  double smallest_effect = 0.0;
  std::optional<double> meter_gain;
  double quality_margin = 0.0;
  int most_pairs = 30;
  std::string scorer;
  std::string sweep;
  std::string find_load;
  double attainment = 0.99;
  std::string power_caps;
  bool allow_power_control = false;
  bool phase_split = false;
  // other tools' results, and the table of points
  std::vector<std::string> rescore;
  std::string append_points;
  std::string accelerator;
  std::string precision;
  std::string engine;
  std::string spec_decode = "none";
  int tensor_parallel = 0;
};

void add_measure_options(CLI::App& verb, MeasureOptions& options);
void add_experiment_options(CLI::App& verb, MeasureOptions& options);
void add_table_options(CLI::App& verb, MeasureOptions& options);

/// --goodput.
[[nodiscard]] measure::Slo slo_of(const MeasureOptions& options);

/// What --system names, kept where a session can point to it.
struct FacilityParts {
  std::optional<catalog::Catalog> catalog;
  std::optional<facility::PowerChain> chain;
  std::optional<facility::CoolingPlant> plant;
};

/// What the flags ask for. `facility` gets the system's power chain when --system names one; it
/// must outlive the session. Throws Error(usage) for flags that contradict each other.
[[nodiscard]] measure::MeasureSpec measure_spec(const MeasureOptions& options,
                                                FacilityParts& facility);

}  // namespace perwatt::cli
