#include "training_store.hpp"

namespace perwatt::serve {

namespace {

constexpr const char* kTables = R"(
CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  pipeline TEXT NOT NULL,
  pipeline_parallel INTEGER NOT NULL,
  data_parallel INTEGER NOT NULL,
  tensor_parallel INTEGER NOT NULL,
  fingerprint TEXT NOT NULL,
  rounds INTEGER NOT NULL,
  power_cap_watts REAL) WITHOUT ROWID;
CREATE TABLE ranks (
  job TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
  rank INTEGER NOT NULL,
  data_parallel INTEGER NOT NULL,
  pipeline_parallel INTEGER NOT NULL,
  tensor_parallel INTEGER NOT NULL,
  PRIMARY KEY (job, rank)) WITHOUT ROWID;
CREATE TABLE lost_answers (
  job TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
  rank INTEGER NOT NULL,
  PRIMARY KEY (job, rank)) WITHOUT ROWID;
CREATE TABLE slowdowns (
  job TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
  rank INTEGER NOT NULL,
  ratio REAL NOT NULL,
  PRIMARY KEY (job, rank)) WITHOUT ROWID;
CREATE TABLE reports (
  job TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
  rank INTEGER NOT NULL,
  iterations INTEGER NOT NULL,
  seconds REAL NOT NULL,
  joules REAL NOT NULL,
  PRIMARY KEY (job, rank)) WITHOUT ROWID;
CREATE TABLE plans (
  job TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
  plan INTEGER NOT NULL,
  time_seconds REAL NOT NULL,
  energy_joules REAL NOT NULL,
  lower_bound_joules REAL NOT NULL,
  PRIMARY KEY (job, plan)) WITHOUT ROWID;
CREATE TABLE plan_stages (
  job TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
  plan INTEGER NOT NULL,
  stage INTEGER NOT NULL,
  frequencies TEXT NOT NULL,
  PRIMARY KEY (job, plan, stage)) WITHOUT ROWID;
CREATE TABLE replica_plans (
  job TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
  replica INTEGER NOT NULL,
  plan INTEGER NOT NULL,
  PRIMARY KEY (job, replica)) WITHOUT ROWID;
)";

constexpr std::int32_t kApplication = 0x70777472;  // "pwtr"

}  // namespace

TrainingJobs::Store::Store(const std::filesystem::path& file)
    : database_{file, {kApplication, 1, kTables}} {}

TrainingJobs::JobMap TrainingJobs::Store::load() {
  JobMap jobs;
  auto rows = database_.prepare(
      "SELECT id, pipeline, pipeline_parallel, data_parallel, tensor_parallel, "
      "fingerprint, rounds, power_cap_watts FROM jobs");
  while (rows.step()) {
    auto job = std::make_unique<Job>();
    job->id = rows.text(0);
    job->pipeline_name = rows.text(1);
    job->pipeline_parallel = static_cast<int>(rows.integer(2));
    job->data_parallel = static_cast<int>(rows.integer(3));
    job->tensor_parallel = static_cast<int>(rows.integer(4));
    job->fingerprint = rows.text(5);
    job->rounds = static_cast<int>(rows.integer(6));
    if (!rows.is_null(7)) {
      job->power_cap = Watts::from_base(rows.number(7));
    }
    jobs.emplace(job->id, std::move(job));
  }
  load_ranks(jobs);
  load_plans(jobs);
  load_reports(jobs);
  return jobs;
}

void TrainingJobs::Store::load_ranks(JobMap& jobs) {
  auto rows = database_.prepare(
      "SELECT job, rank, data_parallel, pipeline_parallel, tensor_parallel FROM ranks");
  while (rows.step()) {
    jobs.at(rows.text(0))
        ->seat(static_cast<int>(rows.integer(1)),
               {static_cast<int>(rows.integer(2)), static_cast<int>(rows.integer(3)),
                static_cast<int>(rows.integer(4))});
  }
  auto lost = database_.prepare("SELECT job, rank FROM lost_answers");
  while (lost.step()) {
    jobs.at(lost.text(0))->lost.insert(static_cast<int>(lost.integer(1)));
  }
  auto slowdowns = database_.prepare("SELECT job, rank, ratio FROM slowdowns");
  while (slowdowns.step()) {
    jobs.at(slowdowns.text(0))->slowdown_ratios[static_cast<int>(slowdowns.integer(1))] =
        slowdowns.number(2);
  }
}

void TrainingJobs::Store::load_plans(JobMap& jobs) {
  std::map<std::pair<std::string, std::int64_t>, std::shared_ptr<StagePlan>> plans;
  auto rows = database_.prepare(
      "SELECT job, plan, time_seconds, energy_joules, lower_bound_joules FROM plans");
  while (rows.step()) {
    auto plan = std::make_shared<StagePlan>();
    plan->time = seconds(rows.number(2));
    plan->energy = Joules::from_base(rows.number(3));
    plan->lower_bound = Joules::from_base(rows.number(4));
    plans.emplace(std::pair{rows.text(0), rows.integer(1)}, std::move(plan));
  }
  auto stages =
      database_.prepare("SELECT job, plan, frequencies FROM plan_stages ORDER BY job, plan, stage");
  while (stages.step()) {
    plans.at({stages.text(0), stages.integer(1)})->frequencies.push_back(stages.text(2));
  }
  auto replicas = database_.prepare("SELECT job, plan FROM replica_plans ORDER BY job, replica");
  while (replicas.step()) {
    const auto id = replicas.text(0);
    jobs.at(id)->handed_out.push_back(plans.at({id, replicas.integer(1)}));
  }
}

