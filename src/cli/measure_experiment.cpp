// perwatt measure --sweep, --find-load, --power-caps, --phase-split.
#include <cmath>

#include "json_values.hpp"
#include "measure_runs.hpp"
#include "measure_text.hpp"
#include "table.hpp"
#include <fmt/format.h>

#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/device/power_cap.hpp"
#include "perwatt/measure/experiments.hpp"

namespace perwatt::cli {

namespace {

using measure::Load;

struct LoadRange {
  Load load = Load::concurrency;
  std::vector<double> loads;  // of a list
  double low = 0.0;           // of a range
  double high = 0.0;
};

[[noreturn]] void refuse_loads(const std::string& text, const char* flag) {
  throw Error{ErrorCode::usage, "'" + printable(text) + "' names no loads", flag,
              "write concurrency:1,2,4 or rate:1..64"};
}

double load_of(std::string_view text, const std::string& whole, const char* flag) {
  const auto value = parse_number(text);
  const bool counts_users = whole.rfind("concurrency", 0) == 0;
  if (!value || *value <= 0 || (counts_users && (*value < 1 || std::floor(*value) != *value))) {
    refuse_loads(whole, flag);
  }
  return *value;
}

/// concurrency:1,2,4,8 | rate:1..64 | rate:1..64:10
LoadRange load_range(const std::string& text, const char* flag) {
  LoadRange range;
  const auto colon = text.find(':');
  const auto name = text.substr(0, colon);
  if (colon == std::string::npos || (name != "concurrency" && name != "rate")) {
    refuse_loads(text, flag);
  }
  range.load = name == "rate" ? Load::requests_per_second : Load::concurrency;
  const auto rest = text.substr(colon + 1);
  const auto dots = rest.find("..");
  if (dots == std::string::npos) {
    for (const auto& part : split(rest, ',')) {
      range.loads.push_back(load_of(part, text, flag));
    }
    range.low = range.loads.front();
    range.high = range.loads.back();
    return range;
  }
  const auto behind = rest.substr(dots + 2);
  const auto count_at = behind.find(':');
  range.low = load_of(rest.substr(0, dots), text, flag);
  range.high = load_of(behind.substr(0, count_at), text, flag);
  if (range.high < range.low) {
    refuse_loads(text, flag);
  }
  int count = 1 + static_cast<int>(std::lround(std::log2(range.high / range.low)));
  if (count_at != std::string::npos) {
    const auto wanted = parse_integer(behind.substr(count_at + 1));
    if (!wanted || *wanted < 1 || *wanted > 1000) {
      refuse_loads(text, flag);
    }
    count = static_cast<int>(*wanted);
  }
  if (range.low < range.high) {
    range.loads = measure::geometric_loads(range.load, range.low, range.high, std::max(2, count));
  } else {
    range.loads = {range.low};
  }
  return range;
}

/// A rate needs an arrival law; a sweep of concurrency is a closed loop.
MeasureOptions options_for(const MeasureOptions& options, Load load) {
  auto own = options;
  if (load == Load::requests_per_second && own.request_rate.empty()) {
    own.request_rate = "1";  // each run's own rate takes its place
  }
  if (load == Load::concurrency && !own.request_rate.empty()) {
    throw Error{ErrorCode::usage, "users of a closed loop have no request rate", "--request-rate",
                "leave it out, or sweep rate:LOW..HIGH"};
  }
  return own;
}

void finish(const MeasureOptions& options, RunStore& store, const Json& more,
            const std::string& text) {
  store.write_report(std::nullopt);
  append_to_points(options, store.measurements());
  if (options.json) {
    fmt::print("{}", runs_json(store.measurements(), more.dump()));
  } else {
    fmt::print("{}{}", store.measurements().empty() ? "" : runs_text(store.measurements()), text);
  }
}

void run_sweep(const MeasureOptions& options, const LoadRange& range) {
  FacilityParts facility;
  RunStore store{options.output_dir, true};
  measure::Session session{measure_spec(options, facility), stop_flag()};
  measure::SweepRules rules;
  rules.seed = options.seed;
  const auto result =
      measure::sweep(range.loads, rules, measure::runs_of(session, range.load, store.watch()));
  std::string text;
  if (result.saturated_at) {
    text += fmt::format("saturated at {}: more load gave no more tokens\n",
                        shortest(*result.saturated_at));
  }
  if (result.failure) {
    text += "ended early: " + *result.failure + "\n";
  }
  finish(options, store,
         {{"sweep",
           {{"saturated_at", number_or_null(result.saturated_at)},
            {"failure", result.failure.value_or("")}}}},
         text);
  store.throw_if_failed();
}

void run_search(const MeasureOptions& options, const LoadRange& range) {
  if (options.goodput.empty()) {
    throw Error{ErrorCode::usage, "a highest load needs a limit", "--find-load",
                "add --goodput \"ttft:200ms tpot:50ms\""};
  }
  FacilityParts facility;
  RunStore store{options.output_dir, true};
  measure::Session session{measure_spec(options, facility), stop_flag()};
  measure::SloSearchRules rules;
  rules.load = range.load;
  rules.lowest = range.low;
  rules.highest = range.high;
  rules.target_ratio = options.attainment;
  rules.seed = options.seed;
  const auto result =
      measure::highest_load_under_slo(rules, measure::runs_of(session, range.load, store.watch()));
  const std::string text = fmt::format(
      "{}: highest load within the SLO {}, lowest beyond it {}; with 95 % confidence between {} "
      "and {}; most goodput at {}; {} runs{}\n",
      to_string(result.status), or_dash(result.highest_met), or_dash(result.lowest_missed),
      or_dash(result.shown_met), or_dash(result.shown_missed), or_dash(result.best_goodput_load),
      result.runs, result.failure ? "; " + *result.failure : "");
  finish(options, store,
         {{"search",
           {{"status", to_string(result.status)},
            {"highest_met", number_or_null(result.highest_met)},
            {"lowest_missed", number_or_null(result.lowest_missed)},
            {"shown_met", number_or_null(result.shown_met)},
            {"shown_missed", number_or_null(result.shown_missed)},
            {"best_goodput_load", number_or_null(result.best_goodput_load)},
            {"runs", result.runs},
            {"failure", result.failure.value_or("")}}}},
         text);
  store.throw_if_failed();
}

std::vector<Watts> caps_of(const std::string& text) {
  std::vector<Watts> caps;
  for (const auto& part : split(text, ',')) {
    caps.push_back(parse_flag([&] { return parse_watts(part, "--power-caps"); }));
  }
  return caps;
}

constexpr double kTakenShare = 0.99;  // of the cap asked for, by what is in force then

void run_caps(const MeasureOptions& options, const LoadRange& range) {
  if (!options.allow_power_control) {
    throw Error{ErrorCode::usage, "this would lower the GPUs' power caps", "--power-caps",
                "add --allow-power-control if you may"};
  }
  const auto caps = caps_of(options.power_caps);
  // The guardian is a fork: it comes before any thread and before NVML is opened.
  auto control = device::nvml_cap_control();
  if (!control) {
    throw Error{ErrorCode::peer_failed, control.reason(), "--power-caps", "run where the GPUs are"};
  }
  const auto owned = std::move(control).value();
  auto started = device::CapGuard::start(*owned);
  if (!started) {
    throw Error{ErrorCode::peer_failed, started.reason(), "--power-caps",
                "setting caps needs root or the right to manage the GPUs"};
  }
  const auto guard = std::move(started).value();
  FacilityParts facility;
  RunStore store{options.output_dir, true};
  measure::Session session{measure_spec(options, facility), stop_flag()};
  std::optional<Watts> in_force;
  const auto inner = measure::runs_of(session, range.load, store.watch());
  const auto grid = measure::cap_load_grid(
      caps, range.loads, options.seed,
      [&](const measure::TrialRequest& request) -> Result<measure::Trial> {
        if (in_force != request.power_cap) {
          const auto set = guard->lower_to(*request.power_cap);
          if (!set) {
            return Failure{set.reason()};
          }
          if (in_watts(set.value()) < kTakenShare * in_watts(*request.power_cap)) {
            return Failure{power_text(*request.power_cap) + " was asked for, " +
                           power_text(set.value()) + " is in force: caps are only lowered"};
          }
          in_force = request.power_cap;
        }
        return inner(request);
      });
  const auto left = guard->restore();
  std::string text;
  for (const auto index : grid.pareto) {
    const auto& point = grid.points[index];
    text += fmt::format("not beaten: {} at load {}: {} J per output token, {} % within the SLO\n",
                        power_text(point.power_cap), shortest(point.load),
                        significant(in_joules_per_token(*point.trial.energy)),
                        significant(100 * point.trial.attainment_ratio, 3));
  }
  if (grid.failure) {
    text += "ended early: " + *grid.failure + "\n";
  }
  Json pareto = Json::array();
  for (const auto index : grid.pareto) {
    pareto.push_back(index);
  }
  finish(
      options, store,
      {{"power_caps",
        {{"pareto_runs", pareto}, {"failure", grid.failure.value_or("")}, {"not_restored", left}}}},
      text);
  if (!left.empty()) {
    throw Error{ErrorCode::peer_failed, "caps that could not be put back: " + join(left, "; "),
                "--power-caps", "set them by hand: nvidia-smi -pl"};
  }
  store.throw_if_failed();
}

void run_phase_split(const MeasureOptions& options) {
  constexpr double kShortRatio = 0.25;
  const bool is_fit = options.osl > 0 && options.request_rate.empty() &&
                      options.prompts_file.empty() && options.trace_file.empty();
  if (!is_fit) {
    throw Error{ErrorCode::usage,
                "prefill and decode are told apart by synthetic lengths at a fixed concurrency",
                "--phase-split", "give --isl, --osl and --concurrency, and no rate, file or trace"};
  }
  FacilityParts facility;
  RunStore store{options.output_dir, true};
  measure::Session session{measure_spec(options, facility), stop_flag()};
  const auto split =
      measure::measure_phases(session, kShortRatio, std::max(1, options.runs), store.watch());
  const auto energy_json = [](const measure::TokenEnergy& energy) {
    return Json{{"value", in_joules_per_token(energy.value)},
                {"ci_low", in_joules_per_token(energy.low)},
                {"ci_high", in_joules_per_token(energy.high)}};
  };
  const bool is_ok = split.status == measure::SplitStatus::ok;
  Json json{{"status", to_string(split.status)},
            {"detail", split.detail},
            {"runs", split.runs},
            {"condition_number", split.condition_number}};
  json["joules_per_input_token"] = is_ok ? energy_json(split.prefill) : Json(nullptr);
  json["joules_per_output_token"] = is_ok ? energy_json(split.decode) : Json(nullptr);
  const auto line = [](const char* name, const measure::TokenEnergy& energy) {
    return fmt::format("{}: {} J per token (95 % {} .. {})\n", name,
                       significant(in_joules_per_token(energy.value)),
                       significant(in_joules_per_token(energy.low)),
                       significant(in_joules_per_token(energy.high)));
  };
  const std::string text =
      is_ok ? line("prefill, above idle", split.prefill) + line("decode, above idle", split.decode)
            : "no split: " + split.detail + "\n";
  finish(options, store, {{"phase_split", json}}, text);
  store.throw_if_failed();
}

}  // namespace

void run_experiment(const MeasureOptions& options) {
  const int modes = (options.phase_split ? 1 : 0) + (options.sweep.empty() ? 0 : 1) +
                    (options.find_load.empty() ? 0 : 1);
  if (modes > 1 || (!options.power_caps.empty() && options.sweep.empty())) {
    throw Error{ErrorCode::usage, "these experiments exclude each other",
                "--sweep, --find-load, "
                "--phase-split, --power-caps",
                "ask for one at a time; --power-caps goes with --sweep"};
  }
  begin_live();
  if (options.phase_split) {
    run_phase_split(options);
    return;
  }
  const char* flag = options.find_load.empty() ? "--sweep" : "--find-load";
  const auto& text = options.find_load.empty() ? options.sweep : options.find_load;
  const auto range = load_range(text, flag);
  const auto own = options_for(options, range.load);
  if (!options.power_caps.empty()) {
    run_caps(own, range);
  } else if (!options.find_load.empty()) {
    run_search(own, range);
  } else {
    run_sweep(own, range);
  }
}

}  // namespace perwatt::cli
