// perwatt frontier: systems side by side for one model and workload under an SLO.
#include "json_values.hpp"
#include "modelled_frontier.hpp"
#include "power_curves.hpp"
#include "table.hpp"
#include "verbs.hpp"
#include <fmt/format.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/inference/frontier.hpp"

namespace perwatt::cli {

namespace {

struct FrontierOptions {
  DataOptions data;
  std::string model;
  int isl_tokens = 0;
  int osl_tokens = 0;
  std::string task;
  std::string min_interactivity = "0tok/s";
  std::string max_ttft;
  bool allow_unknown_ttft = false;
  std::vector<std::string> systems;
  std::string price_table;
  std::string price_basis = "tco_hyperscaler";
  bool by_engine = false;
  std::string compare;
  std::string curve;
  std::string curve_of;
  bool json = false;
  ModelledFrontierOptions modelled;
};

constexpr int kMostTokens = 10000000;

/// Interactivities at which --compare prints a ratio.
constexpr double kCompareAt[] = {10, 20, 30, 40, 50, 60, 75, 90, 100, 116, 125, 150, 200};

inference::FrontierQuery query_from(const FrontierOptions& options,
                                    const catalog::Catalog& catalog) {
  inference::FrontierQuery query;
  query.model = catalog.model(options.model, "--model").id;
  if (!options.task.empty()) {
    if (options.isl_tokens > 0 || options.osl_tokens > 0) {
      throw Error{ErrorCode::usage, "--task is given beside --isl or --osl", "frontier",
                  "a task brings its own lengths: keep one of the two"};
    }
    query.workload.task = options.task;
  } else {
    if (options.isl_tokens <= 0 || options.osl_tokens <= 0) {
      throw Error{ErrorCode::usage, "the workload is not given", "frontier",
                  "add --isl and --osl (tokens), or --task"};
    }
    query.workload.isl_tokens = options.isl_tokens;
    query.workload.osl_tokens = options.osl_tokens;
  }
  query.slo.min_interactivity = parse_flag(
      [&] { return parse_tokens_per_second(options.min_interactivity, "--min-interactivity"); });
  if (!options.max_ttft.empty()) {
    query.slo.max_ttft = parse_flag([&] { return parse_seconds(options.max_ttft, "--max-ttft"); });
  }
  query.slo.allow_unknown_ttft = options.allow_unknown_ttft;
  query.price_table =
      catalog
          .price_table(options.price_table.empty() ? catalog::newest_hourly_table(catalog)
                                                   : options.price_table,
                       "--price-table")
          .id;
  const auto basis = facility::parse_price_basis(options.price_basis);
  if (!basis) {
    throw Error{ErrorCode::usage, "'" + printable(options.price_basis) + "' is no price basis",
                "--price-basis", "use tco_hyperscaler, tco_neocloud or rental"};
  }
  query.price_basis = *basis;
  for (const auto& system : options.systems) {
    query.systems.push_back(catalog.system(system, "--system").id);
  }
  query.by_engine = options.by_engine;
  return query;
}

// ---- figures of a row -------------------------------------------------------------------------

std::optional<double> joules_per_output(const std::optional<Watts>& power,
                                        const inference::OperatingPoint& point) {
  return power ? std::optional{in_joules_per_token(*power / point.output_per_gpu)} : std::nullopt;
}

std::optional<double> joules_per_total(const std::optional<Watts>& power,
                                       const inference::OperatingPoint& point) {
  return power && point.total_per_gpu
             ? std::optional{in_joules_per_token(*power / *point.total_per_gpu)}
             : std::nullopt;
}

struct Boundaries {
  std::optional<Watts> gpu;
  std::optional<Watts> it;
  std::optional<Watts> facility;
};

Boundaries boundaries(const inference::SystemFigures& figures) {
  Boundaries power;
  if (figures.gpu_power) {
    power = {figures.gpu_power->mean, figures.it->value, figures.facility->value};
  }
  return power;
}

std::optional<double> usd_per_million(const std::optional<UsdPerSecond>& price,
                                      const std::optional<TokensPerSecond>& rate) {
  return price && rate ? std::optional{in_usd_per_million_tokens(*price / *rate)} : std::nullopt;
}

Json joules_json(const Boundaries& power, const inference::OperatingPoint& point,
                 std::optional<double> (*per_token)(const std::optional<Watts>&,
                                                    const inference::OperatingPoint&)) {
  return {{"gpu", number_or_null(per_token(power.gpu, point))},
          {"it", number_or_null(per_token(power.it, point))},
          {"facility", number_or_null(per_token(power.facility, point))}};
}

Json point_json(const inference::OperatingPoint& point) {
  const auto interval = inference::rate_interval(point);
  const double ranked = in_tokens_per_second(inference::ranking_rate(point));
  return {
      {"interactivity_tokens_per_s", point.interactivity.in_base()},
      {"total_tokens_per_s_per_gpu", base_or_null(point.total_per_gpu)},
      {"output_tokens_per_s_per_gpu", point.output_per_gpu.in_base()},
      {"input_tokens_per_s_per_gpu", base_or_null(point.input_per_gpu())},
      {"ttft_seconds", base_or_null(point.ttft)},
      {"concurrency", number_or_null(point.concurrency)},
      {"tag", to_string(point.tag)},
      {"ci_low", ranked * interval.low_factor},
      {"ci_high", ranked * interval.high_factor},
      {"ci_of", point.total_per_gpu ? "total_tokens_per_s_per_gpu" : "output_tokens_per_s_per_gpu"},
      {"ci_level_ratio", 0.9}};
}

Json row_json(const inference::FrontierRow& row) {
  const auto& point = row.best;
  const auto& measured = *point.point;
  const auto power = boundaries(row.figures);
  Json json{{"accelerator", measured.accelerator},
            {"system", row.figures.system->id},
            {"precision", measured.precision},
            {"engine", measured.engine},
            {"spec_decode", measured.spec_decode},
            {"serving", to_string(measured.serving)},
            {"num_gpus", measured.layout.num_gpus},
            {"date", measured.date.empty() ? Json(nullptr) : Json(measured.date)},
            {"source", measured.source},
            {"read_at", measured.read_at}};
  json.update(point_json(point));
  json["gpu_power_watts"] = base_or_null(power.gpu);
  if (row.figures.gpu_power) {
    json["gpu_power_tag"] = to_string(row.figures.gpu_power->tag);
    json["gpu_power_low_watts"] = row.figures.gpu_power->low.in_base();
    json["gpu_power_high_watts"] = row.figures.gpu_power->high.in_base();
    json["gpu_power_basis"] = row.figures.gpu_power->basis;
  } else {
    json["gpu_power_reason"] = "no measured relative, or the catalog lacks the model's parameters";
  }
  json["it_power_watts"] = base_or_null(power.it);
  json["facility_power_watts"] = base_or_null(power.facility);
  json["provisioned_power_watts"] = row.figures.provisioned.value.in_base();
  json["joules_per_output_token"] = joules_json(power, point, joules_per_output);
  json["joules_per_total_token"] = joules_json(power, point, joules_per_total);
  const auto per_megawatt = [](TokensPerSecond rate, const std::optional<Watts>& watts_of) {
    return watts_of ? Json(in_tokens_per_second(rate) / in_megawatts(*watts_of)) : Json(nullptr);
  };
  json["output_tokens_per_s_per_provisioned_megawatt"] =
      per_megawatt(point.output_per_gpu, row.figures.provisioned.value);
  json["output_tokens_per_s_per_facility_megawatt"] =
      per_megawatt(point.output_per_gpu, power.facility);
  json["usd_per_million_output_tokens"] =
      number_or_null(usd_per_million(row.figures.price, point.output_per_gpu));
  json["usd_per_million_total_tokens"] =
      number_or_null(usd_per_million(row.figures.price, point.total_per_gpu));
  if (!row.figures.price) {
    json["usd_reason"] = "the price table has no such price of this accelerator";
  }
  if (!point.total_per_gpu) {
    json["total_tokens_reason"] = "the source gives output tokens only";
  }
  json["at_slo"] = row.at_slo ? point_json(*row.at_slo) : Json(nullptr);
  json["curve"] = Json::array();
  for (const auto& on_curve : row.curve) {
    json["curve"].push_back(point_json(on_curve));
  }
  return json;
}

// ---- ratios -----------------------------------------------------------------------------------

struct Sides {
  std::string numerator;
  std::string denominator;
};

Sides parse_sides(const std::string& text, const catalog::Catalog& catalog) {
  const auto parts = split(text, ',');
  if (parts.size() != 2) {
    throw Error{ErrorCode::usage, "'" + printable(text) + "' does not name two accelerators",
                "--compare", "write --compare gb300,h100 or gb300:fp4,h200:fp8"};
  }
  const auto side = [&](const std::string& part) {
    const auto colon = part.find(':');
    const auto& accelerator = catalog.accelerator(part.substr(0, colon), "--compare");
    return accelerator.id + (colon == std::string::npos ? "" : part.substr(colon));
  };
  return {side(parts[0]), side(parts[1])};
}

/// Ratios of one table: per provisioned (all-in) megawatt and per dollar; nothing where it lacks
/// one.
struct TableRatio {
  std::string table;
  std::optional<double> per_megawatt;
  std::optional<double> per_dollar;
};

std::vector<TableRatio> table_ratios(const catalog::Catalog& catalog,
                                     const inference::FrontierQuery& query,
                                     const inference::RatioPoint& ratio) {
  std::vector<TableRatio> ratios;
  for (const auto& table : catalog.price_tables()) {
    const auto over = table.accelerators.find(ratio.numerator.point->accelerator);
    const auto under = table.accelerators.find(ratio.denominator.point->accelerator);
    if (over == table.accelerators.end() || under == table.accelerators.end()) {
      continue;
    }
    TableRatio entry{table.id, std::nullopt, std::nullopt};
    if (over->second.allin_facility && under->second.allin_facility) {
      entry.per_megawatt =
          ratio.per_gpu * (*under->second.allin_facility / *over->second.allin_facility);
    }
    const auto over_price =
        facility::published_price_per_gpu(table, over->first, query.price_basis);
    const auto under_price =
        facility::published_price_per_gpu(table, under->first, query.price_basis);
    if (over_price && under_price) {
      entry.per_dollar = ratio.per_gpu * (*under_price / *over_price);
    }
    if (entry.per_megawatt || entry.per_dollar) {
      ratios.push_back(entry);
    }
  }
  return ratios;
}

Json ratio_json(const catalog::Catalog& catalog, const inference::FrontierQuery& query,
                const inference::RatioPoint& ratio) {
  Json json{
      {"interactivity_tokens_per_s", ratio.interactivity.in_base()},
      {"numerator_tokens_per_s_per_gpu", inference::ranking_rate(ratio.numerator).in_base()},
      {"denominator_tokens_per_s_per_gpu", inference::ranking_rate(ratio.denominator).in_base()},
      {"per_gpu_ratio", ratio.per_gpu}};
  for (const auto& entry : table_ratios(catalog, query, ratio)) {
    json["per_provisioned_megawatt_ratio"][entry.table] = number_or_null(entry.per_megawatt);
    json["per_dollar_ratio"][entry.table] = number_or_null(entry.per_dollar);
  }
  return json;
}

std::vector<inference::RatioPoint> ratios_for(const FrontierOptions& options,
                                              const catalog::Catalog& catalog,
                                              const inference::FrontierQuery& query,
                                              std::span<const inference::MeasuredPoint> points) {
  if (options.compare.empty()) {
    return {};
  }
  const auto sides = parse_sides(options.compare, catalog);
  std::vector<TokensPerSecond> at;
  for (const double value : kCompareAt) {
    at.push_back(tokens_per_second(value));
  }
  return inference::ratio_curve(query, sides.numerator, sides.denominator, at, points);
}

template <class Quantity>
std::optional<double> in_base(const std::optional<Quantity>& value) {
  return value ? std::optional{value->in_base()} : std::nullopt;
}

// ---- text -------------------------------------------------------------------------------------

std::string slo_text(const inference::Slo& slo) {
  return ">= " + significant(in_tokens_per_second(slo.min_interactivity)) + " tok/s per user" +
         (slo.max_ttft ? ", TTFT <= " + significant(in_seconds(*slo.max_ttft)) + " s" : "");
}

void print_rates(const inference::Frontier& frontier) {
  TextTable table{{"system", "prec", "engine", "spec", "serving", "GPUs", "tok/s/user", "TTFT s",
                   "total/s/GPU", "90 % interval", "at SLO", "output/s/GPU", "tag"},
                  {0, 1, 2, 3, 4, 12}};
  for (const auto& row : frontier.rows) {
    const auto& point = row.best;
    const auto interval = inference::rate_interval(point);
    const double ranked = in_tokens_per_second(inference::ranking_rate(point));
    table.add({row.figures.system->id, point.point->precision, point.point->engine,
               point.point->spec_decode, to_string(point.point->serving),
               std::to_string(point.point->layout.num_gpus),
               significant(in_tokens_per_second(point.interactivity), 3),
               or_dash(in_base(point.ttft), 3), or_dash(in_base(point.total_per_gpu), 5),
               significant(ranked * interval.low_factor, 3) + " - " +
                   significant(ranked * interval.high_factor, 3),
               row.at_slo
                   ? significant(in_tokens_per_second(inference::ranking_rate(*row.at_slo)), 5)
                   : "-",
               significant(in_tokens_per_second(point.output_per_gpu), 5),
               std::string{to_string(point.tag)}});
  }
  fmt::print("{}", table.text());
}

void print_energy(const inference::Frontier& frontier) {
  TextTable table{
      {"system", "prec", "GPU W", "tag", "J/out GPU", "IT", "facility", "J/total GPU", "IT",
       "facility", "out tok/s per prov. MW", "per drawn MW", "USD/M out", "USD/M total"},
      {0, 1, 3}};
  for (const auto& row : frontier.rows) {
    const auto& point = row.best;
    const auto power = boundaries(row.figures);
    const auto rate = in_tokens_per_second(point.output_per_gpu);
    table.add(
        {row.figures.system->id, point.point->precision, or_dash(in_base(power.gpu), 3),
         row.figures.gpu_power ? std::string{to_string(row.figures.gpu_power->tag)} : "unknown",
         or_dash(joules_per_output(power.gpu, point), 3),
         or_dash(joules_per_output(power.it, point), 3),
         or_dash(joules_per_output(power.facility, point), 3),
         or_dash(joules_per_total(power.gpu, point), 3),
         or_dash(joules_per_total(power.it, point), 3),
         or_dash(joules_per_total(power.facility, point), 3),
         significant(rate / in_megawatts(row.figures.provisioned.value), 4),
         or_dash(
             power.facility ? std::optional{rate / in_megawatts(*power.facility)} : std::nullopt,
             4),
         or_dash(usd_per_million(row.figures.price, point.output_per_gpu), 3),
         or_dash(usd_per_million(row.figures.price, point.total_per_gpu), 3)});
  }
  fmt::print("{}", table.text());
}

void print_rows(const inference::FrontierQuery& query, const inference::Frontier& frontier) {
  print_rates(frontier);
  fmt::print(
      "\nRates are per GPU over all GPUs of the deployment; 'at SLO' is interpolated along one\n"
      "deployment to exactly the bound.\n\n");
  print_energy(frontier);
  fmt::print(
      "\n'tag' is of the GPU watts: modelled = from measured relatives, 90 % interval in --json.\n"
      "prov. MW: every board at its cap. USD/M: {} of price table {}, energy included, all of it\n"
      "charged to the tokens of the column.\n",
      to_string(query.price_basis), query.price_table);
}

void print_ratios(const FrontierOptions& options, const catalog::Catalog& catalog,
                  const inference::FrontierQuery& query,
                  const std::vector<inference::RatioPoint>& ratios) {
  if (options.compare.empty()) {
    return;
  }
  fmt::print(
      "\nbest measured {} by interactivity; per MW is provisioned (all-in kW of the table)\n",
      options.compare);
  if (ratios.empty()) {
    fmt::print("no interactivity is reached by both\n");
    return;
  }
  std::vector<std::string> header{"tok/s/user", "first", "second", "per GPU"};
  for (const auto& entry : table_ratios(catalog, query, ratios.front())) {
    header.push_back("per MW " + entry.table);
    header.push_back("per USD " + entry.table);
  }
  TextTable table{header, {}};
  for (const auto& ratio : ratios) {
    std::vector<std::string> row{
        significant(in_tokens_per_second(ratio.interactivity)),
        significant(in_tokens_per_second(ranking_rate(ratio.numerator)), 5),
        significant(in_tokens_per_second(ranking_rate(ratio.denominator)), 5),
        significant(ratio.per_gpu, 3) + "x"};
    for (const auto& entry : table_ratios(catalog, query, ratio)) {
      row.push_back(entry.per_megawatt ? significant(*entry.per_megawatt, 3) + "x" : "-");
      row.push_back(entry.per_dollar ? significant(*entry.per_dollar, 3) + "x" : "-");
    }
    table.add(row);
  }
  fmt::print("{}", table.text());
}

/// --curve-of ACCELERATOR or ACCELERATOR:PRECISION, among the rows.
const inference::FrontierRow& row_asked_for(const inference::Frontier& frontier,
                                            const std::string& name) {
  const inference::FrontierRow* found = nullptr;
  std::string known;
  for (const auto& row : frontier.rows) {
    const auto& group = row.group;
    const auto full_name = group.accelerator + ":" + group.precision;
    known += (known.empty() ? "" : ", ") + full_name;
    if (name != full_name && name != group.accelerator) {
      continue;
    }
    if (found != nullptr) {
      throw Error{ErrorCode::usage, "'" + printable(name) + "' is more than one row", "--curve-of",
                  "name one of " + known + ", without --by-engine"};
    }
    found = &row;
  }
  if (found == nullptr) {
    throw Error{ErrorCode::usage, "'" + printable(name) + "' is not among the rows", "--curve-of",
                known.empty() ? "no row meets the limits" : "one of " + known};
  }
  return *found;
}

void run(const FrontierOptions& options) {
  if (options.curve.empty() != options.curve_of.empty()) {
    throw Error{ErrorCode::usage, "a curve of measured rows needs a file and a row", "frontier",
                "give --curve OUT.csv and --curve-of ACCELERATOR:PRECISION"};
  }
  const auto catalog = load_catalog(options.data);
  const auto query = query_from(options, catalog);
  const auto points = load_points(options.data, catalog);
  const inference::GpuPowerEstimator estimator{points, catalog};
  const auto frontier = inference::build_frontier(query, catalog, points, estimator);
  const auto ratios = ratios_for(options, catalog, query, points);
  if (!options.curve.empty()) {
    const auto& row = row_asked_for(frontier, options.curve_of);
    write_file(options.curve, curve::curve_file_text(measured_curve(row, query.slo, estimator)));
  }
  const std::string workload = query.model + " " + to_string(query.workload);
  if (options.json) {
    Json json{{"model", query.model},
              {"workload", to_string(query.workload)},
              {"min_interactivity_tokens_per_s", query.slo.min_interactivity.in_base()},
              {"max_ttft_seconds", base_or_null(query.slo.max_ttft)},
              {"price_table", query.price_table},
              {"price_basis", to_string(query.price_basis)},
              {"deployments_measured", frontier.deployments},
              {"rows_with_unknown_ttft", frontier.unknown_ttft}};
    json["systems"] = Json::array();
    for (const auto& row : frontier.rows) {
      json["systems"].push_back(row_json(row));
    }
    if (!options.compare.empty()) {
      json["ratios"] = Json::array();
      for (const auto& ratio : ratios) {
        json["ratios"].push_back(ratio_json(catalog, query, ratio));
      }
    }
    fmt::print("{}\n", json.dump(2));
    return;
  }
  fmt::print("{}, {}: {} measured deployments\n\n", workload, slo_text(query.slo),
             frontier.deployments);
  if (frontier.rows.empty()) {
    fmt::print("no measured deployment meets the SLO{}\n",
               frontier.deployments > 0
                   ? ""
                   : ": none serves this model under this workload (perwatt import, --points)");
  } else {
    print_rows(query, frontier);
  }
  if (frontier.unknown_ttft > 0) {
    fmt::print("{} points have no measured TTFT and were left out (--allow-unknown-ttft)\n",
               frontier.unknown_ttft);
  }
  print_ratios(options, catalog, query, ratios);
}

}  // namespace

void add_frontier_verb(CLI::App& app) {
  auto options = std::make_shared<FrontierOptions>();
  auto* verb = app.add_subcommand(
      "frontier", "Systems side by side: tokens/s per GPU, per MW, USD per Mtoken, J per token");
  verb->add_option("--model", options->model, "Model id or alias of the catalog")->required();
  verb->add_option("--isl", options->isl_tokens, "Input tokens per request, nominal")
      ->check(CLI::Range(1, kMostTokens));
  verb->add_option("--osl", options->osl_tokens, "Output tokens per request, nominal")
      ->check(CLI::Range(1, kMostTokens));
  verb->add_option("--task", options->task, "Named data set instead of lengths (ML.ENERGY)");
  verb->add_option("--min-interactivity", options->min_interactivity,
                   "Least output tokens/s of one user, with unit: 50tok/s");
  verb->add_option("--max-ttft", options->max_ttft, "Largest median time to first token: 2s");
  verb->add_flag("--allow-unknown-ttft", options->allow_unknown_ttft,
                 "With --max-ttft: take points whose TTFT was not measured");
  verb->add_option("--system", options->systems,
                   "System of the catalog to show an accelerator in; may be repeated")
      ->allow_extra_args(false);
  verb->add_option("--price-table", options->price_table,
                   "Dated table of accelerator hours; the newest full one unless given");
  verb->add_option("--price-basis", options->price_basis,
                   "tco_hyperscaler, tco_neocloud or rental");
  verb->add_flag("--by-engine", options->by_engine,
                 "A row per engine, speculation and serving mode");
  verb->add_option("--compare", options->compare,
                   "Two accelerators, ratio over interactivity: gb300,h100 or gb300:fp4,h200:fp8");
  verb->add_option("--curve", options->curve,
                   "Write output tokens/s over the watts of a GPU, for a power tree: of the best "
                   "modelled deployment, or of measured rows with --curve-of")
      ->type_name("OUT.csv");
  verb->add_option("--curve-of", options->curve_of,
                   "The measured row of --curve: h200 or h200:fp8");
  verb->add_flag("--json", options->json, "Print JSON");
  add_modelled_frontier_options(*verb, options->modelled);
  add_catalog_option(*verb, options->data);
  add_points_option(*verb, options->data);
  verb->footer(
      "Examples:\n"
      "  perwatt frontier --model deepseek-r1 --isl 8192 --osl 1024 --min-interactivity 50tok/s\n"
      "  perwatt frontier --model deepseek-r1 --isl 8192 --osl 1024 --min-interactivity 50tok/s "
      "--compare gb300,h100\n"
      "  perwatt frontier --model deepseek-r1 --isl 8192 --osl 1024 --min-interactivity 20tok/s "
      "--curve curve.csv --curve-of h200:fp8\n"
      "  perwatt frontier --model llama-3.1-70b --task lm-arena-chat\n"
      "  perwatt frontier --model qwen3-32b --accelerator h200 --gpus 32 --precision fp8 --engine "
      "trtllm --isl 4000 --osl 1000 --max-ttft 1s --max-tpot 20ms --explain\n"
      "  perwatt frontier --model qwen3-32b --accelerator h200 --gpus 8 --isl 4000 --osl 1000 "
      "--serving aggregated --json\n"
      "  perwatt frontier --model llama-3.1-70b --accelerator h200 --precision fp8 --isl 4000 "
      "--osl 500 --max-tpot 40ms --gpu-cap 400W\n"
      "  perwatt frontier --model llama-3.1-70b --accelerator h200 --precision fp8 --isl 4000 "
      "--osl 500 --max-ttft 2s --max-tpot 40ms --arrival-pattern poisson --request-rate 4req/s\n"
      "  perwatt frontier --model qwen3-32b --accelerator own-accelerator --catalog "
      "examples/catalog --isl 4000 --osl 1000 --max-tpot 30ms");
  verb->callback([options] {
    auto& modelled = options->modelled;
    if (modelled.accelerator.empty()) {
      run(*options);
      return;
    }
    if (!options->curve_of.empty()) {
      throw Error{ErrorCode::usage, "a measured row beside --accelerator", "--curve-of",
                  "leave it out: --curve writes the best modelled deployment"};
    }
    modelled.model = options->model;
    modelled.isl_tokens = options->isl_tokens;
    modelled.osl_tokens = options->osl_tokens;
    modelled.max_ttft = options->max_ttft;
    modelled.json = options->json;
    modelled.curve = options->curve;
    run_modelled_frontier(modelled, options->data);
  });
}

}  // namespace perwatt::cli
