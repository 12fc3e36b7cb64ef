// Training jobs and the frequency plans their ranks are given.
//
// A job registers, then each of its ranks. Plans are handed out in rounds: a rank that asks waits
// until all ranks of its job have asked, and then each gets the plan of its stage, the same plan
// for all. What was reported meanwhile (a straggler, a power cap) changes the plan of the next
// round, never that of a round under way. All of it is kept in a file: a server that was killed
// goes on where it was, and ranks that waited ask again. Functions that cannot write it throw as
// store::Database does and change nothing.
//
// A rank whose answer was lost gets the same round again. A server cannot always know that (it may
// be killed between keeping a round and sending it): a rank that names the round it asks for gets
// exactly that one.
//
// Stragglers (Perseus, arXiv 2312.06902, section 3.2): a rank reported to take `slowdown_ratio`
// times as long slows its whole pipeline, one of the job's data parallel replicas; the others wait
// for it at the end of each iteration and may as well run slower. With T the time of the plan
// without stragglers and s the slowdown of each replica, the iteration takes T' = max s T, and a
// replica of slowdown s gets the plan for T'/s: the slowest one goes on as before.
//
// Thread rule: one thread at a time.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "perwatt/net/http_server.hpp"
#include "perwatt/serve/planned_pipeline.hpp"

namespace perwatt::serve {

/// A request that was not carried out: nothing has changed.
class Refusal : public std::runtime_error {
 public:
  Refusal(int status, const std::string& reason) : std::runtime_error{reason}, status_{status} {}

  /// Of HTTP: 4xx, or 503 for what may be asked again.
  [[nodiscard]] int status() const { return status_; }

 private:
  int status_;
};

struct JobRequest {
  int pipeline_parallel = 1;  // stages
  int data_parallel = 1;      // replicas of the pipeline
  int tensor_parallel = 1;    // GPUs of a stage
  std::int64_t world_size = 1;
  std::string metadata;  // its first word may name the pipeline
};

struct RankRequest {
  int rank = 0;
  int data_parallel = 0;  // the place of the rank in each dimension
  int pipeline_parallel = 0;
  int tensor_parallel = 0;
  std::vector<int> available_frequencies;  // MHz
};

/// What a rank measured since the last round.
struct IterationReport {
  int rank = 0;
  std::vector<double> seconds;  // of each iteration
  std::vector<double> joules;   // of each iteration, of this GPU
};

struct JobLimits {
  std::size_t jobs = 1000;
  int waiting = 16000;                // ranks at once, of all jobs; a job of more could never begin
  Seconds idle = seconds(7 * 86400);  // without a request, after which a job may be forgotten
};

/// Who waits for a schedule.
struct Caller {
  /// Sends the schedule, or why there is none; the second argument is as in HttpReply.
  std::function<void(net::HttpAnswer, net::HttpReply::Done)> deliver;
  /// False once nobody is there to take it.
  std::function<bool()> is_there;
};

/// What a job does, for people and for the one who reports stragglers.
struct JobState {
  std::string id;
  std::string pipeline;
  int world_size = 0;
  int registered = 0;
  int rounds = 0;                // handed out
  std::vector<int> waiting_for;  // ranks that have not asked while others wait; the first sixteen
  std::map<int, double> slowdown_ratios;  // by rank
  std::optional<Watts> power_cap;         // of all its GPU boards together
  std::shared_ptr<const StagePlan> plan;  // of the slowest replica; null where its pipeline is gone
  Seconds iteration_time;                 // with stragglers
  std::optional<Seconds> measured_time;   // mean of the ranks' newest reports under these plans
  std::optional<Joules> measured_energy;  // of an iteration, all ranks; known when all reported
};

class TrainingJobs {
 public:
  /// Seconds since 1970.
  using Clock = std::function<Seconds()>;

  /// Opens `state` with the jobs it knows. Throws as store::Database does.
  TrainingJobs(std::vector<std::unique_ptr<PlannedPipeline>> pipelines,
               const std::filesystem::path& state, JobLimits limits, Clock clock);
  ~TrainingJobs();
  TrainingJobs(const TrainingJobs&) = delete;
  TrainingJobs& operator=(const TrainingJobs&) = delete;

  /// Returns the id: "2026-11-30-09-49-09+dp2+pp8+tp1+perwatt+metadata". Throws Refusal.
  std::string register_job(const JobRequest& request);

  /// Throws Refusal for a rank the job does not have or has already, and for a GPU without a
  /// frequency that plans may use.
  void register_rank(const std::string& job, const RankRequest& request);

  /// Delivers now, or when the other ranks have asked. `round` counts from 1: the one asked for, or
  /// nothing for the next. Throws Refusal.
  void ask(const std::string& job, int rank, std::optional<int> round, Caller caller);

  /// Throws Refusal for a report without iterations, with other than one time and one energy for
  /// each, or before the first round.
  void report(const std::string& job, const IterationReport& report);

  /// From the next round on; 1 takes the report back. Throws Refusal.
  JobState set_slowdown(const std::string& job, int rank, double slowdown_ratio);

  /// Of all GPU boards of the job together, from the next round on; nothing lifts the cap. Throws
  /// Refusal (409) when no plan draws so little.
  JobState set_power_cap(const std::string& job, std::optional<Watts> cap);

  [[nodiscard]] JobState state(const std::string& job) const;

  [[nodiscard]] std::vector<JobState> states() const;

  [[nodiscard]] const std::vector<std::unique_ptr<PlannedPipeline>>& pipelines() const {
    return pipelines_;
  }

 private:
  struct Job;
  class Store;
  using JobMap = std::map<std::string, std::unique_ptr<Job>>;

  Job& find(const std::string& id) const;
  [[nodiscard]] const PlannedPipeline* pipeline_for(const JobRequest& request) const;
  /// By replica; none when the pipeline cannot keep the cap. REQUIRES: Job::pipeline.
  [[nodiscard]] static std::vector<std::shared_ptr<const StagePlan>> plans_under(
      const Job& job, std::optional<Watts> cap);
  [[nodiscard]] static const std::vector<std::shared_ptr<const StagePlan>>& next_plans(Job& job);
  static void drop_gone(Job& job);
  void forget_idle_jobs();
  void hand_out(Job& job);
  [[nodiscard]] std::size_t waiting() const;
  void deliver(const Job& job, int rank, const Caller& caller, bool may_be_lost);
  void mark_lost(const std::string& id, int round, int rank, bool is_lost);
  [[nodiscard]] static JobState state_of(Job& job);

  std::vector<std::unique_ptr<PlannedPipeline>> pipelines_;
  JobLimits limits_;
  Clock clock_;
  std::unique_ptr<Store> store_;
  JobMap jobs_;
};

}  // namespace perwatt::serve
