// The jobs as they are kept in a file.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "training_job.hpp"

#include "perwatt/store/database.hpp"

namespace perwatt::serve {

/// Each function is one transaction: when it returns, the change survives a kill.
class TrainingJobs::Store {
 public:
  explicit Store(const std::filesystem::path& file);

  /// Every job, as kept; Job::pipeline is not set.
  [[nodiscard]] JobMap load();

  void add(const Job& job);
  void remove(const std::string& id);
  void add_rank(const Job& job, int rank, const Place& place);

  /// The newest round; with `plans_changed`, that handed_out differs from the round before, what
  /// was measured under those plans goes.
  void keep_round(const Job& job, bool plans_changed);

  void set_lost(const std::string& id, int rank, bool is_lost);

  /// 1 takes the slowdown away.
  void set_slowdown(const Job& job, int rank, double ratio);
  void set_power_cap(const Job& job, std::optional<Watts> cap);
  void keep_report(const Job& job, int rank, const Measured& measured);

 private:
  void load_ranks(JobMap& jobs);
  void load_plans(JobMap& jobs);
  void load_reports(JobMap& jobs);
  void write_plans(const Job& job);

  store::Database database_;
};

}  // namespace perwatt::serve
