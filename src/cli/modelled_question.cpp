#include "modelled_question.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "serving_data.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/inference/model_config.hpp"
#include "perwatt/inference/serving/calibration_file.hpp"

namespace perwatt::cli {

namespace {

namespace serving = inference::serving;

constexpr double kLeastBurstiness = 0.01;
constexpr double kMostBurstiness = 1e6;
constexpr double kLeastRequestRate = 1e-5;  // per second; times of a simulation keep their digits

inference::ModelShape shape_of(const ModelledFrontierOptions& options,
                               const catalog::Catalog& catalog) {
  std::error_code ignored;
  if (std::filesystem::exists(options.model, ignored)) {
    return inference::load_model_shape(options.model);
  }
  return inference::load_built_in_shape(data_dir() / "models",
                                        catalog.model(options.model, "--model").id);
}

double kv_element_bytes(const ModelledFrontierOptions& options, const std::string& precision) {
  if (options.kv_cache.empty()) {
    return precision == "bf16" ? 2 : 1;
  }
  return options.kv_cache == "bf16" ? 2 : 1;
}

serving::PowerSetting power_setting(const ModelledFrontierOptions& options,
                                    const catalog::Accelerator& accelerator) {
  serving::PowerSetting setting;
  if (options.clock_ratio < 1) {
    setting.clock_ratio = options.clock_ratio;
  }
  if (options.gpu_cap.empty()) {
    return setting;
  }
  const Watts cap = parse_flag([&] { return parse_watts(options.gpu_cap, "--gpu-cap"); });
  const auto* least = accelerator.find("power_min_watts");
  if (cap > accelerator.tdp.value || (least != nullptr && cap < watts(least->value))) {
    throw Error{ErrorCode::usage,
                "'" + printable(options.gpu_cap) + "' is not a limit that a board of '" +
                    accelerator.id + "' takes",
                "--gpu-cap",
                "give " + (least != nullptr ? shortest(least->value) + " to " : "at most ") +
                    shortest(in_watts(accelerator.tdp.value)) + " W"};
  }
  setting.gpu_cap = cap;
  return setting;
}

serving::LengthLaw lengths_of(const std::string& text) {
  using Kind = serving::LengthLaw::Kind;
  if (text.empty() || text == "uniform") {
    return serving::kBenchmarkLengths;
  }
  if (text == "fixed") {
    return {};
  }
  constexpr std::string_view kLognormal = "lognormal:";
  constexpr double kMostSpread = 10;
  if (text.rfind(kLognormal, 0) == 0) {
    const auto spread = parse_number(std::string_view{text}.substr(kLognormal.size()));
    if (spread && *spread > 0 && *spread <= kMostSpread) {
      return {Kind::lognormal, *spread};
    }
  }
  throw Error{ErrorCode::usage, "'" + printable(text) + "' is no law of lengths", "--lengths",
              "write fixed, uniform or lognormal:CV with a CV above 0 and at most 10"};
}

std::optional<serving::OpenLoad> open_load_of(const ModelledFrontierOptions& options) {
  const auto unused = [&](bool is_given, const char* flag, const char* pattern) {
    if (is_given) {
      throw Error{ErrorCode::usage, "it needs an arrival pattern", flag,
                  std::string{"add --arrival-pattern "} + pattern};
    }
  };
  const std::string& pattern = options.arrival_pattern;
  unused(pattern.empty() && !options.request_rate.empty(), "--request-rate", "poisson");
  unused(pattern.empty() && !options.lengths.empty(), "--lengths", "poisson");
  unused(pattern.empty() && !options.percentile.empty(), "--percentile", "poisson");
  unused(pattern != "gamma" && options.burstiness != 1, "--burstiness", "gamma");
  unused(pattern != "burst" && options.burst_size != 1, "--burst-size", "burst");
  if (pattern.empty()) {
    return std::nullopt;
  }
  serving::OpenLoad load;
  load.pattern = pattern == "constant" ? ArrivalPattern::constant
                 : pattern == "gamma"  ? ArrivalPattern::gamma
                 : pattern == "burst"  ? ArrivalPattern::bursts
                                       : ArrivalPattern::poisson;
  if (std::isnan(options.burstiness)) {  // which no range of CLI11 refuses
    throw Error{ErrorCode::usage, "'nan' is no shape", "--burstiness", "give a number, as 0.5"};
  }
  load.burstiness = options.burstiness;
  load.burst_size = options.burst_size;
  load.lengths = lengths_of(options.lengths);
  load.limited = options.percentile == "p50"   ? serving::Percentile::p50
                 : options.percentile == "p90" ? serving::Percentile::p90
                                               : serving::Percentile::p99;
  if (!options.request_rate.empty()) {
    load.requests_per_second =
        parse_flag([&] { return parse_request_rate(options.request_rate, "--request-rate"); });
    if (*load.requests_per_second < kLeastRequestRate) {
      throw Error{ErrorCode::usage, "'" + printable(options.request_rate) + "' is too seldom",
                  "--request-rate", "give 0.00001 requests per second or more"};
    }
  }
  return load;
}

/// Corrects the calibration by the rows of --anchor files that are of the question's deployment.
void anchor(const ModelledFrontierOptions& options, ModelledQuestion& question) {
  const auto table = read_measured_files(options.anchors, question.catalog);
  if (!table.rejected.empty()) {
    throw_bad_input(table.rejected.front().reason, table.rejected.front().where,
                    "mend the row or leave it out");
  }
  serving::ShapeLibrary shapes{data_dir() / "models"};
  const auto read = cases_of(table.points, question.catalog, shapes);
  const auto asked = serving::traits_of(question.query.setup, question.precision, 1);
  std::vector<const serving::MeasuredCase*> rows;
  for (const auto* row : read.pointers()) {
    const auto& traits = row->traits;
    if (traits.accelerator == asked.accelerator && traits.architecture == asked.architecture &&
        traits.precision == asked.precision && traits.engine == asked.engine &&
        traits.spec_decode == asked.spec_decode) {
      rows.push_back(row);
    }
  }
  if (rows.empty()) {
    const auto why = read.unpredicted.empty() ? std::string{}
                                              : "; " + read.unpredicted.front().point->read_at +
                                                    ": " + read.unpredicted.front().reason;
    throw_bad_input("no row is of " + question.shape.name + " in " + asked.precision + " on " +
                        asked.accelerator + " with " + asked.engine + " and spec_decode " +
                        asked.spec_decode + why,
                    options.anchors.front(),
                    "anchor with rows of the deployment that is asked about, or ask about theirs");
  }
  question.anchors = rows.size();
  question.calibration = serving::anchored_to(std::move(question.calibration), rows);
}

}  // namespace

void add_modelled_frontier_options(CLI::App& verb, ModelledFrontierOptions& o) {
  auto* group = verb.add_option_group(
      "The serving model instead of measured rows (with --accelerator; --model may be the path of "
      "a config.json)");
  auto* accelerator =
      group->add_option("--accelerator", o.accelerator, "Accelerator of the catalog");
  group->add_option("--gpus", o.gpus, "GPUs to fill with copies of the best deployment: 8")
      ->check(CLI::Range(1, 4096));
  group->add_option("--max-tpot", o.max_tpot, "Largest time per output token: 20ms");
  group
      ->add_option("--serving", o.serving,
                   "Prefill and decode on the same GPUs, apart, or the better")
      ->check(CLI::IsMember({"best", "aggregated", "disaggregated"}));
  group
      ->add_option("--precision", o.precision,
                   "Of the weights: bf16, fp8, fp4, mxfp4; as the model is released by default")
      ->check(CLI::IsMember({"bf16", "fp8", "fp4", "mxfp4"}));
  group->add_option("--engine", o.engine, "trtllm, sglang, vllm or atom")
      ->check(CLI::IsMember({"trtllm", "sglang", "vllm", "atom"}));
  group->add_flag("--mtp", o.mtp, "Multi-token prediction, or another draft of a few tokens");
  group
      ->add_option("--kv-cache", o.kv_cache,
                   "Of the cache: bf16 or fp8; fp8 with quantised weights")
      ->check(CLI::IsMember({"bf16", "fp8"}));
  group->add_option("--cached-input", o.cached_input, "Share of the input found in a prefix cache")
      ->check(CLI::Range(0.0, 0.99));
  group->add_option("--software-date", o.software_date,
                    "Date the software stands for, YYYY-MM-DD; 2026-07-01 by default");
  group
      ->add_option("--gpu-cap", o.gpu_cap,
                   "Power limit of every board: 600W; the board's own by default")
      ->type_name("POWER");
  group
      ->add_option("--clock-ratio", o.clock_ratio,
                   "Locked core clock over the highest; only where the board's limit allows it")
      ->check(CLI::Range(serving::kLowestClockRatio, 1.0));
  group->add_option("--calibration", o.calibration, "Folder that 'perwatt calibrate' wrote")
      ->type_name("DIR");
  group
      ->add_option("--anchor", o.anchors,
                   "CSV of measured points of this deployment, one or more: they correct level and "
                   "slope over load; may be repeated")
      ->type_name("FILE.csv")
      ->allow_extra_args(false);
  group
      ->add_option("--arrival-pattern", o.arrival_pattern,
                   "Latencies of the best one when requests arrive by themselves at each copy")
      ->check(CLI::IsMember({"poisson", "constant", "gamma", "burst"}));
  group
      ->add_option("--burstiness", o.burstiness,
                   "Shape of gamma arrivals: 1 is Poisson, less is burstier")
      ->check(CLI::Range(kLeastBurstiness, kMostBurstiness));
  group->add_option("--burst-size", o.burst_size, "Requests of a burst")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{10000}));
  group->add_option("--request-rate", o.request_rate,
                    "Arrivals over all GPUs to show beside the shares of the capacity: 12req/s");
  group->add_option("--lengths", o.lengths,
                    "Of inputs and outputs: fixed, uniform (0.8 to 1.0 of --isl and --osl, the "
                    "default) or lognormal:CV");
  group
      ->add_option("--percentile", o.percentile,
                   "That the limits hold for under --arrival-pattern: p99 by default")
      ->check(CLI::IsMember({"p50", "p90", "p99"}));
  group->add_flag("--explain", o.explain, "Where the time and the memory of the best one go");
  for (auto* option : group->get_options()) {
    if (option != accelerator) {
      option->needs(accelerator);
    }
  }
}

