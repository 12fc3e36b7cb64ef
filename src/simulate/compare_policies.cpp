#include "perwatt/simulate/compare_policies.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

namespace perwatt::simulate {

namespace {

/// What all workers have done, told under one lock.
class SharedProgress {
 public:
  SharedProgress(const Progress& progress, std::size_t jobs) : progress_{progress}, done_(jobs) {}

  void tell(std::size_t job, double ratio) {
    const std::lock_guard lock{mutex_};
    done_[job] = ratio;
    double sum = 0;
    for (const double one : done_) {
      sum += one;
    }
    if (progress_) {
      progress_(sum / static_cast<double>(done_.size()));
    }
  }

 private:
  std::mutex mutex_;
  const Progress& progress_;
  std::vector<double> done_;
};

}  // namespace

std::vector<PolicyRuns> compare_policies(const Scenario& scenario,
                                         std::span<const PolicyPlan> policies, int seeds,
                                         const Progress& progress, const RunMeans& means) {
  const auto seed_count = static_cast<std::size_t>(seeds);
  const std::size_t jobs = policies.size() * seed_count;
  std::vector<PolicyRuns> runs(policies.size(), PolicyRuns(seed_count));
  SharedProgress shared{progress, jobs};
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto work = [&] {
    for (std::size_t job = next++; job < jobs; job = next++) {
      try {
        const std::size_t policy = job / seed_count;
        const std::size_t seed = job % seed_count;
        runs[policy][seed] = run_scenario(
            scenario, policies[policy], scenario.seed + seed,
            [&shared, job](double ratio) { shared.tell(job, ratio); }, means);
        shared.tell(job, 1);
      } catch (...) {
        const std::lock_guard lock{failure_mutex};
        failure = std::current_exception();
        next = jobs;
      }
    }
  };
  const std::size_t workers =
      std::min<std::size_t>(jobs, std::max(1U, std::thread::hardware_concurrency()));
  std::vector<std::jthread> threads;
  for (std::size_t w = 0; w < workers; ++w) {
    threads.emplace_back(work);
  }
  threads.clear();  // joins
  if (failure) {
    std::rethrow_exception(failure);
  }
  return runs;
}

}  // namespace perwatt::simulate
