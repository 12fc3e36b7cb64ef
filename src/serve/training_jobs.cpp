#include "perwatt/serve/training_jobs.hpp"

#include <algorithm>
#include <array>
#include <ctime>

#include "training_job.hpp"
#include "training_store.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::serve {

namespace {

constexpr std::size_t kMostMetadataBytes = 200;  // in an id
constexpr std::size_t kMostNamedRanks = 16;
constexpr double kMostSlowdown = 100;
constexpr double kMostSeconds = 1e6;  // of an iteration, reported
constexpr double kMostJoules = 1e12;

/// The id is written into addresses as it is.
std::string plain(std::string_view metadata) {
  std::string text{metadata.substr(0, kMostMetadataBytes)};
  for (char& c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') ||
                          std::string_view{" -._:=,+"}.find(c) != std::string_view::npos;
    c = is_plain ? c : '_';
  }
  return text;
}

std::string id_stem(const JobRequest& request, Seconds unix_time) {
  const auto now = static_cast<std::time_t>(in_seconds(unix_time));
  std::tm calendar{};
  gmtime_r(&now, &calendar);
  std::array<char, 32> stamp{};
  std::strftime(stamp.data(), stamp.size(), "%F-%H-%M-%S", &calendar);
  return std::string{stamp.data()} + "+dp" + std::to_string(request.data_parallel) + "+pp" +
         std::to_string(request.pipeline_parallel) + "+tp" +
         std::to_string(request.tensor_parallel) + "+perwatt" +
         (request.metadata.empty() ? "" : "+" + plain(request.metadata));
}

std::string_view first_word(std::string_view metadata) {
  return metadata.substr(0, metadata.find_first_of(" :=,+"));
}

void check_rank(int rank, int world_size) {
  if (rank < 0 || rank >= world_size) {
    throw Refusal{400, "rank " + std::to_string(rank) + " is not one of " +
                           std::to_string(world_size) + "; ranks count from 0"};
  }
}

void check_place(const char* name, int place, int degree) {
  if (place < 0 || place >= degree) {
    throw Refusal{400, std::string{name} + " is " + std::to_string(place) + " of a degree of " +
                           std::to_string(degree) + "; it counts from 0"};
  }
}

net::HttpAnswer schedule_json(const StagePlan& plan, int stage, int rank, int round) {
  return {200, "{\"rank\":" + std::to_string(rank) +
                   ",\"frequencies\":" + plan.frequencies[static_cast<std::size_t>(stage)] +
                   ",\"round\":" + std::to_string(round) +
                   ",\"iteration_time_seconds\":" + shortest(in_seconds(plan.time)) + "}"};
}

/// Of one pipeline, per GPU of a tensor parallel group.
std::optional<Watts> pipeline_cap(std::optional<Watts> job_cap, int data_parallel,
                                  int tensor_parallel) {
  return job_cap ? std::optional{*job_cap / (static_cast<double>(data_parallel) * tensor_parallel)}
                 : std::nullopt;
}

[[noreturn]] void throw_pipeline_gone(const std::string& name) {
  throw Refusal{409, "pipeline '" + name +
                         "' is no longer in the server's file, or has changed there since the job "
                         "registered; register anew"};
}

}  // namespace

TrainingJobs::TrainingJobs(std::vector<std::unique_ptr<PlannedPipeline>> pipelines,
                           const std::filesystem::path& state, JobLimits limits, Clock clock)
    : pipelines_{std::move(pipelines)},
      limits_{limits},
      clock_{std::move(clock)},
      store_{std::make_unique<Store>(state)},
      jobs_{store_->load()} {
  for (const auto& [id, job] : jobs_) {
    for (const auto& pipeline : pipelines_) {
      if (pipeline->name() == job->pipeline_name && pipeline->fingerprint() == job->fingerprint) {
        job->pipeline = pipeline.get();
      }
    }
    job->active_at = clock_();  // nobody could ask while no server ran
  }
}

TrainingJobs::~TrainingJobs() = default;

TrainingJobs::Job& TrainingJobs::find(const std::string& id) const {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) {
    throw Refusal{404, "there is no job '" + printable(id) + "'; register it"};
  }
  return *found->second;
}

const PlannedPipeline* TrainingJobs::pipeline_for(const JobRequest& request) const {
  const auto named = std::find_if(pipelines_.begin(), pipelines_.end(), [&](const auto& pipeline) {
    return pipeline->name() == first_word(request.metadata);
  });
  if (named != pipelines_.end()) {
    return named->get();
  }
  if (pipelines_.size() == 1) {
    return pipelines_.front().get();
  }
  std::vector<std::string> names;
  for (const auto& pipeline : pipelines_) {
    names.push_back(pipeline->name());
  }
  throw Refusal{400, "job_metadata '" + printable(request.metadata) +
                         "' names no pipeline with its first word; " +
                         suggestion(first_word(request.metadata), names)};
}

