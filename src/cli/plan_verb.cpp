// perwatt plan: site file -> catalog + points -> candidates -> linear program -> answer and report.
#include <filesystem>
#include <system_error>

#include "lever_json.hpp"
#include "lever_text.hpp"
#include "plan_json.hpp"
#include "plan_text.hpp"
#include "progress.hpp"
#include "serving_data.hpp"
#include "site_json.hpp"
#include "verbs.hpp"
#include <fmt/format.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/inference/serving/calibration_file.hpp"
#include "perwatt/inference/serving/modelled_serving.hpp"
#include "perwatt/plan/plan.hpp"
#include "perwatt/report/claims.hpp"
#include "perwatt/report/plan_report.hpp"

namespace perwatt::cli {

namespace {

struct PlanOptions {
  DataOptions data;
  std::string site_file;
  std::string baseline;
  std::string report_file;
  std::string candidates_file;
  std::string only;
  std::uint64_t seed = 1;
  bool allow_unknown_ttft = false;
  bool no_levers = false;
  bool measured_only = false;
  bool json = false;
};

/// What deployments are known by.
struct Evidence {
  const catalog::Catalog& catalog;
  std::span<const inference::MeasuredPoint> points;
  const inference::GpuPowerEstimator& estimator;
  inference::serving::ModelledServing* modelled;  // null: measured rows alone

  [[nodiscard]] plan::OptionSet options(std::span<const plan::Service> services,
                                        const std::set<std::string>& accelerators) const {
    return plan::find_options(services, accelerators, points, estimator, modelled);
  }
};

/// A site with everything needed to solve it, in one place that does not move.
struct Case {
  plan::Site site;
  plan::CandidateSet set;
  plan::Plan plan;

