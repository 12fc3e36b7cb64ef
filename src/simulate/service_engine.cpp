#include "service_engine.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "perwatt/base/error.hpp"

namespace perwatt::simulate {

namespace {

constexpr std::int64_t kNoServiceEvent = std::numeric_limits<std::int64_t>::max();
constexpr double kLongestServiceWork = 4e18;  // ns: 127 years

std::int64_t whole_nanoseconds(Seconds time) {
  return std::llround(in_seconds(time) * static_cast<double>(kNanosecondsPerSecond));
}

std::size_t pool_number(Pool pool) {
  return static_cast<std::size_t>(pool);
}

constexpr double kLeastSpeed = 1e-3;  // slower, the time of a long request overflows

bool is_speed(double ratio) {
  return ratio >= kLeastSpeed && ratio <= 1;
}

}  // namespace

InferenceService::Engine::Engine(const ServiceSetup& setup) : setup_{setup} {
  setup_.check();
  if (setup_.limits.max_ttft) {
    max_ttft_ = whole_nanoseconds(*setup_.limits.max_ttft);
  }
  if (setup_.limits.max_tpot) {
    max_tpot_ = in_seconds(*setup_.limits.max_tpot) * static_cast<double>(kNanosecondsPerSecond);
  }
  for (const Pool pool : {Pool::aggregated, Pool::prefill, Pool::decode}) {
    for (int i = 0; setup_.has(pool) && i < setup_.pool(pool).instances; ++i) {
      instances_.emplace_back();
      instances_.back().pool = pool;
    }
  }
}

void InferenceService::Engine::offer(const Request& request) {
  const std::int64_t earliest = offered_.empty() ? now_ : offered_.back().arrival.nanoseconds();
  if (request.arrival.nanoseconds() < earliest) {
    throw_defect("a request is offered after its time");
  }
  if (request.input_tokens < 1 || request.output_tokens < 1) {
    throw_defect("a request without tokens is offered");
  }
  offered_.push_back(request);
}

void InferenceService::Engine::advance_to(std::int64_t time) {
  if (time < now_) {
    throw_defect("a service is advanced into its past");
  }
  while (true) {
    while (!ends_.empty() && ends_.top().version != instances_[ends_.top().instance].version) {
      ends_.pop();
    }
    const std::int64_t end = ends_.empty() ? kNoServiceEvent : ends_.top().at;
    const std::int64_t arrival =
        offered_.empty() ? kNoServiceEvent : offered_.front().arrival.nanoseconds();
    if (std::min(end, arrival) > time) {
      break;
    }
    now_ = std::min(end, arrival);
    if (end <= arrival) {
      const std::size_t index = ends_.top().instance;
      ends_.pop();
      end_activity(index);
    } else {
      arrive();
    }
  }
  now_ = time;
  for (Instance& instance : instances_) {
    count_steps(instance);
    count_use(instance);
  }
}

// ---- work under way ---------------------------------------------------------------------------

const InstanceModel& InferenceService::Engine::model(const Instance& instance) const {
  return setup_.pool(instance.pool).model;
}

double InferenceService::Engine::speed_ratio(const Instance& instance) const {
  if (instance.state == InstanceState::paused) {
    return 0;
  }
  return instance.activity == Activity::prefill ? instance.speed.prefill_ratio
                                                : instance.speed.decode_ratio;
}

InferenceService::Engine::Instance& InferenceService::Engine::known(std::size_t index) {
  if (index >= instances_.size()) {
    throw_defect("instance " + std::to_string(index) + " of a service that has " +
                 std::to_string(instances_.size()));
  }
  return instances_[index];
}

double InferenceService::Engine::progress(const Instance& instance) const {
  return instance.done + static_cast<double>(now_ - instance.since) * speed_ratio(instance);
}

void InferenceService::Engine::rebase(Instance& instance) {
  instance.done = progress(instance);
  instance.since = now_;
}

/// REQUIRES: rebased now.
void InferenceService::Engine::schedule_end(std::size_t index) {
  Instance& instance = instances_[index];
  ++instance.version;
  const double speed = speed_ratio(instance);
  if (speed == 0 || instance.activity == Activity::none) {
    return;
  }
  const double left = std::max(0.0, static_cast<double>(instance.work) - instance.done);
  // What would outlast every run ends never, not before now.
  const auto lasts =
      static_cast<std::int64_t>(std::min(kLongestServiceWork, std::ceil(left / speed)));
  ends_.push({now_ + lasts, ++order_, index, instance.version});
}

void InferenceService::Engine::begin(std::size_t index, Activity activity, std::int64_t work) {
  Instance& instance = instances_[index];
  count_use(instance);
  instance.activity = activity;
  instance.work = work;
  instance.done = 0;
  instance.since = now_;
  schedule_end(index);
}

void InferenceService::Engine::cut_block(std::size_t index) {
  Instance& instance = instances_[index];
  const double begun = std::ceil(progress(instance) / static_cast<double>(instance.step_work));
  const std::int64_t steps = std::max<std::int64_t>(1, static_cast<std::int64_t>(begun));
  if (steps < instance.block_steps) {
    instance.block_steps = steps;
    instance.work = steps * instance.step_work;
    rebase(instance);
    schedule_end(index);
  }
}

void InferenceService::Engine::count_steps(Instance& instance) {
  if (instance.activity != Activity::decode) {
    return;
  }
  const auto whole =
      static_cast<std::int64_t>(progress(instance) / static_cast<double>(instance.step_work));
  const std::int64_t steps = std::min(whole, instance.block_steps);
  if (steps > instance.counted_steps) {
    record_.output_tokens +=
        (steps - instance.counted_steps) * static_cast<std::int64_t>(instance.running.size());
    instance.counted_steps = steps;
  }
}

void InferenceService::Engine::count_use(Instance& instance) {
  const std::int64_t time = now_ - instance.used_until;
  instance.used_until = now_;
  if (instance.state == InstanceState::off || time == 0) {
    return;
  }
  PoolUse use;
  if (instance.state == InstanceState::paused || instance.activity == Activity::none) {
    use.idle_nanoseconds += time;
  } else if (instance.activity == Activity::prefill) {
    use.prefill_nanoseconds += time;
  } else {
    use.decode_nanoseconds += time;
    use.sequence_nanoseconds += time * std::min(static_cast<std::int64_t>(instance.running.size()),
                                                model(instance).power.rising_sequences);
  }
  instance.use.add(use);
  uses_[pool_number(instance.pool)].add(use);
}

// ---- routing ----------------------------------------------------------------------------------

bool InferenceService::Engine::takes_prompts(const Instance& instance) const {
  return instance.state == InstanceState::active && instance.pool != Pool::decode &&
         !instance.assigned && instance.activity != Activity::prefill &&
         instance.load() < static_cast<std::size_t>(model(instance).most_sequences);
}

bool InferenceService::Engine::takes_sequences(const Instance& instance) const {
  return instance.state == InstanceState::active && instance.pool == Pool::decode &&
         instance.load() < static_cast<std::size_t>(model(instance).most_sequences);
}

std::optional<std::size_t> InferenceService::Engine::least_loaded(
    bool (Engine::*takes)(const Instance&) const) const {
  std::optional<std::size_t> best;
  std::size_t least = 0;
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    if ((this->*takes)(instances_[i]) && (!best || instances_[i].load() < least)) {
      best = i;
      least = instances_[i].load();
      if (least == 0) {
        break;
      }
    }
  }
  return best;
}