void TrainingJobs::forget_idle_jobs() {
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    if (clock_() - job->second->active_at > limits_.idle) {
      store_->remove(job->first);
      for (const auto& [rank, caller] : job->second->waiting) {
        caller.deliver({404, net::detail_json("the job was idle and is forgotten")}, {});
      }
      job = jobs_.erase(job);
    } else {
      ++job;
    }
  }
}

std::string TrainingJobs::register_job(const JobRequest& request) {
  const auto product = static_cast<double>(request.pipeline_parallel) * request.data_parallel *
                       request.tensor_parallel;
  if (product != static_cast<double>(request.world_size)) {
    throw Refusal{400, "world_size is " + std::to_string(request.world_size) +
                           " and the degrees multiply to " + shortest(product)};
  }
  if (request.world_size > limits_.waiting) {
    throw Refusal{400, "world_size is " + std::to_string(request.world_size) +
                           ", and all ranks wait at once; this server lets " +
                           std::to_string(limits_.waiting) + " wait"};
  }
  const auto* pipeline = pipeline_for(request);
  if (pipeline->stages() != request.pipeline_parallel) {
    throw Refusal{400, "pp_degree is " + std::to_string(request.pipeline_parallel) +
                           " and pipeline '" + pipeline->name() + "' has " +
                           std::to_string(pipeline->stages()) + " stages"};
  }
  forget_idle_jobs();
  if (jobs_.size() >= limits_.jobs) {
    throw Refusal{429, "there are " + std::to_string(jobs_.size()) +
                           " jobs, as many as this server takes; wait until one is forgotten"};
  }
  auto job = std::make_unique<Job>();
  const auto stem = id_stem(request, clock_());
  job->id = stem;
  for (int twin = 2; jobs_.contains(job->id); ++twin) {
    job->id = stem + "+" + std::to_string(twin);
  }
  job->pipeline_name = pipeline->name();
  job->pipeline = pipeline;
  job->pipeline_parallel = request.pipeline_parallel;
  job->data_parallel = request.data_parallel;
  job->tensor_parallel = request.tensor_parallel;
  job->fingerprint = pipeline->fingerprint();
  job->active_at = clock_();
  store_->add(*job);
  const auto id = job->id;
  jobs_.emplace(id, std::move(job));
  return id;
}

void TrainingJobs::register_rank(const std::string& id, const RankRequest& request) {
  auto& job = find(id);
  check_rank(request.rank, job.world_size());
  check_place("dp_rank", request.data_parallel, job.data_parallel);
  check_place("pp_rank", request.pipeline_parallel, job.pipeline_parallel);
  check_place("tp_rank", request.tensor_parallel, job.tensor_parallel);
  const Place place{request.data_parallel, request.pipeline_parallel, request.tensor_parallel};
  if (job.ranks.contains(request.rank)) {
    throw Refusal{409, "rank " + std::to_string(request.rank) +
                           " has registered already; it may ask for its schedule"};
  }
  if (job.taken.contains(job.index_of(place))) {
    throw Refusal{409, "another rank has registered as dp_rank " +
                           std::to_string(place.data_parallel) + ", pp_rank " +
                           std::to_string(place.pipeline_parallel) + ", tp_rank " +
                           std::to_string(place.tensor_parallel)};
  }
  if (job.pipeline != nullptr) {
    const std::set<int> available{request.available_frequencies.begin(),
                                  request.available_frequencies.end()};
    for (const int frequency : job.pipeline->frequencies(place.pipeline_parallel)) {
      if (!available.contains(frequency)) {
        throw Refusal{409, "the GPU has no " + std::to_string(frequency) +
                               " MHz, which plans of pipeline '" + job.pipeline_name +
                               "' may use; profile it on this GPU"};
      }
    }
  }
  store_->add_rank(job, request.rank, place);
  job.active_at = clock_();
  job.seat(request.rank, place);
}

std::size_t TrainingJobs::waiting() const {
  std::size_t ranks = 0;
  for (const auto& [id, job] : jobs_) {
    ranks += job->waiting.size();
  }
  return ranks;
}

