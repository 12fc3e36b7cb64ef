#include "modelled_frontier.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <system_error>
#include <utility>

#include "serving_data.hpp"
#include "table.hpp"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/facility/power_chain.hpp"
#include "perwatt/inference/model_config.hpp"
#include "perwatt/inference/serving/calibration_file.hpp"
#include "perwatt/inference/serving/search.hpp"

namespace perwatt::cli {

namespace {

namespace serving = inference::serving;
using Json = nlohmann::ordered_json;

/// The question with all that its answer points into.
struct Question {
  catalog::Catalog catalog;
  const catalog::Accelerator* accelerator = nullptr;
  inference::ModelShape shape;
  std::string precision;
  std::string software_date;
  serving::Calibration calibration;
  std::size_t anchors = 0;  // rows that correct it
  serving::SearchQuery query;
};

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

void set_question(const ModelledFrontierOptions& options, const DataOptions& data,
                  Question& question) {
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
}

/// Corrects the calibration by the rows of --anchor files that are of the question's deployment.
void anchor(const ModelledFrontierOptions& options, Question& question) {
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

/// A found point with its intervals and what it draws at every boundary.
struct Figures {
  serving::Setup setup;
  serving::Banded rate;  // of the GPUs in use
  serving::Banded tpot;
  serving::Banded ttft;
  serving::Banded power;
  std::optional<Watts> it;
  std::optional<Watts> facility;
};

Figures figures_of(const Question& question, const serving::Found& found) {
  Figures figures;
  figures.setup = question.query.setup;
  figures.setup.layout = found.layout;
  const auto traits = serving::traits_of(figures.setup, question.precision, found.concurrency);
  const auto band = [&](double value, serving::Metric metric) {
    return serving::banded(value, metric, traits, question.calibration);
  };
  figures.rate = band(in_tokens_per_second(found.output_per_gpu), serving::Metric::throughput);
  figures.tpot = band(in_seconds(found.tpot), serving::Metric::tpot);
  figures.ttft = band(in_seconds(found.ttft), serving::Metric::ttft);
  figures.power = band(in_watts(found.gpu_power), serving::Metric::power);
  for (const auto& system : question.catalog.systems()) {
    if (system.accelerator == question.accelerator->id) {
      const facility::PowerChain chain{question.catalog, system};
      const facility::CoolingPlant plant{
          question.catalog.cooling_plant(system.cooling_plant, system.defined_at)};
      const auto it = chain.it_per_gpu(found.gpu_power);
      figures.it = it.value;
      figures.facility = plant.meter_for(it).value;
      break;
    }
  }
  return figures;
}

std::string pool_text(const serving::Pool& pool) {
  const auto& instance = pool.instance;
  std::string text = std::to_string(pool.instances) + " x ";
  text += instance.attention_dp > 1 ? "DP" + std::to_string(instance.attention_dp)
                                    : "TP" + std::to_string(instance.gpus);
  if (instance.expert_parallel > 1) {
    text += " EP" + std::to_string(instance.expert_parallel);
  }
  return text;
}

std::string layout_text(const serving::Found& found) {
  const std::string copies = found.copies > 1 ? std::to_string(found.copies) + " x (" : "";
  const std::string end = found.copies > 1 ? ")" : "";
  if (found.layout.mode == inference::Serving::aggregated) {
    return copies + pool_text(found.layout.decode) + end;
  }
  return copies + "prefill " + pool_text(found.layout.prefill) + ", decode " +
         pool_text(found.layout.decode) + end;
}

Json banded_json(const serving::Banded& value) {
  return {{"value", value.value}, {"ci_low", value.low}, {"ci_high", value.high}};
}

Json pool_json(const serving::Pool& pool) {
  return {{"gpus", pool.gpus},
          {"instances", pool.instances},
          {"gpus_per_instance", pool.instance.gpus},
          {"attention_dp", pool.instance.attention_dp},
          {"ep", pool.instance.expert_parallel}};
}

Json found_json(const Question& question, const serving::Found& found) {
  const Figures figures = figures_of(question, found);
  const double rate = in_tokens_per_second(found.output_per_gpu);
  const double in_use = rate * question.query.max_gpus / found.gpus();
  Json json{{"serving", to_string(found.layout.mode)},
            {"tag", "modelled"},
            {"copies", found.copies},
            {"num_gpus", found.layout.num_gpus},
            {"idle_gpus", question.query.max_gpus - found.gpus()}};
  if (found.layout.mode == inference::Serving::disaggregated) {
    json["prefill"] = pool_json(found.layout.prefill);
  }
  json["decode"] = pool_json(found.layout.decode);
  json["concurrency"] = found.concurrency;
  json["output_tokens_per_s_per_gpu"] = banded_json(figures.rate);
  json["interactivity_tokens_per_s"] = 1 / in_seconds(found.tpot);
  json["tpot_median_s"] = banded_json(figures.tpot);
  json["ttft_median_s"] = banded_json(figures.ttft);
  json["gpu_power_watts"] = banded_json(figures.power);
  json["joules_per_output_token"] = {
      {"gpu", in_watts(found.gpu_power) / in_use},
      {"it", figures.it ? Json(in_watts(*figures.it) / in_use) : Json(nullptr)},
      {"facility", figures.facility ? Json(in_watts(*figures.facility) / in_use) : Json(nullptr)}};
  json["output_tokens_per_s_per_facility_megawatt"] =
      figures.facility ? Json(in_use / in_megawatts(*figures.facility)) : Json(nullptr);
  json["ci_level_ratio"] = 0.9;
  json["nearest_measured"] =
      figures.rate.nearest.empty() ? Json(nullptr) : Json(figures.rate.nearest);
  return json;
}

Json power_curve_json(const Question& question, const serving::Found& found) {
  Json json = Json::array();
  for (const auto& point : serving::power_curve(question.query, found, question.calibration)) {
    json.push_back({{"clock_ratio", point.clock_ratio},
                    {"output_tokens_per_s_per_gpu", in_tokens_per_second(point.output_per_gpu)},
                    {"tpot_median_s", in_seconds(point.tpot)},
                    {"ttft_median_s", in_seconds(point.ttft)},
                    {"gpu_power_watts", in_watts(point.gpu_power)},
                    {"gpu_joules_per_output_token",
                     in_joules_per_token(point.gpu_power / point.output_per_gpu)}});
  }
  return json;
}

void print_power_curve(const Question& question, const serving::Found& found) {
  TextTable table{{"clock", "output tok/s/GPU", "TPOT ms", "TTFT s", "GPU W", "J/output tok"}};
  for (const auto& point : serving::power_curve(question.query, found, question.calibration)) {
    table.add({significant(100 * point.clock_ratio, 3) + " %",
               significant(in_tokens_per_second(point.output_per_gpu), 3),
               significant(in_seconds(point.tpot) * 1e3, 3), significant(in_seconds(point.ttft), 3),
               significant(in_watts(point.gpu_power), 3),
               significant(in_joules_per_token(point.gpu_power / point.output_per_gpu), 3)});
  }
  fmt::print("\nThe best one at locked core clocks\n{}", table.text());
}

// ---- explain ----------------------------------------------------------------------------------

struct Explained {
  serving::ServingWork work;
  serving::StepModel::Breakdown step;
  double step_seconds = 0;
  double prompt_seconds = 0;
  double sequences = 0;
  std::string limit;
};

/// What takes most of a step, in words of the hardware.
std::string limit_of(const serving::StepModel::Breakdown& step) {
  double memory = 0;
  double compute = 0;
  for (std::size_t i = 0; i < step.operators.size(); ++i) {
    (step.memory[i] > step.compute[i] ? memory : compute) += step.operators[i];
  }
  const std::array<std::pair<double, const char*>, 5> parts{{{memory, "memory bandwidth"},
                                                             {compute, "compute"},
                                                             {step.layers, "kernel overheads"},
                                                             {step.collectives, "links"},
                                                             {step.host, "host"}}};
  return std::max_element(parts.begin(), parts.end())->second;
}

Explained explain(const Question& question, const serving::Found& found) {
  serving::Setup setup = question.query.setup;
  setup.layout = found.layout;
  Explained result;
  result.work = serving::count_work(setup);
  const auto coefficients =
      question.calibration.coefficients.of(setup.hardware.accelerator, setup.hardware.vendor);
  const serving::StepModel steps{setup, result.work, coefficients};
  result.sequences = std::max(1.0, found.physical.sequences);
  result.step = steps.explain_decode(result.sequences);
  result.step_seconds = steps.decode(result.sequences).seconds;
  result.prompt_seconds = steps.prefill().seconds();
  result.limit = limit_of(result.step);
  return result;
}

Json explain_json(const Explained& explained) {
  Json operators = Json::array();
  for (int i = 0; i < serving::kOperatorGroups; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (explained.step.operators[at] > 0) {
      operators.push_back({{"operators", to_string(static_cast<serving::OperatorGroup>(i))},
                           {"seconds", explained.step.operators[at]},
                           {"compute_seconds", explained.step.compute[at]},
                           {"memory_seconds", explained.step.memory[at]}});
    }
  }
  return {{"decode_sequences", explained.sequences},
          {"decode_step_seconds", explained.step_seconds},
          {"operators", operators},
          {"layer_overhead_seconds", explained.step.layers},
          {"collectives_seconds", explained.step.collectives},
          {"host_seconds", explained.step.host},
          {"draft_seconds", explained.step.draft},
          {"prompt_prefill_seconds", explained.prompt_seconds},
          {"weight_memory_bytes_per_gpu", explained.work.decode.weight_memory_bytes},
          {"kv_memory_bytes_per_gpu", explained.work.kv_memory_bytes},
          {"kv_bytes_per_sequence_per_gpu", explained.work.cache_memory_bytes_per_sequence},
          {"kv_transfer_bytes_per_prompt", explained.work.kv_transfer_bytes},
          {"decode_limit", explained.limit}};
}

std::string milliseconds(double value) {
  return significant(value * 1e3, 3);
}

void print_explained(const Explained& explained) {
  constexpr double kGiga = 1e9;
  fmt::print(
      "\nA decode step of {} sequences takes {} ms before relatives correct it; {} decides\n",
      significant(explained.sequences, 3), milliseconds(explained.step_seconds), explained.limit);
  TextTable table{{"part", "ms", "compute alone", "memory alone"}};
  for (int i = 0; i < serving::kOperatorGroups; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (explained.step.operators[at] > 0) {
      table.add({std::string{to_string(static_cast<serving::OperatorGroup>(i))},
                 milliseconds(explained.step.operators[at]),
                 milliseconds(explained.step.compute[at]),
                 milliseconds(explained.step.memory[at])});
    }
  }
  const auto other = [&](const char* name, double value) {
    if (value > 0) {
      table.add({name, milliseconds(value), "-", "-"});
    }
  };
  other("layer overheads", explained.step.layers);
  other("collectives", explained.step.collectives);
  other("host", explained.step.host);
  other("draft tokens", explained.step.draft);
  fmt::print("{}", table.text());
  fmt::print(
      "prefill of one prompt: {} ms\nmemory per GPU: {} GB weights, {} GB for caches of "
      "{} GB a sequence\n",
      milliseconds(explained.prompt_seconds),
      significant(explained.work.decode.weight_memory_bytes / kGiga, 3),
      significant(explained.work.kv_memory_bytes / kGiga, 3),
      significant(explained.work.cache_memory_bytes_per_sequence / kGiga, 2));
}

// ---- answers ----------------------------------------------------------------------------------

const std::optional<serving::Found>& best_of(const serving::SearchResult& result) {
  const auto& a = result.best_aggregated;
  const auto& d = result.best_disaggregated;
  return !a || (d && d->output_per_gpu > a->output_per_gpu) ? d : a;
}

std::string infeasible_reason(const serving::SearchResult& result) {
  if (!result.frontier.empty()) {
    const auto& fastest = result.frontier.front();
    return fmt::format(
        "no layout and load keeps the limits; the fastest has TPOT {} ms and TTFT {} s",
        milliseconds(in_seconds(fastest.tpot)), significant(in_seconds(fastest.ttft), 3));
  }
  std::string reasons;
  for (const auto& [reason, count] : result.refused) {
    reasons += (reasons.empty() ? "" : "; ") + reason;
  }
  return "no layout runs: " + reasons;
}

void print_json(const ModelledFrontierOptions& options, const Question& question,
                const serving::SearchResult& result) {
  const auto& query = question.query;
  const auto& best = best_of(result);
  Json json{
      {"model", question.shape.name},
      {"accelerator", question.accelerator->id},
      {"precision", question.precision},
      {"engine", to_string(query.setup.engine.family)},
      {"spec_decode", query.setup.has_mtp ? "mtp" : "none"},
      {"gpus", query.max_gpus},
      {"isl_tokens", options.isl_tokens},
      {"osl_tokens", options.osl_tokens},
      {"max_ttft_seconds", query.max_ttft ? Json(in_seconds(*query.max_ttft)) : Json(nullptr)},
      {"max_tpot_seconds", query.max_tpot ? Json(in_seconds(*query.max_tpot)) : Json(nullptr)},
      {"software_date", question.software_date},
      {"anchors", question.anchors},
      {"gpu_cap_watts", query.power.gpu_cap ? Json(in_watts(*query.power.gpu_cap)) : Json(nullptr)},
      {"clock_ratio", query.power.clock_ratio.value_or(1)},
      {"status", best ? "ok" : "infeasible"}};
  if (!best) {
    json["reason"] = infeasible_reason(result);
  }
  const auto or_null = [&](const std::optional<serving::Found>& found) {
    return found ? found_json(question, *found) : Json(nullptr);
  };
  json["best"] = or_null(best);
  if (best) {
    json["best"]["power_curve"] = power_curve_json(question, *best);
  }
  json["aggregated"] = or_null(result.best_aggregated);
  json["disaggregated"] = or_null(result.best_disaggregated);
  json["layouts_tried"] = result.layouts;
  json["points_tried"] = result.points;
  json["refused"] = Json::array();
  for (const auto& [reason, count] : result.refused) {
    json["refused"].push_back({{"reason", reason}, {"instances", count}});
  }
  json["frontier"] = Json::array();
  for (const auto& found : result.frontier) {
    json["frontier"].push_back(found_json(question, found));
  }
  if (options.explain && best) {
    json["explain"] = explain_json(explain(question, *best));
  }
  fmt::print("{}\n", json.dump(2));
}

std::string band_text(const serving::Banded& value, double scale = 1) {
  return fmt::format("{} ({} to {})", significant(value.value * scale, 3),
                     significant(value.low * scale, 2), significant(value.high * scale, 2));
}

void add_row(TextTable& table, const Question& question, const char* name,
             const serving::Found& found) {
  const Figures figures = figures_of(question, found);
  const double in_use =
      in_tokens_per_second(found.output_per_gpu) * question.query.max_gpus / found.gpus();
  table.add({name, layout_text(found), significant(found.concurrency, 4), band_text(figures.rate),
             band_text(figures.tpot, 1e3), band_text(figures.ttft), band_text(figures.power),
             significant(in_watts(found.gpu_power) / in_use, 3),
             figures.facility ? significant(in_use / in_megawatts(*figures.facility), 4) : "-"});
}

void print_text(const ModelledFrontierOptions& options, const Question& question,
                const serving::SearchResult& result) {
  const auto& query = question.query;
  fmt::print(
      "{} {} on up to {} {}, {}{}, {}/{} tokens, software of {}: modelled{}, with 90 % "
      "intervals\n{} layouts, {} points tried\n\n",
      question.shape.name, question.precision, query.max_gpus, question.accelerator->id,
      to_string(query.setup.engine.family), query.setup.has_mtp ? " with MTP" : "",
      options.isl_tokens, options.osl_tokens, question.software_date,
      question.anchors > 0 ? fmt::format(", anchored by {} rows", question.anchors) : "",
      result.layouts, result.points);
  const auto& best = best_of(result);
  if (!best) {
    fmt::print("infeasible: {}\n", infeasible_reason(result));
  }
  const std::vector<std::string> header = {
      "",       "layout", "users",        "output tok/s/GPU", "TPOT ms",
      "TTFT s", "GPU W",  "J/output tok", "output tok/s/MW"};
  if (best) {
    TextTable table{header, {0, 1}};
    if (result.best_aggregated) {
      add_row(table, question, "aggregated", *result.best_aggregated);
    }
    if (result.best_disaggregated) {
      add_row(table, question, "disaggregated", *result.best_disaggregated);
    }
    fmt::print("Best within the limits\n{}", table.text());
    if (options.explain) {
      print_explained(explain(question, *best));
    }
    print_power_curve(question, *best);
  }
  if (result.frontier.empty()) {
    return;
  }
  TextTable curve{header, {0, 1}};
  constexpr std::size_t kMostRows = 12;
  const std::size_t step =
      std::max<std::size_t>(1, (result.frontier.size() + kMostRows - 1) / kMostRows);
  for (std::size_t i = 0; i < result.frontier.size(); i += step) {
    add_row(curve, question, "", result.frontier[i]);
  }
  fmt::print("\nFrontier of TPOT and rate, whatever the limits ({} of {} points)\n{}",
             (result.frontier.size() + step - 1) / step, result.frontier.size(), curve.text());
}

}  // namespace

void add_modelled_frontier_options(CLI::App& verb, ModelledFrontierOptions& o) {
  auto* group = verb.add_option_group(
      "The serving model instead of measured rows (with --accelerator; --model may be the path of "
      "a config.json)");
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
  group->add_flag("--explain", o.explain, "Where the time and the memory of the best one go");
}

void run_modelled_frontier(const ModelledFrontierOptions& options, const DataOptions& data) {
  if (!options.software_date.empty() &&
      (!is_iso_date(options.software_date) || options.software_date.size() != 10)) {
    throw Error{ErrorCode::usage, "'" + printable(options.software_date) + "' is no date",
                "--software-date", "write YYYY-MM-DD"};
  }
  Question question;
  set_question(options, data, question);
  if (!options.anchors.empty()) {
    anchor(options, question);
  }
  const auto result = serving::search(question.query, question.calibration);
  if (options.json) {
    print_json(options, question, result);
  } else {
    print_text(options, question, result);
  }
}

}  // namespace perwatt::cli
