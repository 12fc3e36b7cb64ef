// perwatt train profile: from profiler traces and a power series to a profile, and where time and
// energy go.
#include <algorithm>
#include <filesystem>
#include <numeric>

#include "output_files.hpp"
#include "train_profile_output.hpp"
#include "train_profile_power.hpp"
#include "train_question.hpp"
#include "verbs.hpp"
#include <fmt/format.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::cli {

namespace {

constexpr int kMostLayout = 4096;  // four of them multiply to less than 64 bits
constexpr int kMostRanks = 1 << 20;

struct ProfileOptions {
  std::vector<std::string> traces;
  std::vector<int> ranks;
  int stages = 0;
  int tensor = 1;
  int context = 1;
  int data = 1;
  std::vector<std::string> instructions;
  std::string iteration = "ProfilerStep";
  PowerOptions power;
  std::string frequency;
  std::string profile;
  bool append = false;
  double tokens = 0;
  std::string energy_price;
  double facility_factor = 0;
  bool json = false;
};

int parse_megahertz(const std::string& text) {
  constexpr std::string_view kUnit = "MHz";
  const auto clean = trimmed(text);
  const auto number = clean.ends_with(kUnit)
                          ? parse_integer(trimmed(clean.substr(0, clean.size() - kUnit.size())))
                          : std::nullopt;
  if (!number || *number < 1 || *number > 100000) {
    throw Error{ErrorCode::usage, "'" + printable(text) + "' is no clock", "--frequency",
                "write whole megahertz with their unit, as in 1410MHz"};
  }
  return static_cast<int>(*number);
}

training::AnnotationNames names_of(const ProfileOptions& options) {
  training::AnnotationNames names;
  names.iteration = options.iteration;
  for (const auto& text : options.instructions) {
    const auto mark = text.find('=');
    const auto instruction = text.substr(0, mark);
    const auto list =
        mark == std::string::npos ? std::vector<std::string>{} : split(text.substr(mark + 1), ',');
    const bool is_complete =
        !instruction.empty() && !list.empty() &&
        std::none_of(list.begin(), list.end(), [](const auto& name) { return name.empty(); });
    if (!is_complete) {
      throw Error{ErrorCode::usage, "'" + printable(text) + "' names no annotation",
                  "--instruction", "write INSTRUCTION=NAME[,NAME…], as in forward=forward_step"};
    }
    names.instructions[instruction] = list;
  }
  return names;
}

void check(const ProfileOptions& options) {
  const auto refuse = [](const char* what, const char* flag, const char* remedy) {
    throw Error{ErrorCode::usage, what, flag, remedy};
  };
  if (!options.profile.empty() && options.power.files.empty()) {
    refuse("a profile needs energy", "--profile", "give --power");
  }
  if (options.profile.empty() != options.frequency.empty()) {
    refuse("a profile and its clock go together", "--profile, --frequency",
           "give both, or neither");
  }
  if (options.append && options.profile.empty()) {
    refuse("there is no file to append to", "--append", "give --profile");
  }
  if (options.tokens > 0 && options.power.files.empty()) {
    refuse("tokens need energy", "--tokens", "give --power");
  }
  if (options.tokens <= 0 && (!options.energy_price.empty() || options.facility_factor > 0)) {
    refuse("a price is one of a token", "--energy-price, --facility-factor", "give --tokens");
  }
  if (options.facility_factor > 0 && options.energy_price.empty()) {
    refuse("the factor scales the price", "--facility-factor", "give --energy-price");
  }
  if (!options.ranks.empty() && options.ranks.size() != options.traces.size()) {
    refuse("ranks and traces differ in number", "--ranks", "give one rank for each trace");
  }
  if (options.stages == 0 && (options.tensor > 1 || options.context > 1 || options.data > 1)) {
    refuse("a layout needs its stages", "--tensor, --context, --data", "give --stages, 1 if none");
  }
  if (std::int64_t{options.stages} * options.tensor * options.context * options.data > kMostRanks) {
    refuse("the layout has more than a million ranks", "--stages, --tensor, --context, --data",
           "check the sizes");
  }
  if (options.power.files.empty() &&
      (!options.power.meters.empty() || !options.power.averaging.empty() ||
       !options.power.clock_offset.empty())) {
    refuse("there is no power series", "--meter, --averaging, --clock-offset", "give --power");
  }
  NamedFiles inputs;
  for (const auto& trace : options.traces) {
    inputs.emplace_back("TRACE", trace);
  }
  for (const auto& file : options.power.files) {
    inputs.emplace_back("--power", power_path(file));
  }
  check_outputs(inputs, {{"--profile", options.profile}});
}

/// The rank that --ranks gives a trace; what the trace says itself stands.
void take_rank(training::RankTrace& trace, int rank) {
  if (trace.rank && *trace.rank != rank) {
    throw Error{
        ErrorCode::usage,
        fmt::format("{} says that it is rank {}, not {}", printable(trace.file), *trace.rank, rank),
        "--ranks", "give the traces in the order of --ranks, or leave it out"};
  }
  trace.rank = rank;
}

training::JobTimeline read_job(const ProfileOptions& options) {
  training::TimelineOptions timeline;
  timeline.names = names_of(options);
  if (options.stages > 0) {
    timeline.layout =
        training::RankLayout{options.stages, options.tensor, options.context, options.data};
  }
  std::vector<training::RankTrace> traces;
  auto left = training::kMostTraceEntries;
  for (std::size_t i = 0; i < options.traces.size(); ++i) {
    traces.push_back(training::read_trace(options.traces[i], left));
    left -= traces.back().entries;
    if (!options.ranks.empty()) {
      take_rank(traces.back(), options.ranks[i]);
    }
  }
  return training::make_job_timeline(std::move(traces), timeline);
}

/// Index of the iteration of median length.
std::size_t median_iteration(const training::JobTimeline& job) {
  std::vector<std::size_t> order(job.iterations.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return job.iterations[a].length() < job.iterations[b].length();
  });
  return order[(order.size() - 1) / 2];
}

