// perwatt train: the exact time-energy frontier of a training pipeline, and a plan on it.
#include <algorithm>
#include <filesystem>
#include <utility>

#include "output_files.hpp"
#include "power_curves.hpp"
#include "table.hpp"
#include "train_question.hpp"
#include "verbs.hpp"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/training/plan_file.hpp"

namespace perwatt::cli {

namespace {

using nlohmann::ordered_json;
using report::joules_text;
using report::seconds_text;
using training::FrequencyPlan;
using training::Planner;

struct TrainOptions {
  PipelineOptions pipeline;
  std::string frontier;
  std::string curve;
  std::string at;
  bool least_energy = false;
  std::string power_cap;
  std::string straggler;
  int most_switches = -1;
  std::string plan;
  std::string frequencies;
  std::string report;
  bool json = false;
};

struct ReplayOptions {
  PipelineOptions pipeline;
  std::string plan;
  std::string report;
  bool json = false;
};

/// The question the plan answers, and the plan or why there is none.
struct Answer {
  std::string question;
  std::optional<FrequencyPlan> plan;
  std::string reason;
};

Answer plan_at(const Planner& planner, Seconds time, int most_switches, std::string question) {
  Answer answer{std::move(question), std::nullopt, ""};
  const bool has_budget = most_switches >= 0;
  answer.plan = has_budget ? planner.at(time, most_switches) : planner.at(time);
  if (has_budget) {
    answer.question += fmt::format(", at most {} switches", most_switches);
  }
  if (!answer.plan) {
    answer.reason =
        has_budget && planner.at(time)
            ? "no plan with so few switches was found in that time"
            : "no iteration is shorter than " + seconds_text(planner.frontier().fastest());
  }
  return answer;
}

Answer answer_to(const TrainOptions& options, const Planner& planner) {
  if (!options.at.empty()) {
    const auto time = parse_flag([&] { return parse_seconds(options.at, "--at"); });
    return plan_at(planner, time, options.most_switches, "within " + seconds_text(time));
  }
  if (options.least_energy) {
    return {"least energy", planner.least_energy(), ""};
  }
  if (!options.power_cap.empty()) {
    const auto cap = parse_flag([&] { return parse_watts(options.power_cap, "--power-cap"); });
    Answer answer{"mean power at most " + power_text(cap), planner.under_power(cap), ""};
    if (!answer.plan) {
      answer.reason = "no plan draws so little; waiting GPUs alone draw " +
                      power_text(planner.frontier().blocking());
    }
    return answer;
  }
  if (!options.straggler.empty()) {
    const auto time = parse_flag([&] { return parse_seconds(options.straggler, "--straggler"); });
    Answer answer{"waiting for a pipeline that takes " + seconds_text(time),
                  planner.with_straggler(time), ""};
    if (!answer.plan) {
      answer.reason = "no iteration is shorter than " + seconds_text(planner.frontier().fastest());
    }
    return answer;
  }
  return plan_at(planner, planner.all_max().time, options.most_switches,
                 "no slower than at full clocks");
}

void write_frontier(const training::TimeEnergyFrontier& frontier, const std::string& path) {
  auto text = csv_line({"time_seconds", "energy_joules", "effective_energy_joules", "slope_watts"});
  for (const auto& point : frontier.points()) {
    text +=
        csv_line({shortest(point.time.in_base()), shortest(frontier.energy(point.time).in_base()),
                  shortest(point.effective_energy.in_base()), shortest(point.slope.in_base())});
  }
  write_file(path, text);
}

std::filesystem::path markdown_beside(const std::filesystem::path& report) {
  auto beside = report;
  return beside.replace_extension(".md");
}

/// FILE.html with FILE.md beside it.
void write_report(const std::filesystem::path& file, const PipelineOptions& options,
                  const AskedPipeline& asked, const Planner& planner, const Answer& answer) {
  report::TrainingReport report;
  report.planner = &planner;
  report.question = answer.question;
  report.plan = answer.plan;
  report.reason = answer.reason;
  report.inputs = stated_inputs(options);
  report.inputs.push_back({"question", answer.question});
  report.repeated_rows = asked.profile.repeated_rows;
  report.fit = asked.fit;
  report.fit_error_ratio = asked.fit_error_ratio;
  report.version = PERWATT_VERSION;
  write_file(file, report::training_html(report));
  write_file(markdown_beside(file), report::training_markdown(report));
}

ordered_json plan_summary_json(const Planner& planner, const FrequencyPlan& plan) {
  return {{"time_seconds", plan.time.in_base()},
          {"energy_joules", plan.energy.in_base()},
          {"lower_bound_joules", plan.lower_bound.in_base()},
          {"gap_ratio", plan.gap_ratio()},
          {"busy_seconds", plan.busy.in_base()},
          {"effective_energy_joules", plan.effective_energy.in_base()},
          {"mean_power_watts", plan.mean_power().in_base()},
          {"switches", plan.switches},
          {"saved_ratio", planner.saved_ratio(plan)},
          {"slowdown_ratio", plan.time / planner.all_max().time - 1},
          {"tag", "derived"}};
}

ordered_json pipeline_json(const AskedPipeline& asked, const Planner& planner) {
  const auto& frontier = planner.frontier();
  const auto& all_max = planner.all_max();
  std::size_t dominated = 0;
  for (const auto& work : asked.pipeline.works) {
    dominated += work.dominated;
  }
  const auto at = [&](Seconds time) {
    return ordered_json{{"time_seconds", time.in_base()},
                        {"energy_joules", frontier.energy(time).in_base()}};
  };
  ordered_json json{{"stages", asked.pipeline.stages},
                    {"operations", asked.pipeline.operations.size()},
                    {"breakpoints", frontier.points().size()},
                    {"blocking_power_watts", asked.pipeline.blocking_power.in_base()},
                    {"dominated_options", dominated},
                    {"repeated_rows", asked.profile.repeated_rows}};
  json["all_max"] = {{"time_seconds", all_max.time.in_base()},
                     {"energy_joules", all_max.energy.in_base()},
                     {"mean_power_watts", (all_max.energy / all_max.time).in_base()}};
  json["frontier"] = {{"fastest", at(frontier.fastest())},
                      {"at_all_max_time", at(std::max(all_max.time, frontier.fastest()))},
                      {"least_energy", at(frontier.least_energy_time())},
                      {"slowest", at(frontier.slowest())}};
  if (asked.fit) {
    json["fit"] = {{"transfer_seconds", asked.fit->transfer.in_base()},
                   {"tail_seconds", asked.fit->tail.in_base()},
                   {"mean_absolute_error_ratio", asked.fit_error_ratio}};
  }
  json["notes"] = asked.pipeline.notes;
  return json;
}

void print_pipeline(const AskedPipeline& asked, const Planner& planner) {
  const auto& frontier = planner.frontier();
  fmt::print(
      "{} operations on {} stages, {} breakpoints; energy per GPU of a tensor parallel group,\n"
      "summed over stages (GPU boards, from the profile)\n",
      asked.pipeline.operations.size(), asked.pipeline.stages, frontier.points().size());
  if (asked.fit) {
    fmt::print("Fitted: transfer {}, tail {}; measured iterations within {:.2f} % on average\n",
               seconds_text(asked.fit->transfer), seconds_text(asked.fit->tail),
               asked.fit_error_ratio * 100);
  }
  for (const auto& note : asked.pipeline.notes) {
    fmt::print("Note: {}\n", note);
  }
  const auto& all_max = planner.all_max();
  TextTable table{{"", "iteration", "energy", "mean power", "saved"}};
  const auto add = [&](const char* name, Seconds time, Joules energy) {
    table.add({name, seconds_text(time), joules_text(energy), power_text(energy / time),
               fmt::format("{:.2f} %", (1 - energy / all_max.energy) * 100)});
  };
  add("full clocks", all_max.time, all_max.energy);
  add("fastest, bound", frontier.fastest(), frontier.energy(frontier.fastest()));
  if (all_max.time > frontier.fastest()) {
    add("as full clocks, bound", all_max.time, frontier.energy(all_max.time));
  }
  add("least energy, bound", frontier.least_energy_time(),
      frontier.energy(frontier.least_energy_time()));
  fmt::print("{}", table.text());
}

void print_plan(const Planner& planner, const std::string& question, const FrequencyPlan& plan) {
  fmt::print("Plan, {}: {}, {}, {}\n", question, seconds_text(plan.time), joules_text(plan.energy),
             power_text(plan.mean_power()));
  if (plan.time > plan.busy) {
    fmt::print("  busy for {}, then waiting\n", seconds_text(plan.busy));
  }
  fmt::print(
      "  {:.2f} % less energy than full clocks over that time; {:.3f} % above the lower bound; "
      "{} switches\n",
      planner.saved_ratio(plan) * 100, std::max(0.0, plan.gap_ratio()) * 100, plan.switches);
}

/// The report and the Markdown beside it.
NamedFiles report_files(const std::string& report) {
  if (report.empty()) {
    return {};
  }
  return {{"--report", report}, {"the Markdown beside --report", markdown_beside(report).string()}};
}

void check(const TrainOptions& options) {
  auto outputs = report_files(options.report);
  outputs.insert(outputs.end(), {{"--frontier", options.frontier},
                                 {"--curve", options.curve},
                                 {"--plan", options.plan},
                                 {"--freqs", options.frequencies}});
  check_outputs({{"PROFILE", options.pipeline.profile},
                 {"--dag", options.pipeline.dag},
                 {"--fit-iterations", options.pipeline.iterations}},
                outputs);
  const int questions = (options.at.empty() ? 0 : 1) + (options.least_energy ? 1 : 0) +
                        (options.power_cap.empty() ? 0 : 1) + (options.straggler.empty() ? 0 : 1);
  if (questions > 1) {
    throw Error{ErrorCode::usage, "two questions for one plan", "train",
                "give one of --at, --min-energy, --power-cap and --straggler"};
  }
  if (options.most_switches >= 0 && questions > (options.at.empty() ? 0 : 1)) {
    throw Error{ErrorCode::usage, "a budget of switches goes with a time", "--max-switches",
                "give --at, or no other question"};
  }
}

void run_train(const TrainOptions& options) {
  check(options);
  const auto asked = read_pipeline(options.pipeline);
  const Planner planner{asked.pipeline};
  if (!options.frontier.empty()) {
    write_frontier(planner.frontier(), options.frontier);
  }
  const auto answer = answer_to(options, planner);
  if (answer.plan && !options.plan.empty()) {
    write_file(options.plan, training::plan_json(*answer.plan, asked.pipeline));
  }
  if (answer.plan && !options.frequencies.empty()) {
    write_file(options.frequencies, training::plan_python(*answer.plan, asked.pipeline));
  }
  if (!options.curve.empty()) {
    write_file(options.curve, curve::curve_file_text(training_curve(asked.pipeline)));
  }
  if (!options.report.empty()) {
    write_report(options.report, options.pipeline, asked, planner, answer);
  }
  if (options.json) {
    auto json = pipeline_json(asked, planner);
    json["question"] = answer.question;
    json["status"] = answer.plan ? "ok" : "infeasible";
    if (answer.plan) {
      json["plan"] = plan_summary_json(planner, *answer.plan);
    } else {
      json["reason"] = answer.reason;
    }
    fmt::print("{}\n", json.dump(2));
    return;
  }
  print_pipeline(asked, planner);
  if (answer.plan) {
    print_plan(planner, answer.question, *answer.plan);
    const auto least = planner.frontier().least_energy_time();
    if (!options.at.empty() && answer.plan->time > least) {
      fmt::print("  an iteration of {} takes less energy: --min-energy\n", seconds_text(least));
    }
  } else {
    fmt::print("Plan, {}: infeasible, {}\n", answer.question, answer.reason);
    for (const auto& path : {options.plan, options.frequencies}) {
      if (!path.empty()) {
        fmt::print("  {} was not written\n", path);
      }
    }
  }
}

void run_replay(const ReplayOptions& options) {
  check_outputs({{"PLAN", options.plan},
                 {"--profile", options.pipeline.profile},
                 {"--dag", options.pipeline.dag},
                 {"--fit-iterations", options.pipeline.iterations}},
                report_files(options.report));
  const auto table = training::read_plan(read_file(options.plan), options.plan);
  const auto asked = read_pipeline(options.pipeline);
  const Planner planner{asked.pipeline};
  const auto plan = planner.score(training::match(table, asked.pipeline));
  if (!options.report.empty()) {
    write_report(options.report, options.pipeline, asked, planner,
                 {"the plan of " + options.plan, plan, ""});
  }
  if (options.json) {
    auto json = pipeline_json(asked, planner);
    json["plan"] = plan_summary_json(planner, plan);
    fmt::print("{}\n", json.dump(2));
    return;
  }
  print_pipeline(asked, planner);
  print_plan(planner, options.plan, plan);
}

void add_report_option(CLI::App& verb, std::string& file) {
  verb.add_option("--report", file, "Write a self-contained HTML report, with .md beside it")
      ->type_name("OUT.html")
      ->check(html_name_fault);
}

void add_replay(CLI::App& train) {
  auto options = std::make_shared<ReplayOptions>();
  auto* verb = train.add_subcommand("replay", "Score a plan, also another tool's");
  verb->add_option("PLAN", options->plan,
                   "What --plan or --freqs wrote, or a freqs_pipeline_*.py of zeus or lowtime")
      ->required()
      ->type_name("PLAN");
  verb->add_option("--profile", options->pipeline.profile, "The profile to replay on")
      ->type_name("PROFILE.csv");
  add_pipeline_options(*verb, options->pipeline);
  add_report_option(*verb, options->report);
  verb->add_flag("--json", options->json, "Print JSON");
  verb->footer(
      "Examples:\n"
      "  perwatt train replay tests/data/training/freqs_pipeline_3.1s.py --profile "
      "tests/data/training/gpt3-175b+a100_sxm_bf16.csv --stages 8 --microbatches 12 "
      "--blocking-power 83.64W");
  verb->callback([options, &train] {
    refuse_flags_before(train, "replay");
    run_replay(*options);
  });
}

}  // namespace

void add_train_verb(CLI::App& app) {
  auto options = std::make_shared<TrainOptions>();
  auto* verb = app.add_subcommand(
      "train", "The exact time-energy frontier of a training pipeline, and frequency plans");
  verb->add_option("PROFILE", options->pipeline.profile,
                   "stage,instruction,frequency,time,energy of each operation (MHz, s, J)")
      ->type_name("PROFILE.csv");
  add_pipeline_options(*verb, options->pipeline);
  verb->get_option("--blocking-power")->required(false);
  verb->add_option("--curve", options->curve,
                   "Write iterations/s over the watts of a GPU, for a power tree")
      ->type_name("OUT.csv");
  verb->add_option("--frontier", options->frontier, "Write every breakpoint of the frontier")
      ->type_name("OUT.csv");
  verb->add_option("--at", options->at, "Plan an iteration of at most this time, e.g. 3.1s");
  verb->add_flag("--min-energy", options->least_energy, "Plan for the least energy");
  verb->add_option("--power-cap", options->power_cap,
                   "Plan for this mean power over the iteration, all stages, e.g. 2kW");
  verb->add_option("--straggler", options->straggler,
                   "Plan for waiting on another pipeline whose iteration takes this time");
  verb->add_option("--max-switches", options->most_switches,
                   "At most so many changes of the setting per iteration, over all stages")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--plan", options->plan, "Write the plan")->type_name("OUT.json");
  verb->add_option("--freqs", options->frequencies, "Write the plan as zeus and lowtime read it")
      ->type_name("OUT.py");
  add_report_option(*verb, options->report);
  verb->add_flag("--json", options->json, "Print JSON");
  verb->footer(
      "Without a question the plan takes no longer than full clocks do: energy saved at no cost "
      "in\n"
      "time. Method: docs/model/training.md; files: docs/reference/training-profile.md.\n"
      "Examples:\n"
      "  perwatt train tests/data/training/gpt3-175b+a100_sxm_bf16.csv --stages 8 --microbatches "
      "12 "
      "--blocking-power 83.64W\n"
      "  perwatt train tests/data/training/gpt3-175b+a100_sxm_bf16.csv --stages 8 --microbatches "
      "12 "
      "--blocking-power 83.64W --at 3.1s --json\n"
      "  perwatt train tests/data/training/gpt3-175b+a100_sxm_bf16.csv --stages 8 --microbatches "
      "12 "
      "--blocking-power 83.64W --straggler 3.4s --report report.html\n"
      "  perwatt train tests/data/training/bloom+a40_bf16.csv --stages 8 --microbatches 24 "
      "--schedule gpipe --blocking-power 70.38W --power-cap 1200W");
  add_replay(*verb);
  add_train_serve(*verb);
  add_train_profile(*verb);
  verb->require_subcommand(0, 1);
  verb->callback([options, verb] {
    if (!verb->get_subcommands().empty()) {
      return;
    }
    if (options->pipeline.blocking_power.empty()) {
      throw Error{ErrorCode::usage, "no blocking power", "train",
                  "give --blocking-power, what a GPU draws while it waits"};
    }
    run_train(*options);
  });
}

}  // namespace perwatt::cli
