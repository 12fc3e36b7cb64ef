#include "train_profile_output.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "json_values.hpp"
#include "table.hpp"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perwatt/base/text.hpp"

namespace perwatt::cli {

namespace {

using nlohmann::ordered_json;
using training::kParallelisms;
using training::Parallelism;
using training::PathKind;
using training::PathPiece;

std::string exact_milliseconds(Seconds time) {
  return fmt::format("{:.3f}", in_seconds(time) * 1e3);
}

/// "communication, tensor", "compute", "gap".
std::string class_of(const PathPiece& piece) {
  switch (piece.kind) {
    case PathKind::compute:
      return "compute";
    case PathKind::copy:
      return "copy";
    case PathKind::gap:
      return "gap";
    case PathKind::transfer:
      return "pipeline";
    case PathKind::communication:
      break;
  }
  return std::string{to_string(piece.parallelism)};
}

struct Share {
  std::string name;
  Seconds time;
  std::size_t count = 0;
};

/// Sums by name, longest first.
template <class Name>
std::vector<Share> shares_of(const std::vector<PathPiece>& path, const Name& name) {
  std::map<std::string, Share> by_name;
  for (const auto& piece : path) {
    const std::string key = name(piece);
    auto& share = by_name[key];
    share.name = key;
    share.time += piece.span.length();
    ++share.count;
  }
  std::vector<Share> shares;
  for (auto& [key, share] : by_name) {
    shares.push_back(std::move(share));
  }
  std::stable_sort(shares.begin(), shares.end(),
                   [](const Share& a, const Share& b) { return a.time > b.time; });
  return shares;
}

/// Kernels of one name on one stream of one rank, longest first.
struct KernelShare {
  int rank = 0;
  std::int64_t stream = 0;
  std::string name;
  Seconds time;
  std::size_t count = 0;
};

std::vector<KernelShare> kernels_on(const TraceReport& report) {
  std::map<std::tuple<std::size_t, std::int64_t, std::uint32_t>, KernelShare> by_kernel;
  for (const auto& piece : report.kernel_path) {
    if (!piece.work) {
      continue;
    }
    const auto& rank = report.job.ranks[piece.rank];
    const auto& work = rank.works[*piece.work];
    auto& share = by_kernel[{piece.rank, work.stream, work.name}];
    share.rank = *rank.trace.rank;
    share.stream = work.stream;
    share.name = rank.trace.names[work.name];
    share.time += piece.span.length();
    ++share.count;
  }
  std::vector<KernelShare> kernels;
  for (auto& [key, share] : by_kernel) {
    kernels.push_back(std::move(share));
  }
  std::stable_sort(kernels.begin(), kernels.end(),
                   [](const auto& a, const auto& b) { return a.time > b.time; });
  return kernels;
}

Seconds sum(const training::TimeByParallelism& times) {
  Seconds total;
  for (const auto time : times) {
    total += time;
  }
  return total;
}

/// Of means per iteration.
double iterations(const TraceReport& report) {
  return static_cast<double>(report.job.periods().count);
}

const char* token_tag(const TraceReport& report) {
  return report.tokens->rank_scale > 1 ? "scaled" : "measured";
}

std::string iteration_name(const TraceReport& report) {
  const auto& name = report.job.ranks.front().iteration_names[report.path_iteration];
  if (name.annotation.empty()) {
    return "";
  }
  return fmt::format(
      " ({}{})", printable(name.annotation),
      name.occurrence > 0 ? fmt::format(", occurrence {}", name.occurrence + 1) : "");
}

ordered_json by_parallelism(const training::TimeByParallelism& times, double count) {
  ordered_json json = ordered_json::object();
  for (std::size_t p = 0; p < kParallelisms; ++p) {
    json[std::string{to_string(static_cast<Parallelism>(p))}] = (times[p] / count).in_base();
  }
  return json;
}

ordered_json ranks_json(const TraceReport& report) {
  auto list = ordered_json::array();
  const double count = iterations(report);
  for (std::size_t r = 0; r < report.job.ranks.size(); ++r) {
    const auto& rank = report.job.ranks[r];
    const auto& times = report.breakdown[r];
    ordered_json json{{"rank", *rank.trace.rank},
                      {"stage", rank.place.stage},
                      {"tensor_rank", rank.place.tensor},
                      {"context_rank", rank.place.context},
                      {"data_rank", rank.place.data},
                      {"compute_seconds", (times.compute / count).in_base()},
                      {"copies_seconds", (times.copies / count).in_base()},
                      {"idle_seconds", (times.idle / count).in_base()},
                      {"waiting_seconds", (times.waiting / count).in_base()},
                      {"slack_seconds", (times.slack() / count).in_base()}};
    json["exposed_seconds"] = by_parallelism(times.exposed, count);
    json["hidden_seconds"] = by_parallelism(times.hidden, count);
    if (!report.meters.empty()) {
      json["meter"] = printable(report.meters[r], std::string::npos);
    }
    if (!report.powers[r].empty()) {
      json["power"] = ordered_json::object();
      for (std::size_t p = 0; p < report.powers[r].size(); ++p) {
        const auto& power = report.powers[r][p];
        if (power) {
          json["power"][report.phase_names[r][p]] = {
              {"mean_watts", in_watts(power->mean)},
              {"half_width_watts", in_watts(power->half_width)}};
        }
      }
    }
    list.push_back(std::move(json));
  }
  return list;
}

ordered_json figures_json(const TraceReport& report,
                          const std::vector<training::InstructionFigures>& figures) {
  auto list = ordered_json::array();
  for (const auto& row : figures) {
    const auto& rank = report.job.ranks[row.rank];
    const auto joules = [](const std::optional<Joules>& energy) {
      return number_or_null(energy ? std::optional{energy->in_base()} : std::nullopt);
    };
    list.push_back({{"rank", *rank.trace.rank},
                    {"stage", rank.place.stage},
                    {"instruction", row.instruction},
                    {"count", row.count},
                    {"time_seconds", row.time.in_base()},
                    {"spread_seconds", row.spread.in_base()},
                    {"energy_joules", joules(row.energy)},
                    {"half_width_joules", joules(row.half_width)},
                    {"time_tag", "measured"},
                    {"energy_tag", "derived"}});
  }
  return list;
}

ordered_json schedule_json(const TraceReport& report) {
  ordered_json json{{"status", report.schedule_path ? "ok" : "unknown"}};
  if (!report.schedule_path) {
    json["reason"] = report.schedule.reason;
    return json;
  }
  json["head_seconds"] = report.schedule_path->head.in_base();
  json["tail_seconds"] = report.schedule_path->tail.in_base();
  json["steps"] = ordered_json::array();
  for (const auto& step : report.schedule_path->steps) {
    const auto& rank = report.job.ranks[step.operation.rank];
    const auto& operation = rank.operations[step.operation.operation];
    json["steps"].push_back({{"rank", *rank.trace.rank},
                             {"stage", rank.place.stage},
                             {"instruction", operation.instruction},
                             {"microbatch", operation.microbatch},
                             {"gap_seconds", step.gap.in_base()},
                             {"is_handed", step.is_handed},
                             {"time_seconds", operation.span.length().in_base()}});
  }
  return json;
}

ordered_json path_json(const TraceReport& report) {
  const auto& iteration = report.job.iterations[report.path_iteration];
  ordered_json json{{"tag", "derived"},
                    {"iteration", report.path_iteration},
                    {"time_seconds", iteration.length().in_base()}};
  json["schedule"] = schedule_json(report);
  json["parallelism"] = ordered_json::object();
  for (const auto& share : shares_of(report.kernel_path, class_of)) {
    json["parallelism"][share.name] = share.time.in_base();
  }
  json["kernels"] = ordered_json::array();
  for (const auto& kernel : kernels_on(report)) {
    json["kernels"].push_back({{"rank", kernel.rank},
                               {"stream", kernel.stream},
                               {"name", printable(kernel.name, std::string::npos)},
                               {"count", kernel.count},
                               {"time_seconds", kernel.time.in_base()}});
  }
  return json;
}

ordered_json energy_json(const TraceReport& report) {
  const auto& energy = *report.energy;
  ordered_json json{{"boundary", to_string(energy.boundary)}, {"is_valid", energy.valid}};
  json["gpus"] = report.job.ranks.size();
  if (energy.valid) {
    const double count = iterations(report);
    json["per_iteration_joules"] = energy.energy->in_base() / count;
    json["half_width_joules"] = energy.half_width.in_base() / count;
    json["method"] = to_string(energy.method);
    json["per_iteration_tag"] = "measured";
    const auto of_profile = report.energy_of_profile();
    json["profile_joules"] =
        number_or_null(of_profile ? std::optional{of_profile->in_base()} : std::nullopt);
    json["profile_tag"] = "derived";
  }
  json["findings"] = ordered_json::array();
  for (const auto& finding : energy.findings) {
    json["findings"].push_back({{"reason", to_string(finding.reason)}, {"detail", finding.detail}});
  }
  if (report.tokens) {
    const auto per_token = report.energy_per_token();
    const auto price = report.price();
    const auto joules = [&](const auto& value) {
      return number_or_null(per_token ? std::optional{value(*per_token).in_base()} : std::nullopt);
    };
    const auto usd = [&](const auto& value) {
      return number_or_null(
          per_token && price ? std::optional{in_usd_per_million_tokens(value(*per_token) * *price)}
                             : std::nullopt);
    };
    const auto mean = [](const TraceReport::PerToken& found) { return found.energy; };
    const auto half = [](const TraceReport::PerToken& found) { return found.half_width; };
    json["tokens_per_iteration"] = in_tokens(report.tokens->per_iteration);
    json["job_gpus_per_traced_gpu"] = report.tokens->rank_scale;
    json["joules_per_token"] = joules(mean);
    json["half_width_joules_per_token"] = joules(half);
    json["joules_per_token_tag"] = token_tag(report);
    json["price_boundary"] = report.tokens->facility_factor ? "facility" : "gpu";
    json["usd_per_million_tokens"] = usd(mean);
    json["half_width_usd_per_million_tokens"] = usd(half);
    json["usd_per_million_tokens_tag"] = "derived";
  }
  return json;
}

void print_ranks(const TraceReport& report) {
  std::vector<std::string> head = {"rank",           "stage",  "compute", "exposed",
                                   "of it pipeline", "copies", "idle",    "slack"};
  if (!report.meters.empty()) {
    head.emplace_back("meter");
  }
  TextTable table{std::move(head)};
  for (std::size_t r = 0; r < report.job.ranks.size(); ++r) {
    const auto& rank = report.job.ranks[r];
    const auto& times = report.breakdown[r];
    const auto share = [&](Seconds time) { return percent(time / times.length, 1); };
    std::vector<std::string> row = {
        std::to_string(*rank.trace.rank),
        std::to_string(rank.place.stage),
        share(times.compute),
        share(sum(times.exposed)),
        share(times.exposed[static_cast<std::size_t>(Parallelism::pipeline)]),
        share(times.copies),
        share(times.idle),
        share(times.slack())};
    if (!report.meters.empty()) {
      row.push_back(printable(report.meters[r], 40));
    }
    table.add(std::move(row));
  }
  fmt::print("{}slack: idle, or in communication that another rank had not come to\n",
             table.text());
}

void print_figures(const TraceReport& report) {
  if (report.figures.empty()) {
    fmt::print("No instruction is annotated: name annotations with --instruction\n");
    return;
  }
  TextTable table{
      {"rank", "stage", "instruction", "count", "time ms", "spread ms", "energy J", "± J"}, {0, 2}};
  auto rows = report.figures;
  rows.insert(rows.end(), report.closing.begin(), report.closing.end());
  for (const auto& row : rows) {
    const auto& rank = report.job.ranks[row.rank];
    const auto joules = [](const std::optional<Joules>& energy) {
      return energy ? fmt::format("{:.3f}", energy->in_base()) : std::string{"-"};
    };
    table.add({std::to_string(*rank.trace.rank), std::to_string(rank.place.stage), row.instruction,
               std::to_string(row.count), exact_milliseconds(row.time),
               exact_milliseconds(row.spread), joules(row.energy), joules(row.half_width)});
  }
  fmt::print("{}", table.text());
  if (!report.closing.empty()) {
    fmt::print("optimizer: not annotated, all work behind the last operation of an iteration\n");
  }
  for (const auto& note : report.notes) {
    fmt::print("Energy of instructions is not known: {}\n", note);
  }
}

/// How long each instruction of each stage stands on the path.
void print_schedule_path(const TraceReport& report) {
  if (!report.schedule_path) {
    fmt::print("  schedule: unknown, {}\n", report.schedule.reason);
    return;
  }
  const auto& path = *report.schedule_path;
  std::map<std::pair<int, std::string>, std::pair<Seconds, int>> by_instruction;
  Seconds handed;
  Seconds own;
  for (const auto& step : path.steps) {
    const auto& rank = report.job.ranks[step.operation.rank];
    const auto& operation = rank.operations[step.operation.operation];
    auto& [time, count] = by_instruction[{rank.place.stage, operation.instruction}];
    time += operation.span.length();
    ++count;
    (step.is_handed ? handed : own) += step.gap;
  }
  TextTable table{{"  schedule", "count", "time ms", "of iteration"}};
  const auto add = [&](const std::string& name, const std::string& count, Seconds time) {
    table.add(
        {"  " + name, count, exact_milliseconds(time), percent(time / path.iteration.length(), 1)});
  };
  for (const auto& [key, value] : by_instruction) {
    add(fmt::format("stage {} {}", key.first, key.second), std::to_string(value.second),
        value.first);
  }
  add("between stages", "", handed);
  add("between operations of a stage", "", own);
  add("before and after all operations", "", path.head + path.tail);
  fmt::print("{}", table.text());
}

void print_paths(const TraceReport& report) {
  constexpr std::size_t kMostKernels = 10;
  const auto length = report.job.iterations[report.path_iteration].length();
  fmt::print("Critical path of iteration {}{}, {} ms\n", report.path_iteration,
             iteration_name(report), exact_milliseconds(length));
  print_schedule_path(report);
  TextTable classes{{"  parallelism", "time ms", "of iteration"}};
  for (const auto& share : shares_of(report.kernel_path, class_of)) {
    classes.add(
        {"  " + share.name, exact_milliseconds(share.time), percent(share.time / length, 1)});
  }
  TextTable kernels{{"  kernel", "rank", "stream", "count", "time ms", "of iteration"}};
  const auto all = kernels_on(report);
  for (std::size_t i = 0; i < std::min(all.size(), kMostKernels); ++i) {
    kernels.add({"  " + printable(all[i].name, 60), std::to_string(all[i].rank),
                 std::to_string(all[i].stream), std::to_string(all[i].count),
                 exact_milliseconds(all[i].time), percent(all[i].time / length, 1)});
  }
  fmt::print("{}{}", classes.text(), kernels.text());
  if (all.size() > kMostKernels) {
    fmt::print("  and {} more kernels: --json\n", all.size() - kMostKernels);
  }
}

void print_tokens(const TraceReport& report) {
  const auto& tokens = *report.tokens;
  const auto per_token = *report.energy_per_token();
  if (tokens.rank_scale > 1) {
    fmt::print("The traced GPUs stand for {} each\n", significant(tokens.rank_scale));
  }
  fmt::print("Per trained token: {} ± {} J at the GPU boards ({})",
             significant(in_joules_per_token(per_token.energy), 5),
             significant(in_joules_per_token(per_token.half_width), 3), token_tag(report));
  if (const auto price = report.price()) {
    fmt::print(", {} ± {} USD per million tokens {} (derived)",
               significant(in_usd_per_million_tokens(per_token.energy * *price), 5),
               significant(in_usd_per_million_tokens(per_token.half_width * *price), 3),
               tokens.facility_factor ? fmt::format("at the meter (GPU boards x {})",
                                                    shortest(*tokens.facility_factor))
                                      : std::string{"for the GPU boards' energy"});
  }
  fmt::print("\n");
}

void print_energy(const TraceReport& report) {
  const auto& energy = *report.energy;
  for (const auto& finding : energy.findings) {
    fmt::print("Energy, {}: {}\n", to_string(finding.reason), finding.detail);
  }
  if (!energy.valid) {
    fmt::print("Energy of an iteration: not known\n");
    return;
  }
  const double count = iterations(report);
  fmt::print("Energy of an iteration, {} GPU boards: {} ± {} J (measured, {})\n",
             report.job.ranks.size(), significant(energy.energy->in_base() / count, 5),
             significant(energy.half_width.in_base() / count, 3), to_string(energy.method));
  if (const auto of_profile = report.energy_of_profile()) {
    const bool differs = *of_profile > (*energy.energy + energy.half_width) / count ||
                         *of_profile < (*energy.energy - energy.half_width) / count;
    fmt::print("Instructions, and blocking power for the rest: {} J{} (derived)\n",
               significant(of_profile->in_base(), 5),
               differs ? ", off by more than the half-width: work outside of instructions, or a "
                         "series and a trace that do not fit"
                       : "");
  }
  if (!report.tokens) {
    return;
  }
  print_tokens(report);
}

void print_next(const TraceReport& report) {
  if (report.profile.empty()) {
    return;
  }
  fmt::print("{} written at {} MHz", report.profile, *report.frequency_mhz);
  const auto blocking = report.blocking_power();
  if (report.schedule_path && blocking && blocking->mean > Watts{}) {
    fmt::print(
        "; with all clocks in it:\n  perwatt train {} --stages {} --microbatches {} "
        "--blocking-power {:.1f}W --transfer {:.6f}s --tail {:.6f}s\n"
        "Blocking power: {:.1f} ± {:.1f} W (derived)",
        report.profile, report.job.stages, report.schedule.microbatches, in_watts(blocking->mean),
        in_seconds(report.transfer().value_or(Seconds{})), in_seconds(report.tail()),
        in_watts(blocking->mean), in_watts(blocking->half_width));
  }
  fmt::print("\n");
}

}  // namespace

std::optional<training::PhasePower> TraceReport::blocking_power() const {
  std::vector<training::PhasePower> known;
  for (const auto& of_rank : powers) {
    if (!of_rank.empty() && of_rank.back()) {
      known.push_back(*of_rank.back());
    }
  }
  return training::mean_over_ranks(known);
}

std::optional<Seconds> TraceReport::transfer() const {
  Seconds sum;
  int count = 0;
  if (schedule_path) {
    for (const auto& step : schedule_path->steps) {
      if (step.is_handed) {
        sum += step.gap;
        ++count;
      }
    }
  }
  return count > 0 ? std::optional{std::max(Seconds{}, sum / count)} : std::nullopt;
}

Seconds TraceReport::tail() const {
  auto tail = schedule_path->head + schedule_path->tail;
  for (const auto& row : closing) {
    if (row.rank == schedule_path->steps.back().operation.rank) {
      tail -= row.time;
    }
  }
  return std::max(Seconds{}, tail);
}

std::optional<Joules> TraceReport::energy_of_profile() const {
  const auto blocking = blocking_power();
  if (!blocking || std::any_of(powers.begin(), powers.end(),
                               [](const auto& of_rank) { return of_rank.empty(); })) {
    return std::nullopt;
  }
  const auto iterations = static_cast<double>(job.iterations.size());
  auto total = blocking->mean * job.periods().mean() * static_cast<double>(job.ranks.size());
  for (const auto* rows : {&figures, &closing}) {
    for (const auto& row : *rows) {
      total +=
          (*row.energy - blocking->mean * row.time) * (static_cast<double>(row.count) / iterations);
    }
  }
  return total;
}

std::optional<TraceReport::PerToken> TraceReport::energy_per_token() const {
  if (!energy || !energy->valid || !tokens) {
    return std::nullopt;
  }
  const double scale = tokens->rank_scale / static_cast<double>(job.periods().count);
  return PerToken{*energy->energy * scale / tokens->per_iteration,
                  energy->half_width * scale / tokens->per_iteration};
}

std::optional<UsdPerJoule> TraceReport::price() const {
  if (!tokens || !tokens->price) {
    return std::nullopt;
  }
  return *tokens->price * tokens->facility_factor.value_or(1.0);
}

void print_trace_report(const TraceReport& report) {
  const auto periods = report.job.periods();
  fmt::print("{} ranks of {}, {}, {} stages", report.job.ranks.size(), report.job.world_size,
             report.job.iterations.size() == 1
                 ? fmt::format("one iteration of {} ms", exact_milliseconds(periods.mean()))
                 : fmt::format("{} iterations, {} ms from one to the next on average",
                               report.job.iterations.size(), exact_milliseconds(periods.mean())),
             report.job.stages);
  if (report.schedule.microbatches > 0) {
    fmt::print(", {} microbatches", report.schedule.microbatches);
  }
  fmt::print("\n");
  for (const auto& note : report.job.notes) {
    fmt::print("Note: {}\n", printable(note, std::string::npos));
  }
  print_ranks(report);
  print_figures(report);
  print_paths(report);
  if (report.energy) {
    print_energy(report);
  }
  print_next(report);
}

std::string trace_report_json(const TraceReport& report) {
  ordered_json json{{"world_size", report.job.world_size},
                    {"stages", report.job.stages},
                    {"microbatches", report.schedule.microbatches},
                    {"iterations", report.job.iterations.size()},
                    {"mean_iteration_seconds", report.job.periods().mean().in_base()}};
  json["ranks"] = ranks_json(report);
  json["instructions"] = figures_json(report, report.figures);
  json["closing"] = figures_json(report, report.closing);
  auto notes = report.job.notes;
  notes.insert(notes.end(), report.notes.begin(), report.notes.end());
  json["notes"] = notes;
  json["critical_path"] = path_json(report);
  if (report.energy) {
    json["energy"] = energy_json(report);
    const auto blocking = report.blocking_power();
    const auto value = [&](Watts training::PhasePower::*member) {
      return number_or_null(blocking ? std::optional{in_watts((*blocking).*member)} : std::nullopt);
    };
    json["blocking_power_watts"] = value(&training::PhasePower::mean);
    json["half_width_blocking_power_watts"] = value(&training::PhasePower::half_width);
    json["blocking_power_tag"] = "derived";
  }
  return json.dump(2);
}

}  // namespace perwatt::cli
