#include "training_work.hpp"

#include <algorithm>
#include <cmath>

namespace perwatt::simulate {

namespace {

constexpr Seconds kTimeRounding = seconds(1e-9);  // of times that are added up step by step

}  // namespace

void TrainingWork::fail() {
  state_ = State::down;
  lose_unsaved();
  record_.failures += 1;
  if (is_resizing_) {
    take_members();
  }
}

void TrainingWork::lose_unsaved() {
  record_.lost_iterations += unsaved_iterations_;
  record_.lost_energy += unsaved_energy_;
  unsaved_iterations_ = 0;
  unsaved_energy_ = {};
}

void TrainingWork::let_go(std::span<const char> is_to_stop, std::span<char> is_stopped) const {
  for (const auto gpu : plan_.gpus) {
    const bool is_member = std::find(members_.begin(), members_.end(), gpu) != members_.end();
    is_stopped[gpu.value] = is_to_stop[gpu.value] != 0 && !is_member ? 1 : 0;
  }
}

void TrainingWork::take_members() {
  members_.clear();
  for (std::size_t i = 0; i < plan_.gpus.size(); ++i) {
    if (stays_[i] != 0) {
      members_.push_back(plan_.gpus[i]);
    }
  }
  is_resizing_ = false;
  record_.resizes += 1;
  since_checkpoint_ = {};
  if (state_ != State::down || members_.empty()) {
    state_ = members_.empty() ? State::paused : State::restarting;
  }
  left_ = plan_.restart_takes;
}

/// Which GPUs it is to have may have changed.
void TrainingWork::resize(const GpuStates& gpus) {
  bool is_changed = false;
  for (std::size_t i = 0; i < plan_.gpus.size(); ++i) {
    const char stays = gpus.is_to_stop[plan_.gpus[i].value] == 0 ? 1 : 0;
    is_changed = is_changed || stays != stays_[i];
    stays_[i] = stays;
  }
  if (!is_changed) {
    return;
  }
  const bool is_working = state_ == State::computing || state_ == State::communicating;
  if (state_ == State::checkpointing || (is_working && plan_.checkpoint_every > seconds(0))) {
    left_ = state_ == State::checkpointing ? left_ : plan_.checkpoint_takes;
    state_ = State::checkpointing;
    is_resizing_ = true;
    return;
  }
  lose_unsaved();
  take_members();
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
    if (is_resizing_) {
      take_members();
      return;
    }
  }
  state_ = State::computing;
  left_ = compute;
}

void TrainingWork::advance(Seconds length, double speed, double share) {
  while (length > seconds(0) && state_ != State::paused) {
    const double rate = state_ == State::computing       ? speed * share
                        : state_ == State::communicating ? share
                                                         : 1;
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
  resize(gpus);
  const auto [is_up, cap, clock] = in_force(members_, plant, gpus);
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
  if (state_ != State::down && state_ != State::paused) {
    const double share =
        static_cast<double>(members_.size()) / static_cast<double>(plan_.gpus.size());
    advance(length, speed, share);
    if (computed_ > seconds(0)) {
      speed_sum_ += speed * share;
      steps_ += 1;
    }
  }
  const double computes = computed_ / length;
  const bool is_idle = state_ == State::down || state_ == State::paused;
  const Watts rest = is_idle ? plan_.idle : plan_.communication;
  const Watts demand = compute * computes + rest * (1 - computes);
  demand_watts_.clear();
  for (const auto gpu : plan_.gpus) {
    const Watts own = gpus.is_stopped[gpu.value] != 0 ? plan_.idle : demand;
    demand_watts_.push_back(static_cast<float>(in_watts(own)));
    demands[gpu.value] = own;
  }
  want(plan_.gpus, demand_watts_, plant);
}

void TrainingWork::count_energy(const Plant& plant, Seconds step) {
  const Joules used = draw_of(plan_.gpus, plant) * step;
  record_.energy += used;
  switch (state_) {
    case State::down:
    case State::restarting:
    case State::paused:
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
