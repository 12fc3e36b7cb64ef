#include "perwatt/simulate/scenario_run.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "counter_random.hpp"
#include "fault_runner.hpp"
#include "policy.hpp"
#include "score_keeper.hpp"
#include "service_work.hpp"
#include "training_work.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/simulate/simulated_platform.hpp"

namespace perwatt::simulate {

namespace {

enum Purpose : std::uint64_t { kOfPlant, kOfFailures, kOfMessages, kOfJobs };

/// Apart for every purpose, so that one more service changes no other.
std::uint64_t seed_for(std::uint64_t seed, std::uint64_t purpose) {
  return mix_bits(seed + (purpose + 1) * 0x9e3779b97f4a7c15);
}

/// By device: a job has it.
std::vector<char> busy_devices(const Scenario& scenario) {
  std::vector<char> is_busy(scenario.tree.devices().size());
  for (const auto& service : scenario.services) {
    for (const auto& pool : service.gpus) {
      for (const auto gpu : pool) {
        is_busy[gpu.value] = 1;
      }
    }
  }
  for (const auto& training : scenario.trainings) {
    for (const auto gpu : training.gpus) {
      is_busy[gpu.value] = 1;
    }
  }
  return is_busy;
}

/// A clairvoyant's devices obey at once.
PlantSpec plant_spec_for(const Scenario& scenario, PolicyKind kind, std::uint64_t seed) {
  auto spec = scenario.plant;
  spec.seed = seed_for(seed, kOfPlant);
  if (kind == PolicyKind::clairvoyant) {
    for (auto& one : spec.kinds) {
      one.overshoot_ratio = 1;
      one.regulation = {};
      one.least_latency_ns = 0;
      one.most_latency_ns = 0;
    }
  }
  return spec;
}

}  // namespace

struct ScenarioRun::Parts {
  Parts(const Scenario& scenario, const PolicyPlan& policy, std::uint64_t seed,
        const RunMeans& means)
      : scenario_{scenario_for(scenario, policy)},
        plan_{policy},
        seed_{seed},
        plant_{scenario_.tree, plant_spec_for(scenario_, policy.kind, seed)},
        step_{scenario.plant.step()},
        scored_from_{std::llround(scenario.warm_up / step_)},
        steps_{scored_from_ + std::max(1LL, std::llround(scenario.duration / step_))},
        platform_{plant_},
        values_{device_values(scenario_)},
        gpus_{std::vector<char>(values_.size()), std::vector<char>(values_.size()),
              std::vector<char>(values_.size()), platform_.clock_ratios(),
              std::vector<char>(values_.size()), std::vector<char>(values_.size())} {
    start_jobs(scenario);
    const PolicySite site{scenario_,
                          plan_,
                          seed_for(seed_, kOfMessages),
                          platform_,
                          values_,
                          [this] { return demands_; },
                          gpus_.is_to_stop,
                          gpus_.is_stopped,
                          means};
    policy_ = make_policy(site);
    lead_in();
    faults_.emplace(scenario_, plant_.now(), scenario.warm_up + scenario.duration,
                    seed_for(seed_, kOfFailures));
    score_.emplace(scenario_, plan_, plant_, steps_ - scored_from_);
  }

  void step() {
    if (done_ == scored_from_) {
      start_counting();
      score_->start(platform_.writes());
    }
    for (auto& text : faults_->step(plant_.now(), plant_, gpus_, *policy_)) {
      events_.push_back({step_ * static_cast<double>(done_), std::move(text)});
    }
    stop_devices();
    work(Instant::from_nanoseconds((done_ + 1) * scenario_.plant.step_ns));
    policy_->step(plant_.now());
    for (auto& text : policy_->take_messages()) {
      events_.push_back({step_ * static_cast<double>(done_), std::move(text)});
    }
    plant_.step();
    count_energy();
    if (done_ >= scored_from_) {
      const auto counts = totals();
      score_->add_step(done_ - scored_from_, demands_, {counts.output_tokens, counts.good_tokens});
    }
    faults_->count_over_lowered(plant_.now(), plant_, step_, lowered_);
    ++done_;
    note_violations();
  }

  [[nodiscard]] RunTotals totals() const {
    RunTotals sum;
    for (const auto& service : services_) {
      sum.output_tokens += service->record().output_tokens;
      sum.good_tokens += service->record().good_tokens;
      sum.revenue += earned(*service);
    }
    for (const auto& training : trainings_) {
      sum.revenue += earned(*training);
    }
    return sum;
  }

  /// GPUs of jobs that are off are switched off; those that never had one idle.
  void start_jobs(const Scenario& whole) {
    demands_.resize(values_.size());
    for (std::size_t i = 0; i < scenario_.services.size(); ++i) {
      const auto& service = scenario_.services[i];
      const auto number = static_cast<std::uint64_t>(
          std::find_if(whole.services.begin(), whole.services.end(),
                       [&](const auto& one) { return one.id == service.id; }) -
          whole.services.begin());
      services_.push_back(make_service_work(service, scenario_.warm_up + scenario_.duration,
                                            seed_for(seed_, kOfJobs + number)));
    }
    for (const auto& training : scenario_.trainings) {
      trainings_.push_back(std::make_unique<TrainingWork>(training));
    }
    const auto had_job = busy_devices(whole);
    const auto has_job = busy_devices(scenario_);
    for (std::uint32_t d = 0; d < whole.tree.devices().size(); ++d) {
      const auto left = scenario_.tree.find_device(whole.tree.devices()[d].id);
      if (left && had_job[d] != 0 && has_job[left->value] == 0) {
        plant_.set_on(*left, false);
        gpus_.is_unused[left->value] = 1;
      }
    }
  }

