#include "train_question.hpp"

#include <cmath>
#include <utility>

#include "verbs.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/training/dag_file.hpp"

namespace perwatt::cli {

namespace {

training::PipelineShape shape_of(const PipelineOptions& options) {
  training::PipelineShape shape;
  shape.stages = options.stages;
  shape.microbatches = options.microbatches;
  shape.schedule = parse_flag([&] {
    return training::parse_schedule(options.schedule.empty() ? "1f1b" : options.schedule,
                                    "--schedule");
  });
  const auto duration = [](const std::string& text, const char* flag) {
    return text.empty() ? Seconds{} : parse_flag([&] { return parse_seconds(text, flag); });
  };
  shape.transfer = duration(options.transfer, "--transfer");
  shape.tail = duration(options.tail, "--tail");
  parse_flag([&] {
    training::check_size(shape, "--microbatches");
    return 0;
  });
  return shape;
}

void check(const PipelineOptions& options) {
  const bool has_schedule = options.stages > 0 || options.microbatches > 0;
  if (!options.dag.empty() && (has_schedule || !options.transfer.empty() || !options.tail.empty() ||
                               !options.iterations.empty() || !options.schedule.empty())) {
    throw Error{ErrorCode::usage, "a graph of operations has no schedule", "--dag",
                "leave out --stages, --microbatches, --schedule, --transfer, --tail and "
                "--fit-iterations"};
  }
  if (options.profile.empty() && options.dag.empty()) {
    throw Error{ErrorCode::usage, "no profile", "train", "give PROFILE.csv, or --dag"};
  }
  if (options.dag.empty() && (options.stages == 0 || options.microbatches == 0)) {
    throw Error{ErrorCode::usage, "the schedule has no size", "train",
                "give --stages and --microbatches, or --dag"};
  }
  if (!options.iterations.empty() && (!options.transfer.empty() || !options.tail.empty())) {
    throw Error{ErrorCode::usage, "transfer and tail are fitted", "--fit-iterations",
                "leave out --transfer and --tail"};
  }
}

}  // namespace

void refuse_flags_before(const CLI::App& train, const std::string& verb) {
  for (const auto* option : train.get_options()) {
    if (option->count() > 0) {
      throw Error{ErrorCode::usage, "it stands before " + verb + ", which does not read it",
                  option->get_name(), "give it after " + verb + ", or leave it out"};
    }
  }
}

void add_pipeline_options(CLI::App& verb, PipelineOptions& options) {
  verb.add_option("--stages", options.stages, "Pipeline stages")
      ->check(CLI::Range(1, training::kMostStages));
  verb.add_option("--microbatches", options.microbatches, "Microbatches per iteration")
      ->check(CLI::Range(1, training::kMostMicrobatches));
  verb.add_option("--schedule", options.schedule,
                  "1f1b, interleaved:V, gpipe, early-recompute or zero-bubble; 1f1b by default");
  verb.add_option("--blocking-power", options.blocking_power,
                  "What a GPU draws while it waits, e.g. 83.64W")
      ->required();
  verb.add_option("--transfer", options.transfer,
                  "Time of a transfer to another stage, e.g. 1ms; 0s by default");
  verb.add_option("--tail", options.tail,
                  "What follows the last operation whatever the plan, e.g. 40ms");
  verb.add_option("--fit-iterations", options.iterations,
                  "Fit transfer and tail to measured iterations: columns measured_iter_time_s, "
                  "fwd_s0, bwd_s0, fwd_s1, …")
      ->type_name("FILE.csv");
  verb.add_option("--dag", options.dag, "Any graph of operations instead of a schedule")
      ->type_name("FILE.json");
}

std::vector<report::TrainingInput> stated_inputs(const PipelineOptions& options) {
  const auto count = [](int number) { return number > 0 ? std::to_string(number) : ""; };
  std::vector<report::TrainingInput> inputs;
  for (auto& input : std::vector<report::TrainingInput>{
           {"profile", options.profile},
           {"--dag", options.dag},
           {"--stages", count(options.stages)},
           {"--microbatches", count(options.microbatches)},
           {"--schedule", options.schedule.empty() && options.dag.empty() ? "1f1b (by default)"
                                                                          : options.schedule},
           {"--blocking-power", options.blocking_power},
           {"--transfer", options.transfer},
           {"--tail", options.tail},
           {"--fit-iterations", options.iterations}}) {
    if (!input.value.empty()) {
      inputs.push_back(std::move(input));
    }
  }
  return inputs;
}

AskedPipeline read_pipeline(const PipelineOptions& options) {
  check(options);
  const auto blocking_power =
      parse_flag([&] { return parse_watts(options.blocking_power, "--blocking-power"); });
  AskedPipeline asked;
  if (!options.profile.empty()) {
    asked.profile = training::read_profile(read_file(options.profile), options.profile);
  }
  if (!options.dag.empty()) {
    asked.pipeline =
        training::read_dag(read_file(options.dag), options.dag, asked.profile, blocking_power);
    return asked;
  }
  auto shape = shape_of(options);
  shape.blocking_power = blocking_power;
  if (!options.iterations.empty()) {
    if (shape.schedule.kind != training::ScheduleKind::one_forward_one_backward &&
        shape.schedule.kind != training::ScheduleKind::gpipe) {
      throw Error{ErrorCode::usage, "measured forwards and backwards make no such schedule",
                  "--fit-iterations",
                  "fit a 1f1b or gpipe schedule, or give --transfer and --tail"};
    }
    const auto iterations =
        training::read_iterations(read_file(options.iterations), options.iterations);
    if (static_cast<int>(iterations.front().forward.size()) != shape.stages) {
      throw_bad_input("the measured iterations have " +
                          std::to_string(iterations.front().forward.size()) + " stages",
                      options.iterations, "give as many --stages");
    }
    asked.fit = training::fit_iterations(iterations, shape);
    for (const auto& iteration : iterations) {
      asked.fit_error_ratio +=
          std::abs(training::predicted_time(iteration, shape, *asked.fit) / iteration.time - 1) /
          static_cast<double>(iterations.size());
    }
    shape.transfer = asked.fit->transfer;
    shape.tail = asked.fit->tail;
  }
  asked.pipeline = training::make_pipeline(asked.profile, shape);
  return asked;
}

}  // namespace perwatt::cli