void TrainingJobs::Store::load_reports(JobMap& jobs) {
  auto rows = database_.prepare("SELECT job, rank, iterations, seconds, joules FROM reports");
  while (rows.step()) {
    jobs.at(rows.text(0))->measured[static_cast<int>(rows.integer(1))] = {
        rows.number(3), rows.number(4), rows.integer(2)};
  }
}

void TrainingJobs::Store::add(const Job& job) {
  database_.prepare("INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, NULL)")
      .bind(1, job.id)
      .bind(2, job.pipeline_name)
      .bind(3, std::int64_t{job.pipeline_parallel})
      .bind(4, std::int64_t{job.data_parallel})
      .bind(5, std::int64_t{job.tensor_parallel})
      .bind(6, job.fingerprint)
      .bind(7, std::int64_t{job.rounds})
      .run();
}

void TrainingJobs::Store::remove(const std::string& id) {
  database_.prepare("DELETE FROM jobs WHERE id = ?").bind(1, id).run();
}

void TrainingJobs::Store::add_rank(const Job& job, int rank, const Place& place) {
  database_.prepare("INSERT INTO ranks VALUES (?, ?, ?, ?, ?)")
      .bind(1, job.id)
      .bind(2, std::int64_t{rank})
      .bind(3, std::int64_t{place.data_parallel})
      .bind(4, std::int64_t{place.pipeline_parallel})
      .bind(5, std::int64_t{place.tensor_parallel})
      .run();
}

void TrainingJobs::Store::keep_round(const Job& job, bool plans_changed) {
  store::Transaction transaction{database_};
  database_.prepare("UPDATE jobs SET rounds = ? WHERE id = ?")
      .bind(1, std::int64_t{job.rounds})
      .bind(2, job.id)
      .run();
  database_.prepare("DELETE FROM lost_answers WHERE job = ?").bind(1, job.id).run();
  if (plans_changed) {
    database_.prepare("DELETE FROM reports WHERE job = ?").bind(1, job.id).run();
    write_plans(job);
  }
  transaction.commit();
}

void TrainingJobs::Store::write_plans(const Job& job) {
  for (const auto* table : {"plans", "plan_stages", "replica_plans"}) {
    database_.prepare(std::string{"DELETE FROM "} + table + " WHERE job = ?").bind(1, job.id).run();
  }
  auto plan_row = database_.prepare("INSERT INTO plans VALUES (?, ?, ?, ?, ?)");
  auto stage_row = database_.prepare("INSERT INTO plan_stages VALUES (?, ?, ?, ?)");
  auto replica_row = database_.prepare("INSERT INTO replica_plans VALUES (?, ?, ?)");
  std::map<const StagePlan*, std::int64_t> numbers;
  for (std::size_t replica = 0; replica < job.handed_out.size(); ++replica) {
    const auto& plan = *job.handed_out[replica];
    const auto [known, is_new] = numbers.emplace(&plan, static_cast<std::int64_t>(numbers.size()));
    const auto number = known->second;
    if (is_new) {
      plan_row.bind(1, job.id)
          .bind(2, number)
          .bind(3, in_seconds(plan.time))
          .bind(4, plan.energy.in_base())
          .bind(5, plan.lower_bound.in_base())
          .run();
      for (std::size_t stage = 0; stage < plan.frequencies.size(); ++stage) {
        stage_row.bind(1, job.id)
            .bind(2, number)
            .bind(3, static_cast<std::int64_t>(stage))
            .bind(4, plan.frequencies[stage])
            .run();
      }
    }
    replica_row.bind(1, job.id).bind(2, static_cast<std::int64_t>(replica)).bind(3, number).run();
  }
}

void TrainingJobs::Store::set_lost(const std::string& id, int rank, bool is_lost) {
  database_
      .prepare(is_lost ? "INSERT OR IGNORE INTO lost_answers VALUES (?, ?)"
                       : "DELETE FROM lost_answers WHERE job = ? AND rank = ?")
      .bind(1, id)
      .bind(2, std::int64_t{rank})
      .run();
}

void TrainingJobs::Store::set_slowdown(const Job& job, int rank, double ratio) {
  if (ratio > 1) {
    database_.prepare("INSERT OR REPLACE INTO slowdowns VALUES (?, ?, ?)")
        .bind(1, job.id)
        .bind(2, std::int64_t{rank})
        .bind(3, ratio)
        .run();
  } else {
    database_.prepare("DELETE FROM slowdowns WHERE job = ? AND rank = ?")
        .bind(1, job.id)
        .bind(2, std::int64_t{rank})
        .run();
  }
}

void TrainingJobs::Store::set_power_cap(const Job& job, std::optional<Watts> cap) {
  auto update = database_.prepare("UPDATE jobs SET power_cap_watts = ? WHERE id = ?");
  cap ? update.bind(1, cap->in_base()) : update.bind_null(1);
  update.bind(2, job.id).run();
}

void TrainingJobs::Store::keep_report(const Job& job, int rank, const Measured& measured) {
  database_.prepare("INSERT OR REPLACE INTO reports VALUES (?, ?, ?, ?, ?)")
      .bind(1, job.id)
      .bind(2, std::int64_t{rank})
      .bind(3, measured.iterations)
      .bind(4, measured.seconds)
      .bind(5, measured.joules)
      .run();
}

}  // namespace perwatt::serve