void TrainingJobs::ask(const std::string& id, int rank, std::optional<int> round, Caller caller) {
  auto& job = find(id);
  check_rank(rank, job.world_size());
  if (!job.ranks.contains(rank)) {
    throw Refusal{409, "rank " + std::to_string(rank) + " has not registered"};
  }
  const bool is_repeat = round ? *round == job.rounds : job.lost.contains(rank);
  if (round && ((is_repeat && job.rounds == 0) || (!is_repeat && *round != job.rounds + 1))) {
    throw Refusal{409, "round " + std::to_string(*round) + " is not to be had: the newest is " +
                           std::to_string(job.rounds) + ", and rounds count from 1"};
  }
  job.active_at = clock_();
  if (is_repeat) {
    deliver(job, rank, caller, false);
    return;
  }
  if (job.pipeline == nullptr) {
    throw_pipeline_gone(job.pipeline_name);
  }
  if (next_plans(job).empty()) {
    throw Refusal{
        409, "no plan of pipeline '" + job.pipeline_name + "' keeps the job's power cap; raise it"};
  }
  if (!job.waiting.contains(rank) && waiting() >= static_cast<std::size_t>(limits_.waiting)) {
    throw Refusal{503, std::to_string(limits_.waiting) +
                           " ranks wait, as many as this server lets; ask again"};
  }
  if (const auto before = job.waiting.find(rank); before != job.waiting.end()) {
    before->second.deliver(
        {409, net::detail_json("rank " + std::to_string(rank) + " has asked again")}, {});
  }
  job.waiting[rank] = std::move(caller);
  if (static_cast<int>(job.waiting.size()) == job.world_size()) {
    drop_gone(job);
  }
  if (static_cast<int>(job.waiting.size()) == job.world_size()) {
    hand_out(job);
  }
}

/// A caller that has hung up has not asked.
void TrainingJobs::drop_gone(Job& job) {
  std::erase_if(job.waiting, [](const auto& entry) { return !entry.second.is_there(); });
}

void TrainingJobs::deliver(const Job& job, int rank, const Caller& caller, bool may_be_lost) {
  const auto& place = job.ranks.at(rank);
  caller.deliver(schedule_json(*job.handed_out[static_cast<std::size_t>(place.data_parallel)],
                               place.pipeline_parallel, rank, job.rounds),
                 [this, id = job.id, round = job.rounds, rank, may_be_lost](bool is_sent) {
                   if (is_sent || may_be_lost) {
                     mark_lost(id, round, rank, !is_sent);
                   }
                 });
}

void TrainingJobs::mark_lost(const std::string& id, int round, int rank, bool is_lost) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end() || found->second->rounds != round) {
    return;
  }
  auto& lost = found->second->lost;
  if (is_lost ? lost.insert(rank).second : lost.erase(rank) > 0) {
    try {
      store_->set_lost(id, rank, is_lost);
    } catch (const Error&) {
      // Known until the server ends, and the rank can name the round it wants.
    }
  }
}

std::vector<std::shared_ptr<const StagePlan>> TrainingJobs::plans_under(const Job& job,
                                                                        std::optional<Watts> cap) {
  const auto own_cap = pipeline_cap(cap, job.data_parallel, job.tensor_parallel);
  const auto plan = job.pipeline->plan(own_cap);
  if (!plan) {
    return {};
  }
  const auto slowdowns = job.replica_slowdowns();
  const double most = *std::max_element(slowdowns.begin(), slowdowns.end());
  std::vector<std::shared_ptr<const StagePlan>> plans;
  for (const double slowdown : slowdowns) {
    plans.push_back(slowdown == most
                        ? plan
                        : job.pipeline->waiting_plan(own_cap, plan->time * (most / slowdown)));
  }
  return plans;
}

const std::vector<std::shared_ptr<const StagePlan>>& TrainingJobs::next_plans(Job& job) {
  if (job.next.empty()) {
    job.next = plans_under(job, job.power_cap);
  }
  return job.next;
}

void TrainingJobs::hand_out(Job& job) {
  const auto callers = std::exchange(job.waiting, {});
  const auto before = std::exchange(job.handed_out, next_plans(job));
  const auto lost = std::exchange(job.lost, {});
  ++job.rounds;
  try {
    store_->keep_round(job, job.handed_out != before);
  } catch (const Error& problem) {
    job.handed_out = before;
    job.lost = lost;
    --job.rounds;
    for (const auto& [rank, caller] : callers) {
      caller.deliver({503, net::detail_json(problem.what())}, {});
    }
    return;
  }
  if (job.handed_out != before) {
    job.measured.clear();
  }
  for (const auto& [rank, caller] : callers) {
    deliver(job, rank, caller, true);
  }
}