  [[nodiscard]] SolvedSite solved() const { return {&site, &set, &plan}; }
};

std::unique_ptr<Case> solve(plan::Site site, const PlanOptions& options, const Evidence& evidence) {
  auto result = std::make_unique<Case>();
  result->site = std::move(site);
  for (auto& service : result->site.services) {
    service.slo.allow_unknown_ttft = options.allow_unknown_ttft;
  }
  result->set = plan::build_candidates(result->site, evidence.catalog, evidence.points,
                                       evidence.estimator, evidence.modelled);
  result->plan = plan::solve_plan(result->site, result->set);
  return result;
}

/// The site to compare with: --baseline, else the site file's [baseline], else none.
std::optional<plan::Site> baseline_site(const plan::Site& site, const PlanOptions& options,
                                        const catalog::Catalog& catalog) {
  const auto& named = options.baseline.empty() ? site.baseline.site : options.baseline;
  if (named.empty()) {
    return std::nullopt;
  }
  if (named == "self") {
    return plan::as_it_stands(site);
  }
  return plan::load_site(named, catalog);
}

/// By service: what the site's systems have been measured to do, whatever the SLO.
std::vector<inference::Frontier> frontiers_of(const plan::Site& site, const Evidence& evidence) {
  std::vector<inference::Frontier> frontiers;
  for (const auto& service : site.services) {
    inference::FrontierQuery query;
    query.model = service.model;
    query.workload = service.workload;
    query.price_table = site.price_table;
    query.price_basis = site.price_basis;
    for (const auto& rack : site.racks) {
      query.systems.push_back(rack.system);
    }
    frontiers.push_back(
        inference::build_frontier(query, evidence.catalog, evidence.points, evidence.estimator));
  }
  return frontiers;
}

/// The shipped claims on the plan's data; none where no cases are installed.
std::vector<report::ClaimResult> claims_on(const catalog::Catalog& catalog,
                                           std::span<const inference::MeasuredPoint> points) {
  const auto folder = shipped_claims_folder();
  if (!folder) {
    return {};
  }
  return report::evaluate_claims(report::load_claim_cases(*folder),
                                 {&catalog, points, data_dir() / "claims"});
}

/// FILE.html with FILE.md and FILE.csv beside it.
void write_report(const std::filesystem::path& file, const report::PlanReport& report) {
  auto beside = file;
  write_file(file, report::plan_html(report));
  write_file(beside.replace_extension(".md"), report::plan_markdown(report));
  write_file(beside.replace_extension(".csv"), report::plan_csv(report));
}

plan::Attribution find_levers(const plan::Site& baseline, const plan::Site& site,
                              const PlanOptions& options, const Evidence& evidence) {
  auto accelerators = plan::accelerators_of(site, evidence.catalog);
  accelerators.merge(plan::accelerators_of(baseline, evidence.catalog));
  plan::AttributionQuery query;
  query.seed = options.seed;
  if (!options.only.empty()) {
    query.only = plan::parse_lever_class(options.only);
  }
  ProgressBar bar{"levers"};
  query.progress = [&](double share) { bar.update(share); };
  return plan::attribute(baseline, site, evidence.catalog,
                         evidence.options(site.services, accelerators), query);
}

std::vector<plan::Phase> find_phases(const plan::Site& site, const Evidence& evidence) {
  if (site.deliveries.empty()) {
    return {};
  }
  return plan::plan_phases(
      site, evidence.catalog,
      evidence.options(site.services, plan::accelerators_of(site, evidence.catalog)));
}

void refuse_overwriting(const PlanOptions& options) {
  auto beside = std::filesystem::path{options.report_file};
  if (!options.report_file.empty() && !options.candidates_file.empty() &&
      beside.replace_extension(".csv") == std::filesystem::path{options.candidates_file}) {
    throw Error{ErrorCode::usage, "'" + options.candidates_file + "' is also the report's table",
                "--candidates", "give it another name"};
  }
}

void run(const PlanOptions& options) {
  refuse_overwriting(options);
  const auto catalog = load_catalog(options.data);
  const auto site = plan::load_site(options.site_file, catalog);
  const auto base = baseline_site(site, options, catalog);
  if (!options.only.empty() && !base) {
    throw Error{ErrorCode::usage, "there is no baseline to pull levers from", "--only",
                "give --baseline self or write [baseline] in the site file"};
  }
  const auto points = load_points(options.data, catalog);
  const inference::GpuPowerEstimator estimator{points, catalog};
  std::error_code ignored;  // a data folder of the user's own may do without a model
  const bool is_modelled =
      !options.measured_only && std::filesystem::exists(calibration_folder(), ignored);
  const auto calibration = is_modelled ? inference::serving::load_calibration(calibration_folder())
                                       : inference::serving::Calibration{};
  inference::serving::ModelledServing modelled{catalog, data_dir() / "models", calibration};
  const Evidence evidence{catalog, points, estimator, is_modelled ? &modelled : nullptr};
  const auto planned = solve(site, options, evidence);
  const auto compared = base ? solve(*base, options, evidence) : nullptr;
  const auto baseline = compared ? std::optional{compared->solved()} : std::nullopt;
  if (!options.candidates_file.empty()) {
    write_file(options.candidates_file, candidates_csv(planned->solved()));
  }
  const auto levers =
      compared && !options.no_levers
          ? std::optional{find_levers(compared->site, planned->site, options, evidence)}
          : std::nullopt;
  const bool optimal = planned->plan.status == plan::PlanStatus::optimal;
  const auto sensitivities =
      optimal ? std::optional{plan::find_sensitivities(planned->site, catalog, points, estimator,
                                                       evidence.modelled)}
              : std::nullopt;
  const auto phases = find_phases(planned->site, evidence);
  if (!options.report_file.empty()) {
    write_report(options.report_file,
                 {planned->solved(), baseline, &catalog, frontiers_of(planned->site, evidence),
                  PERWATT_VERSION, levers, sensitivities, points, claims_on(catalog, points)});
  }
  if (options.json) {
    auto json = plan_json(planned->solved(), catalog, baseline);
    if (levers) {
      add_attribution(*levers, json);
    }
    if (sensitivities) {
      add_sensitivities(*sensitivities, json);
    }
    add_phases(planned->solved(), phases, json);
    fmt::print("{}\n", json.dump(2));
  } else {
    // --only asks for the levers alone, unless there is no plan to speak of.
    const bool is_short = optimal && levers && !options.only.empty() &&
                          compared->plan.status == plan::PlanStatus::optimal;
    if (!is_short) {
      fmt::print("{}", plan_text(planned->solved(), baseline));
      if (!phases.empty()) {
        fmt::print("\n{}", phases_text(planned->solved(), phases));
      }
    }
    if (levers) {
      fmt::print("{}{}", is_short ? planned->site.name + ", " : "\n", attribution_text(*levers));
    }
    if (sensitivities) {
      fmt::print("\n{}", sensitivities_text(*sensitivities));
    }
  }
}

}  // namespace

void add_plan_verb(CLI::App& app) {
  auto options = std::make_shared<PlanOptions>();
  auto* verb = app.add_subcommand(
      "plan", "What runs where, in which configuration and at which power, to earn the most");
  verb->add_option("SITE", options->site_file, "Site file (docs/reference/site.md)")
      ->required()
      ->type_name("SITE.toml");
  verb->add_option("--baseline", options->baseline,
                   "Site file to compare with, or 'self': the same site without purchases")
      ->type_name("SITE.toml|self");
  verb->add_option("--report", options->report_file,
                   "Write a self-contained HTML report, with .md and .csv beside it")
      ->type_name("FILE.html")
      ->check(html_name_fault);
  verb->add_option("--candidates", options->candidates_file,
                   "Write every serving column of the linear program with its reduced cost")
      ->type_name("FILE.csv");
  verb->add_option("--only", options->only,
                   "Pull only the levers of one class: what can be had without the others")
      ->type_name("operations|model|facility|hardware")
      ->check(CLI::IsMember({"operations", "model", "facility", "hardware"}));
  verb->add_flag("--no-levers", options->no_levers,
                 "Leave out which lever earned what, which solves up to 1024 plans")
      ->excludes("--only");
  verb->add_option("--seed", options->seed, "Of the resampled intervals")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  verb->add_flag("--allow-unknown-ttft", options->allow_unknown_ttft,
                 "Use deployments whose TTFT was not measured, marked, where a service limits it");
  verb->add_flag("--measured-only", options->measured_only,
                 "Neither model deployments that nobody measured nor scale measured ones to lower "
                 "clocks");
  verb->add_flag("--json", options->json, "Print JSON (docs/reference/plan-json.md)");
  add_catalog_option(*verb, options->data);
  add_points_option(*verb, options->data);
  verb->footer(
      "Infeasible is an answer (exit 0) with the tightest limit and what would mend it.\n"
      "Examples:\n"
      "  perwatt plan examples/site-20mw-hopper.toml\n"
      "  perwatt plan examples/site-20mw-hopper.toml --baseline self --only operations\n"
      "  perwatt plan examples/site-100mw.toml --report report.html\n"
      "  perwatt plan examples/site-phoenix-year.toml\n"
      "  perwatt plan examples/site-training.toml\n"
      "  perwatt plan examples/site-mixed-vendor.toml --json");
  verb->callback([options] { run(*options); });
}

}  // namespace perwatt::cli