void InferenceService::Engine::arrive() {
  Slot slot = lives_.size();
  if (free_slots_.empty()) {
    lives_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  lives_[slot].request = offered_.front();
  lives_[slot].number = arrived_++;
  offered_.pop_front();
  ++record_.arrived_requests;
  const auto index = prompts_.empty() ? least_loaded(&Engine::takes_prompts) : std::nullopt;
  if (index) {
    assign(*index, slot);
  } else {
    prompts_.push_back(slot);
  }
}

void InferenceService::Engine::assign(std::size_t index, Slot slot) {
  instances_[index].assigned = slot;
  if (instances_[index].activity == Activity::none) {
    continue_work(index);
  } else {
    cut_block(index);
  }
}

void InferenceService::Engine::join(std::size_t index, Slot slot) {
  instances_[index].joining.push_back(slot);
  if (instances_[index].activity == Activity::none) {
    continue_work(index);
  } else {
    cut_block(index);
  }
}

void InferenceService::Engine::hand_over(Slot slot) {
  const auto index = sequences_.empty() ? least_loaded(&Engine::takes_sequences) : std::nullopt;
  if (index) {
    join(*index, slot);
  } else {
    sequences_.push_back(slot);
  }
}

void InferenceService::Engine::serve_queues() {
  while (!sequences_.empty()) {
    const auto index = least_loaded(&Engine::takes_sequences);
    if (!index) {
      break;
    }
    const Slot slot = sequences_.front();
    sequences_.pop_front();
    join(*index, slot);
  }
  while (!prompts_.empty()) {
    const auto index = least_loaded(&Engine::takes_prompts);
    if (!index) {
      break;
    }
    const Slot slot = prompts_.front();
    prompts_.pop_front();
    assign(*index, slot);
  }
}

// ---- what an instance does next ---------------------------------------------------------------

/// REQUIRES: the instance does nothing and is not paused. While a queue is not empty, only an
/// instance that has just ended something can take from it.
void InferenceService::Engine::continue_work(std::size_t index) {
  Instance& instance = instances_[index];
  while (!sequences_.empty() && takes_sequences(instance)) {
    instance.joining.push_back(sequences_.front());
    sequences_.pop_front();
  }
  if (!prompts_.empty() && takes_prompts(instance)) {
    instance.assigned = prompts_.front();
    prompts_.pop_front();
  }
  for (const Slot slot : instance.joining) {
    run(instance, slot);
  }
  instance.joining.clear();
  if (instance.assigned) {
    start_prefill(index);
  } else if (!instance.running.empty()) {
    start_block(index);
  } else if (instance.state == InstanceState::draining) {
    instance.state = InstanceState::off;
  }
}

void InferenceService::Engine::start_prefill(std::size_t index) {
  Instance& instance = instances_[index];
  instance.prefilling = instance.assigned;
  instance.assigned.reset();
  const Request& request = lives_[*instance.prefilling].request;
  record_.wait.add_nanoseconds(now_ - request.arrival.nanoseconds());
  const auto prompt = tokens(static_cast<double>(request.input_tokens));
  begin(index, Activity::prefill, whole_nanoseconds(prompt / model(instance).prefill_rate));
}

void InferenceService::Engine::start_block(std::size_t index) {
  Instance& instance = instances_[index];
  const auto batch = static_cast<double>(instance.running.size());
  const Seconds step = model(instance).step_base + model(instance).step_per_sequence * batch;
  instance.step_work = std::max<std::int64_t>(1, whole_nanoseconds(step));
  instance.block_steps =
      std::min(instance.running.top().at_step - instance.steps,
               static_cast<std::int64_t>(kLongestServiceWork) / instance.step_work);
  instance.counted_steps = 0;
  begin(index, Activity::decode, instance.block_steps * instance.step_work);
}

void InferenceService::Engine::end_activity(std::size_t index) {
  count_use(instances_[index]);
  ++instances_[index].version;
  if (instances_[index].activity == Activity::prefill) {
    end_prefill(index);
  } else {
    end_block(index);
  }
  continue_work(index);
}

void InferenceService::Engine::end_prefill(std::size_t index) {
  Instance& instance = instances_[index];
  const Slot slot = *instance.prefilling;
  instance.prefilling.reset();
  instance.activity = Activity::none;
  Live& live = lives_[slot];
  live.first_token = now_;
  record_.ttft.add_nanoseconds(now_ - live.request.arrival.nanoseconds());
  record_.input_tokens += live.request.input_tokens;
  record_.output_tokens += 1;
  if (live.request.output_tokens == 1) {
    complete(slot);
  } else if (instance.pool == Pool::aggregated) {
    run(instance, slot);
  } else {
    hand_over(slot);
  }
}

void InferenceService::Engine::end_block(std::size_t index) {
  Instance& instance = instances_[index];
  record_.output_tokens += (instance.block_steps - instance.counted_steps) *
                           static_cast<std::int64_t>(instance.running.size());
  instance.steps += instance.block_steps;
  instance.counted_steps = 0;
  instance.activity = Activity::none;
  while (!instance.running.empty() && instance.running.top().at_step <= instance.steps) {
    complete(instance.running.top().slot);
    instance.running.pop();
  }
}

void InferenceService::Engine::run(Instance& instance, Slot slot) {
  const Live& live = lives_[slot];
  instance.running.push({instance.steps + live.request.output_tokens - 1, live.number, slot});
}

bool InferenceService::Engine::is_good(const Live& live) const {
  const std::int64_t ttft = live.first_token - live.request.arrival.nanoseconds();
  const auto steps = static_cast<double>(live.request.output_tokens - 1);
  return (!max_ttft_ || ttft <= *max_ttft_) &&
         (!max_tpot_ || static_cast<double>(now_ - live.first_token) <= *max_tpot_ * steps);
}

void InferenceService::Engine::complete(Slot slot) {
  const Live& live = lives_[slot];
  const std::int64_t output = live.request.output_tokens;
  record_.request.add_nanoseconds(now_ - live.request.arrival.nanoseconds());
  if (output > 1) {
    record_.tpot.add_nanoseconds((now_ - live.first_token + (output - 1) / 2) / (output - 1));
  }
  ++completed_;
  ++record_.completed_requests;
  record_.completed_tokens += output;
  record_.good_tokens += is_good(live) ? output : 0;
  free_slots_.push_back(slot);
}

// ---- speeds and states: between events, where steps and use are counted up to now -------------

void InferenceService::Engine::set_speed(Pool pool, PhaseSpeed speed) {
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    if (instances_[i].pool == pool) {
      set_speed(i, speed);
    }
  }
}

