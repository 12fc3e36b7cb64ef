#include "training_work.hpp"

#include <algorithm>
#include <cmath>

namespace perwatt::simulate {

namespace {

constexpr Seconds kTimeRounding = seconds(1e-9);  // of times that are added up step by step

}  // namespace

void TrainingWork::fail() {
  state_ = State::down;
  record_.lost_iterations += unsaved_iterations_;
  record_.lost_energy += unsaved_energy_;
  record_.failures += 1;
  unsaved_iterations_ = 0;
  unsaved_energy_ = {};
}

void TrainingWork::end_phase() {
  const Seconds compute = plan_.step * (1 - plan_.communication_ratio);
  if (state_ == State::computing && plan_.communication_ratio > 0) {
    state_ = State::communicating;
    left_ = plan_.step * plan_.communication_ratio;
    return;
  }
  if (state_ == State::computing || state_ == State::communicating) {
    record_.iterations += 1;
    unsaved_iterations_ += 1;
    if (plan_.checkpoint_every > seconds(0) &&
        since_checkpoint_ + kTimeRounding >= plan_.checkpoint_every) {
      state_ = State::checkpointing;
      left_ = plan_.checkpoint_takes;
      return;
    }
  } else if (state_ == State::checkpointing) {
    record_.checkpoints += 1;
    unsaved_iterations_ = 0;
    unsaved_energy_ = {};
    since_checkpoint_ = {};
  }
  state_ = State::computing;
  left_ = compute;
}

void TrainingWork::advance(Seconds length, double speed) {
  while (length > seconds(0)) {
    const double rate = state_ == State::computing ? speed : 1;
    const Seconds takes = std::min(length, left_ * (1 / rate));
    length -= takes;
    since_checkpoint_ += state_ == State::checkpointing ? seconds(0) : takes;
    computed_ += state_ == State::computing ? takes : seconds(0);
    left_ -= takes * rate;
    if (left_ <= seconds(1e-12)) {
      end_phase();
    }
  }
}

void TrainingWork::step(Seconds length, Plant& plant, const GpuStates& gpus,
                        std::span<Watts> demands) {
  const auto [is_up, cap, clock] = in_force(plan_.gpus, plant, gpus);
  if (!is_up && state_ != State::down) {
    fail();
  } else if (is_up && state_ == State::down) {
    state_ = State::restarting;
    left_ = plan_.restart_takes;
  }
  const Watts compute =
      plan_.idle + (plan_.compute - plan_.idle) * std::pow(clock, plan_.law.prefill_exponent);
  const double speed = clock * speed_at(cap, compute, plan_.idle, plan_.law.prefill_exponent);
  computed_ = {};
  if (state_ != State::down) {
    advance(length, speed);
    if (computed_ > seconds(0)) {
      speed_sum_ += speed;
      steps_ += 1;
    }
  }
  const double computes = computed_ / length;
  const Watts rest = state_ == State::down ? plan_.idle : plan_.communication;
  const Watts demand = compute * computes + rest * (1 - computes);
  demand_watts_.assign(plan_.gpus.size(), static_cast<float>(in_watts(demand)));
  want(plan_.gpus, demand_watts_, plant);
  for (const auto gpu : plan_.gpus) {
    demands[gpu.value] = demand;
  }
}

void TrainingWork::count_energy(const Plant& plant, Seconds step) {
  const Joules used = draw_of(plan_.gpus, plant) * step;
  record_.energy += used;
  switch (state_) {
    case State::down:
    case State::restarting:
      record_.lost_energy += used;
      break;
    case State::checkpointing:
      record_.overhead_energy += used;
      break;
    case State::computing:
    case State::communicating:
      unsaved_energy_ += used;
      break;
  }
}

void TrainingWork::start_counting() {
  record_ = {};
  unsaved_iterations_ = 0;  // of before: not counted as lost either
  unsaved_energy_ = {};     // lost joules are a part of those counted
  speed_sum_ = 0;
  steps_ = 0;
}

}  // namespace perwatt::simulate