void TrainingJobs::report(const std::string& id, const IterationReport& report) {
  auto& job = find(id);
  check_rank(report.rank, job.world_size());
  if (job.rounds == 0) {
    throw Refusal{409, "no schedule has been handed out to measure"};
  }
  if (report.seconds.empty() || report.seconds.size() != report.joules.size()) {
    throw Refusal{400, "iter_time has " + std::to_string(report.seconds.size()) +
                           " entries and iter_energy " + std::to_string(report.joules.size()) +
                           "; give one of each for every iteration"};
  }
  Measured measured;
  for (std::size_t i = 0; i < report.seconds.size(); ++i) {
    const bool is_sane = report.seconds[i] > 0 && report.seconds[i] <= kMostSeconds &&
                         report.joules[i] >= 0 && report.joules[i] <= kMostJoules;
    if (!is_sane) {
      throw Refusal{400, "iteration " + std::to_string(i) + " took " + shortest(report.seconds[i]) +
                             " s and " + shortest(report.joules[i]) +
                             " J; give seconds above 0 and joules from 0"};
    }
    measured.seconds += report.seconds[i];
    measured.joules += report.joules[i];
    ++measured.iterations;
  }
  store_->keep_report(job, report.rank, measured);
  job.active_at = clock_();
  job.measured[report.rank] = measured;
}

JobState TrainingJobs::set_slowdown(const std::string& id, int rank, double slowdown_ratio) {
  auto& job = find(id);
  check_rank(rank, job.world_size());
  if (!job.ranks.contains(rank)) {
    throw Refusal{409, "rank " + std::to_string(rank) + " has not registered"};
  }
  if (!(slowdown_ratio >= 1 && slowdown_ratio <= kMostSlowdown)) {
    throw Refusal{400, "slowdown_ratio is " + shortest(slowdown_ratio) +
                           "; give how many times as long the rank takes, from 1 (no straggler) "
                           "to 100"};
  }
  store_->set_slowdown(job, rank, slowdown_ratio);
  job.active_at = clock_();
  const auto before = job.replica_slowdowns();
  if (slowdown_ratio > 1) {
    job.slowdown_ratios[rank] = slowdown_ratio;
  } else {
    job.slowdown_ratios.erase(rank);
  }
  if (job.pipeline != nullptr && job.replica_slowdowns() != before) {
    const auto held = std::exchange(job.next, {});  // plans that stay are not sought anew
    job.next = plans_under(job, job.power_cap);
  }
  return state_of(job);
}

JobState TrainingJobs::set_power_cap(const std::string& id, std::optional<Watts> cap) {
  auto& job = find(id);
  if (job.pipeline == nullptr) {
    throw_pipeline_gone(job.pipeline_name);
  }
  auto plans = plans_under(job, cap);
  if (plans.empty()) {
    const auto& planner = job.pipeline->planner();
    const auto least = planner.at(planner.frontier().slowest())->mean_power() *
                       (static_cast<double>(job.data_parallel) * job.tensor_parallel);
    throw Refusal{409, "no plan draws as little as " + shortest(cap->in_base()) +
                           " W while it runs; the slowest draws " + shortest(least.in_base()) +
                           " W"};
  }
  store_->set_power_cap(job, cap);
  job.active_at = clock_();
  job.power_cap = cap;
  job.next = std::move(plans);
  return state_of(job);
}

JobState TrainingJobs::state_of(Job& job) {
  JobState state;
  state.id = job.id;
  state.pipeline = job.pipeline_name;
  state.world_size = job.world_size();
  state.registered = static_cast<int>(job.ranks.size());
  state.rounds = job.rounds;
  drop_gone(job);
  for (int rank = 0; rank < job.world_size() && !job.waiting.empty() &&
                     state.waiting_for.size() < kMostNamedRanks;
       ++rank) {
    if (!job.waiting.contains(rank)) {
      state.waiting_for.push_back(rank);
    }
  }
  state.slowdown_ratios = job.slowdown_ratios;
  state.power_cap = job.power_cap;
  if (job.pipeline != nullptr) {
    const auto slowdowns = job.replica_slowdowns();
    const auto slowest = std::max_element(slowdowns.begin(), slowdowns.end());
    if (const auto& plans = next_plans(job); !plans.empty()) {
      state.plan = plans[static_cast<std::size_t>(slowest - slowdowns.begin())];
      state.iteration_time = state.plan->time * *slowest;
    }
  }
  double measured_seconds = 0;
  double measured_joules = 0;
  for (const auto& [rank, measured] : job.measured) {
    const auto iterations = static_cast<double>(measured.iterations);
    measured_seconds += measured.seconds / iterations / static_cast<double>(job.measured.size());
    measured_joules += measured.joules / iterations;
  }
  if (!job.measured.empty()) {
    state.measured_time = seconds(measured_seconds);
  }
  if (static_cast<int>(job.measured.size()) == job.world_size()) {
    state.measured_energy = Joules::from_base(measured_joules);
  }
  return state;
}

JobState TrainingJobs::state(const std::string& id) const {
  return state_of(find(id));
}

std::vector<JobState> TrainingJobs::states() const {
  std::vector<JobState> states;
  for (const auto& [id, job] : jobs_) {
    states.push_back(state_of(*job));
  }
  return states;
}

}  // namespace perwatt::serve