void InferenceService::Engine::set_speed(std::size_t index, PhaseSpeed speed) {
  Instance& instance = known(index);
  if (!is_speed(speed.prefill_ratio) || !is_speed(speed.decode_ratio)) {
    throw_defect("a relative speed outside [0.001, 1]");
  }
  if (speed != instance.speed) {
    rebase(instance);
    instance.speed = speed;
    schedule_end(index);
  }
}

std::size_t InferenceService::Engine::add_instance(Pool pool) {
  static_cast<void>(setup_.pool(pool));
  instances_.emplace_back();
  instances_.back().pool = pool;
  instances_.back().used_until = now_;
  serve_queues();
  return instances_.size() - 1;
}

void InferenceService::Engine::drain(std::size_t index) {
  Instance& instance = known(index);
  if (instance.state != InstanceState::active) {
    return;
  }
  instance.state = instance.load() == 0 ? InstanceState::off : InstanceState::draining;
}

void InferenceService::Engine::pause(std::size_t index) {
  Instance& instance = known(index);
  if (instance.state != InstanceState::active && instance.state != InstanceState::draining) {
    return;
  }
  rebase(instance);
  instance.state = InstanceState::paused;
  ++instance.version;
}

void InferenceService::Engine::resume(std::size_t index) {
  Instance& instance = known(index);
  if (instance.state == InstanceState::active) {
    return;
  }
  rebase(instance);
  instance.state = InstanceState::active;
  schedule_end(index);
  serve_queues();
}