void set_question(const ModelledFrontierOptions& options, const DataOptions& data,
                  ModelledQuestion& question) {
  if (!options.software_date.empty() &&
      (!is_iso_date(options.software_date) || options.software_date.size() != 10)) {
    throw Error{ErrorCode::usage, "'" + printable(options.software_date) + "' is no date",
                "--software-date", "write YYYY-MM-DD"};
  }
  if (options.isl_tokens <= 0 || options.osl_tokens <= 0) {
    throw Error{ErrorCode::usage, "the workload is not given", "frontier",
                "add --isl and --osl (tokens)"};
  }
  question.catalog = load_catalog(data);
  question.accelerator = &question.catalog.accelerator(options.accelerator, "--accelerator");
  question.shape = shape_of(options, question.catalog);
  question.precision =
      options.precision.empty()
          ? std::string{question.shape.checkpoint.precision(question.shape.has_experts())}
          : options.precision;
  question.software_date =
      options.software_date.empty() ? std::string{serving::kSoftwareEpoch} : options.software_date;
  question.calibration = serving::load_calibration(
      options.calibration.empty() ? calibration_folder()
                                  : std::filesystem::path{options.calibration});
  auto& setup = question.query.setup;
  setup.hardware = serving::hardware_of(*question.accelerator);
  setup.model = &question.shape;
  setup.format = question.shape.format(question.precision);
  setup.kv_element_bytes = kv_element_bytes(options, question.precision);
  setup.engine = serving::engine_of(options.engine, question.software_date);
  setup.has_mtp = options.mtp;
  setup.input_tokens = serving::kMeanOfNominal * options.isl_tokens;
  setup.output_tokens = std::max(1.0, serving::kMeanOfNominal * options.osl_tokens);
  setup.cached_input_ratio = options.cached_input;
  setup.software_age_quarters = serving::software_age_quarters(question.software_date);
  question.query.max_gpus = options.gpus;
  if (!options.max_ttft.empty()) {
    question.query.max_ttft =
        parse_flag([&] { return parse_seconds(options.max_ttft, "--max-ttft"); });
  }
  if (!options.max_tpot.empty()) {
    question.query.max_tpot =
        parse_flag([&] { return parse_seconds(options.max_tpot, "--max-tpot"); });
  }
  question.query.power = power_setting(options, *question.accelerator);
  question.query.tries_aggregated = options.serving != "disaggregated";
  question.query.tries_disaggregated = options.serving != "aggregated";
  question.open_load = open_load_of(options);
  if (!options.anchors.empty()) {
    anchor(options, question);
  }
}

}  // namespace perwatt::cli
