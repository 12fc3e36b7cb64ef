#include "stage_orders.hpp"

#include <algorithm>

namespace perwatt::training {

namespace {

/// Appends `forwards` and `backwards` as 1F1B takes them: `ahead` forwards, then one backward and
/// one forward in turn.
void take_in_turn(std::vector<Slot>& order, const std::vector<Slot>& forwards,
                  const std::vector<std::vector<Slot>>& backwards, std::size_t ahead) {
  std::size_t next = 0;
  for (; next < std::min(ahead, forwards.size()); ++next) {
    order.push_back(forwards[next]);
  }
  for (const auto& backward : backwards) {
    if (next < forwards.size()) {
      order.push_back(forwards[next++]);
    }
    order.insert(order.end(), backward.begin(), backward.end());
  }
}

std::vector<Slot> interleaved(const PipelineShape& shape, int stage) {
  const int chunks = shape.schedule.chunks;
  std::vector<Slot> forwards;
  std::vector<std::vector<Slot>> backwards;
  for (int group = 0; group < shape.microbatches; group += shape.stages) {
    for (int chunk = 0; chunk < chunks; ++chunk) {
      for (int i = 0; i < shape.stages; ++i) {
        forwards.push_back({Pass::forward, group + i, chunk});
        backwards.push_back({{Pass::backward, group + i, chunks - 1 - chunk}});
      }
    }
  }
  std::vector<Slot> order;
  const int ahead = chunks == 1 ? shape.stages - stage - 1
                                : (shape.stages - stage - 1) * 2 + (chunks - 1) * shape.stages;
  take_in_turn(order, forwards, backwards, static_cast<std::size_t>(ahead));
  return order;
}

std::vector<Slot> gpipe(const PipelineShape& shape) {
  std::vector<Slot> order;
  for (const auto pass : {Pass::forward, Pass::backward}) {
    for (int m = 0; m < shape.microbatches; ++m) {
      order.push_back({pass, m, 0});
    }
  }
  return order;
}

}  // namespace

std::vector<Slot> order_of_stage(const PipelineShape& shape, int stage) {
  if (shape.schedule.kind == ScheduleKind::interleaved) {
    return interleaved(shape, stage);
  }
  if (shape.schedule.kind == ScheduleKind::gpipe) {
    return gpipe(shape);
  }
  std::vector<Slot> forwards;
  std::vector<std::vector<Slot>> backwards;
  for (int m = 0; m < shape.microbatches; ++m) {
    forwards.push_back({Pass::forward, m, 0});
    auto& backward = backwards.emplace_back();
    if (shape.schedule.kind == ScheduleKind::zero_bubble) {
      backward.push_back({Pass::backward_input, m, 0});
      if (m >= stage) {
        backward.push_back({Pass::backward_weight, m - stage, 0});
      }
    } else {
      if (shape.schedule.kind == ScheduleKind::early_recompute && stage + 1 < shape.stages) {
        backward.push_back({Pass::recompute, m, 0});
      }
      backward.push_back({Pass::backward, m, 0});
    }
  }
  std::vector<Slot> order;
  take_in_turn(order, forwards, backwards, static_cast<std::size_t>(shape.stages - stage - 1));
  if (shape.schedule.kind == ScheduleKind::zero_bubble) {
    for (int m = std::max(0, shape.microbatches - stage); m < shape.microbatches; ++m) {
      order.push_back({Pass::backward_weight, m, 0});
    }
  }
  return order;
}

}  // namespace perwatt::training