/// What each phase of rank `r` draws. A profile needs it; else the report says why it is not known.
std::vector<std::optional<training::PhasePower>> powers_of(TraceReport& report,
                                                           const RankMeters& meters, std::size_t r,
                                                           const training::RankPhases& phases,
                                                           bool is_needed) {
  if (phases.other() == 0) {
    return {};  // no instruction
  }
  const auto& meter = meters.meters[r];
  const auto where = meter.meter.source + ": meter '" + printable(meter.meter.id) + "'";
  try {
    if (!meters.averaging && !training::has_counter(meter)) {
      throw_bad_input(
          "the series has no energy counter, and what a power reading is the mean of is not said",
          where,
          "give --averaging: 1s for nvidia-smi's power.draw since Ampere (but GA100), 0s for "
          "instantaneous values");
    }
    const auto readings =
        training::power_readings(meter, meters.averaging.value_or(Seconds{}), meters.offset);
    return training::attribute_power(phases, readings, where);
  } catch (const Error& error) {
    if (is_needed) {
      throw;
    }
    report.notes.emplace_back(error.what());
    return {};
  }
}

/// Instructions, with energy where there is a power series.
void add_figures(TraceReport& report, const std::optional<RankMeters>& meters, bool is_needed) {
  const auto window = report.job.window();
  std::vector<training::InstructionFigures> closing;
  for (std::size_t r = 0; r < report.job.ranks.size(); ++r) {
    const auto phases = training::phases_of(report.job.ranks[r], window);
    std::vector<std::optional<training::PhasePower>> powers;
    if (meters) {
      powers = powers_of(report, *meters, r, phases, is_needed);
    }
    const auto figures = training::instruction_figures(report.job, r, phases, powers);
    report.figures.insert(report.figures.end(), figures.begin(), figures.end());
    if (const auto last = training::closing_figures(report.job, r, phases, powers)) {
      closing.push_back(*last);
    }
    report.powers.push_back(std::move(powers));
    report.phase_names.push_back(phases.names);
  }
  // A profile wants the same instructions of every rank.
  if (closing.size() == report.job.ranks.size()) {
    report.closing = std::move(closing);
  }
}