/// The requests of an instance; it has none afterwards.
std::vector<InferenceService::Engine::Slot> InferenceService::Engine::drop_all(Instance& instance) {
  std::vector<Slot> dropped;
  const std::int64_t steps = instance.steps + instance.counted_steps;
  const auto lose = [&](Slot slot, std::int64_t produced) {
    record_.lost_input_tokens += lives_[slot].request.input_tokens;
    record_.lost_output_tokens += produced;
    dropped.push_back(slot);
  };
  for (; !instance.running.empty(); instance.running.pop()) {
    const Ending& ending = instance.running.top();
    lose(ending.slot, lives_[ending.slot].request.output_tokens - (ending.at_step - steps));
  }
  for (const Slot slot : instance.joining) {
    lose(slot, 1);
  }
  instance.joining.clear();
  for (auto* unfinished : {&instance.prefilling, &instance.assigned}) {
    if (*unfinished) {
      dropped.push_back(**unfinished);
      unfinished->reset();
    }
  }
  return dropped;
}

void InferenceService::Engine::fail(std::size_t index) {
  Instance& instance = known(index);
  if (instance.state == InstanceState::off) {
    return;
  }
  const std::vector<Slot> dropped = drop_all(instance);
  instance.counted_steps = 0;
  instance.activity = Activity::none;
  instance.state = InstanceState::off;
  ++instance.version;
  record_.dropped_requests += static_cast<std::int64_t>(dropped.size());
  for (const Slot slot : dropped) {
    const auto place =
        std::lower_bound(prompts_.begin(), prompts_.end(), slot,
                         [&](Slot a, Slot b) { return lives_[a].number < lives_[b].number; });
    prompts_.insert(place, slot);
  }
  serve_queues();
}

// ---- what is seen -----------------------------------------------------------------------------

Watts InferenceService::Engine::gpu_demand(std::size_t index) const {
  const Instance& instance = instances_.at(index);
  const PhasePower& power = model(instance).power;
  if (instance.state == InstanceState::off) {
    return Watts{};
  }
  if (instance.state == InstanceState::paused || instance.activity == Activity::none) {
    return power.idle;
  }
  return instance.activity == Activity::prefill
             ? power.prefill
             : power.decode(static_cast<double>(instance.running.size()));
}

Watts InferenceService::Engine::demand(Pool pool) const {
  Watts sum;
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    if (instances_[i].pool == pool) {
      sum += gpu_demand(i) * static_cast<double>(model(instances_[i]).gpus);
    }
  }
  return sum;
}

RequestCounts InferenceService::Engine::counts() const {
  RequestCounts counts;
  counts.arrived = arrived_;
  counts.completed = completed_;
  counts.queued = static_cast<std::int64_t>(prompts_.size());
  counts.in_flight = arrived_ - completed_ - counts.queued;
  return counts;
}

LatencyRecord InferenceService::Engine::take_record() {
  return std::exchange(record_, LatencyRecord{});
}

PoolUse InferenceService::Engine::take_use(Pool pool) {
  return std::exchange(uses_[pool_number(pool)], PoolUse{});
}

PoolUse InferenceService::Engine::take_use(std::size_t index) {
  return std::exchange(known(index).use, PoolUse{});
}

}  // namespace perwatt::simulate