  void lead_in() {
    for (std::uint32_t d = 0; d < demands_.size(); ++d) {
      demands_[d] = scenario_.plant.kinds[scenario_.plant.kind_of_device[d]].idle;
    }
    policy_->start(plant_.now());
    const auto steps = std::llround(kLeadIn / step_);
    for (std::int64_t s = 0; s < steps; ++s) {
      policy_->step(plant_.now());
      plant_.step();
    }
  }

  /// Those that the policy told to, once their jobs let them go, and those it wants back. Requests
  /// of an instance start over in others.
  void stop_devices() {
    if (gpus_.is_to_stop == gpus_.is_stopped) {
      return;
    }
    const auto before = gpus_.is_stopped;
    gpus_.is_stopped = gpus_.is_to_stop;
    for (const auto& training : trainings_) {
      training->let_go(gpus_.is_to_stop, gpus_.is_stopped);
    }
    for (std::uint32_t d = 0; d < before.size(); ++d) {
      if (before[d] != gpus_.is_stopped[d]) {
        plant_.set_on({d},
                      gpus_.is_stopped[d] == 0 && gpus_.is_off[d] == 0 && gpus_.is_unused[d] == 0);
      }
    }
  }

  void work(Instant until) {
    for (const auto& service : services_) {
      service->step(until, plant_, gpus_, demands_);
    }
    for (const auto& training : trainings_) {
      training->step(step_, plant_, gpus_, demands_);
    }
  }

  void count_energy() {
    for (const auto& service : services_) {
      service->count_energy(plant_, step_);
    }
    for (const auto& training : trainings_) {
      training->count_energy(plant_, step_);
    }
  }

  void start_counting() {
    for (const auto& service : services_) {
      service->start_counting();
    }
    for (const auto& training : trainings_) {
      training->start_counting();
    }
  }

  void note_violations() {
    const auto now = plant_.violations();
    const Seconds at = step_ * static_cast<double>(done_);
    if (now.trips > seen_.trips) {
      events_.push_back({at, "a breaker tripped"});
    }
    if (now.count > seen_.count) {
      events_.push_back({at, "a limit is passed"});
    }
    seen_ = now;
  }

  Scenario scenario_;  // as it is under the policy
  const PolicyPlan& plan_;
  std::uint64_t seed_;
  Plant plant_;
  Seconds step_;
  std::int64_t scored_from_;
  std::int64_t steps_;
  std::int64_t done_ = 0;
  SimulatedPlatform platform_;
  std::vector<DeviceValue> values_;
  GpuStates gpus_;
  std::vector<Watts> demands_;  // by device, without caps
  std::vector<std::unique_ptr<ServiceWork>> services_;
  std::vector<std::unique_ptr<TrainingWork>> trainings_;
  std::unique_ptr<Policy> policy_;
  std::optional<FaultRunner> faults_;
  std::optional<ScoreKeeper> score_;
  std::vector<RunEvent> events_;
  Violations seen_;
  LoweredLimits lowered_;
};

control::Replay replay_journal(const Scenario& scenario, const PolicyPlan& policy,
                               const std::filesystem::path& journal) {
  if (policy.kind != PolicyKind::perwatt) {
    throw_bad_input("only a policy of kind perwatt has a journal", policy.name,
                    "choose one of that kind");
  }
  const auto present = scenario_for(scenario, policy);
  Plant plant{present.tree, present.plant};
  SimulatedPlatform platform{plant};
  const auto values = device_values(present);
  return replay_managed_journal({present, policy, 0, platform, values, {}, {}, {}, {{}, journal}});
}

ScenarioRun::ScenarioRun(const Scenario& scenario, const PolicyPlan& policy, std::uint64_t seed,
                         const RunMeans& means)
    : parts_{std::make_unique<Parts>(scenario, policy, seed, means)} {}

ScenarioRun::~ScenarioRun() = default;
ScenarioRun::ScenarioRun(ScenarioRun&&) noexcept = default;
ScenarioRun& ScenarioRun::operator=(ScenarioRun&&) noexcept = default;

std::int64_t ScenarioRun::steps() const {
  return parts_->steps_;
}

std::int64_t ScenarioRun::steps_done() const {
  return parts_->done_;
}

Seconds ScenarioRun::time() const {
  return parts_->step_ * static_cast<double>(parts_->done_);
}

void ScenarioRun::step() {
  parts_->step();
}

const Plant& ScenarioRun::plant() const {
  return parts_->plant_;
}

std::span<const Watts> ScenarioRun::demands() const {
  return parts_->demands_;
}

std::span<const Watts> ScenarioRun::advised_caps() const {
  return parts_->policy_->advised_caps();
}

void ScenarioRun::order(const SiteOrder& order) {
  parts_->policy_->take_order(order);
}

std::span<const char> ScenarioRun::maintained_nodes() const {
  return parts_->policy_->maintained_nodes();
}

bool ScenarioRun::is_released() const {
  return parts_->policy_->is_released();
}

RunTotals ScenarioRun::totals() const {
  return parts_->totals();
}

const std::vector<RunEvent>& ScenarioRun::events() const {
  return parts_->events_;
}

PolicyResult ScenarioRun::result() const {
  auto result =
      parts_->score_->result(parts_->services_, parts_->trainings_, parts_->platform_.writes());
  result.lowered = parts_->lowered_;
  result.events = parts_->events_;
  return result;
}

}  // namespace perwatt::simulate