TokenCost token_cost(const ProfileOptions& options, const training::JobTimeline& job) {
  if (!job.is_world_size_known) {
    throw_bad_input("the traces do not say how many ranks the job has (distributedInfo)",
                    "--tokens", "give --stages, with --tensor, --context and --data");
  }
  TokenCost cost;
  cost.per_iteration = Tokens::from_base(options.tokens);
  std::vector<int> per_stage(static_cast<std::size_t>(job.stages));
  for (const auto& rank : job.ranks) {
    ++per_stage[static_cast<std::size_t>(rank.place.stage)];
  }
  const auto traced = static_cast<int>(job.ranks.size());
  if (traced != job.world_size && !job.are_stages_known) {
    throw_bad_input(fmt::format("{} of {} ranks are traced, and the stages they stand for are not "
                                "known (no process group of a pipeline)",
                                traced, job.world_size),
                    "--tokens", "give --stages, 1 if none, with --tensor, --context and --data");
  }
  const bool is_even = std::all_of(per_stage.begin(), per_stage.end(),
                                   [&](int count) { return count == per_stage.front(); });
  if (traced != job.world_size && !is_even) {
    throw_bad_input(
        fmt::format("{} of {} ranks are traced, not as many of each stage", traced, job.world_size),
        "--tokens", "give the traces of all ranks, or of as many for each stage");
  }
  cost.rank_scale = static_cast<double>(job.world_size) / traced;
  if (!options.energy_price.empty()) {
    cost.price =
        parse_flag([&] { return parse_energy_price(options.energy_price, "--energy-price"); });
  }
  if (options.facility_factor > 0) {
    cost.facility_factor = options.facility_factor;
  }
  return cost;
}

void write_profile(const ProfileOptions& options, TraceReport& report) {
  const bool is_there = std::filesystem::exists(options.profile);
  const auto earlier = options.append && is_there ? read_file(options.profile) : std::string{};
  auto rows = report.figures;
  rows.insert(rows.end(), report.closing.begin(), report.closing.end());
  const auto text =
      training::profile_csv(report.job, rows, *report.frequency_mhz, earlier, options.profile);
  write_file(options.profile, text);
  report.profile = options.profile;
}

void run_profile(const ProfileOptions& options) {
  check(options);
  TraceReport report;
  if (!options.frequency.empty()) {
    report.frequency_mhz = parse_megahertz(options.frequency);
  }
  report.job = read_job(options);
  std::optional<RankMeters> meters;
  if (!options.power.files.empty()) {
    meters = read_rank_meters(options.power, report.job);
    for (const auto& meter : meters->meters) {
      report.meters.push_back(meter.meter.id);
    }
    report.energy = energy_of(*meters, report.job);
  }
  if (options.tokens > 0) {
    report.tokens = token_cost(options, report.job);
  }
  report.schedule = training::traced_schedule(report.job);
  report.breakdown = training::break_down(report.job, report.schedule);
  report.path_iteration = median_iteration(report.job);
  report.schedule_path =
      training::schedule_path(report.job, report.schedule, report.path_iteration);
  report.kernel_path = training::kernel_path(report.job, report.schedule, report.path_iteration);
  add_figures(report, meters, !options.profile.empty());
  if (!options.profile.empty()) {
    write_profile(options, report);
  }
  if (options.json) {
    fmt::print("{}\n", trace_report_json(report));
  } else {
    print_trace_report(report);
  }
}

void add_layout_options(CLI::App& verb, ProfileOptions& options) {
  verb.add_option("--ranks", options.ranks,
                  "Ranks of the traces in their order, where they do not say it themselves")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(0, kMostRanks));
  verb.add_option("--stages", options.stages,
                  "Pipeline stages; by default the process groups in the traces say it")
      ->check(CLI::Range(1, kMostLayout));
  verb.add_option("--tensor", options.tensor, "Tensor parallel size; ranks count it fastest")
      ->check(CLI::Range(1, kMostLayout));
  verb.add_option("--context", options.context, "Context parallel size, the next")
      ->check(CLI::Range(1, kMostLayout));
  verb.add_option("--data", options.data, "Data parallel size, the next; stages are the slowest")
      ->check(CLI::Range(1, kMostLayout));
  verb.add_option("--instruction", options.instructions,
                  "Annotations that stand for an instruction: forward=NAME,NAME,…")
      ->allow_extra_args(false)
      ->type_name("INSTRUCTION=NAME,…");
  verb.add_option("--iteration", options.iteration,
                  "Annotation of an iteration; ProfilerStep by default");
}

void add_power_options(CLI::App& verb, ProfileOptions& options) {
  verb.add_option("--power", options.power.files, "Power of the GPUs while they were traced")
      ->allow_extra_args(false)
      ->type_name("FILE.csv[?timezone=+02:00]");
  verb.add_option(
          "--meter", options.power.meters,
          "Meter of a rank; by default rank3, or gpu3 on device 3 of a machine that is traced "
          "whole")
      ->allow_extra_args(false)
      ->type_name("RANK=METER");
  verb.add_option(
      "--averaging", options.power.averaging,
      "A power reading is the mean over this time before it, 0s an instantaneous value; "
      "needed for the energy of instructions where there is no energy counter");
  verb.add_option("--clock-offset", options.power.clock_offset,
                  "Clock of the power series less that of the traces, e.g. 0.2s or =-0.2s");
  verb.add_option("--tokens", options.tokens, "Tokens that an iteration of the whole job trains")
      ->check(CLI::PositiveNumber);
  verb.add_option("--energy-price", options.energy_price, "Price of energy, e.g. 0.08USD/kWh");
  verb.add_option("--facility-factor", options.facility_factor,
                  "Energy at the meter per energy at GPU boards, for the price")
      ->check(CLI::Range(1.0, 10.0));
}

}  // namespace

void add_train_profile(CLI::App& train) {
  auto options = std::make_shared<ProfileOptions>();
  auto* verb = train.add_subcommand(
      "profile",
      "Turn profiler traces and a power series into a profile, and show where time goes");
  verb->add_option("TRACE", options->traces,
                   "Traces of one run, one per rank: torch.profiler's JSON, plain or gzip")
      ->required()
      ->type_name("TRACE.json");
  add_layout_options(*verb, *options);
  add_power_options(*verb, *options);
  verb->add_option("--frequency", options->frequency, "GPU clock of the run, e.g. 1410MHz");
  verb->add_option("--profile", options->profile, "Write the profile that perwatt train reads")
      ->type_name("OUT.csv");
  verb->add_flag("--append", options->append, "Keep the rows of OUT.csv: a profile of many clocks");
  verb->add_flag("--json", options->json, "Print JSON");
  verb->footer(
      "Method: docs/model/training.md; files and flags: docs/reference/training-traces.md.\n"
      "Examples:\n"
      "  perwatt train profile tests/data/training/traces/rank0.json "
      "tests/data/training/traces/rank1.json\n"
      "  perwatt train profile tests/data/training/traces/rank0.json "
      "tests/data/training/traces/rank1.json --power tests/data/training/traces/power.csv "
      "--averaging 0s --tokens 8192 --energy-price 0.08USD/kWh --frequency 1410MHz --profile "
      "/tmp/profile.csv\n"
      "  perwatt train profile tests/data/training/traces/rank0.json "
      "tests/data/training/traces/rank1.json --json");
  verb->callback([options, &train] {
    refuse_flags_before(train, "profile");
    run_profile(*options);
  });
}

}  // namespace perwatt::cli
