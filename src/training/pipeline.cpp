#include "perwatt/training/pipeline.hpp"

#include <algorithm>

#include "perwatt/base/error.hpp"

namespace perwatt::training {

namespace {

Option option_of(const ProfileRow& row, Watts blocking_power, double share) {
  const auto time = row.time * share;
  const auto energy = row.energy * share;
  return {row.knob, time, energy, energy - blocking_power * time};
}

bool is_faster_by_name(const ProfileRow& a, const ProfileRow& b) {
  if (a.knob.frequency_mhz != b.knob.frequency_mhz) {
    return a.knob.frequency_mhz > b.knob.frequency_mhz;
  }
  return a.time < b.time;
}

std::string name_of(const Pipeline& pipeline, std::uint32_t operation) {
  const auto& work = pipeline.work_of(operation);
  return work.instruction + " of microbatch " +
         std::to_string(pipeline.operations[operation].microbatch) + " on stage " +
         std::to_string(work.stage);
}

}  // namespace

Work make_work(std::span<const ProfileRow> rows, Watts blocking_power, double time_share) {
  Work work;
  work.stage = rows.front().stage;
  work.instruction = rows.front().instruction;
  work.all.reserve(rows.size());
  for (const auto& row : rows) {
    work.all.push_back(option_of(row, blocking_power, time_share));
  }
  auto all = work.all;
  std::stable_sort(all.begin(), all.end(), [](const Option& a, const Option& b) {
    return a.time != b.time ? a.time < b.time : a.effective_energy < b.effective_energy;
  });
  for (const auto& option : all) {
    if (work.options.empty() || option.effective_energy < work.options.back().effective_energy) {
      work.options.push_back(option);
    }
  }
  std::reverse(work.options.begin(), work.options.end());
  work.dominated = all.size() - work.options.size();
  work.all_max = option_of(*std::min_element(rows.begin(), rows.end(), is_faster_by_name),
                           blocking_power, time_share);
  return work;
}

std::vector<std::uint32_t> topological_order(const Pipeline& pipeline, const std::string& where) {
  const auto count = pipeline.operations.size();
  std::vector<std::uint32_t> waits_for(count, 0);
  std::vector<std::vector<std::uint32_t>> after(count);
  for (const auto& dependency : pipeline.dependencies) {
    ++waits_for[dependency.after];
    after[dependency.before].push_back(dependency.after);
  }
  std::vector<std::uint32_t> order;
  order.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    if (waits_for[i] == 0) {
      order.push_back(i);
    }
  }
  for (std::size_t next = 0; next < order.size(); ++next) {
    for (const auto follower : after[order[next]]) {
      if (--waits_for[follower] == 0) {
        order.push_back(follower);
      }
    }
  }
  if (order.size() < count) {
    const auto stuck = static_cast<std::uint32_t>(
        std::find_if(waits_for.begin(), waits_for.end(), [](std::uint32_t n) { return n > 0; }) -
        waits_for.begin());
    throw_bad_input(name_of(pipeline, stuck) + " waits for itself through other operations", where,
                    "remove one dependency of the circle");
  }
  return order;
}

Timeline timeline_of(const Pipeline& pipeline, std::span<const std::uint32_t> topological,
                     std::span<const Seconds> times) {
  Timeline timeline;
  timeline.begin.assign(pipeline.operations.size(), Seconds{});
  std::vector<std::vector<const Dependency*>> after(pipeline.operations.size());
  for (const auto& dependency : pipeline.dependencies) {
    after[dependency.before].push_back(&dependency);
  }
  for (const auto operation : topological) {
    const auto end = timeline.begin[operation] + times[operation];
    timeline.end = std::max(timeline.end, end);
    for (const auto* dependency : after[operation]) {
      auto& begin = timeline.begin[dependency->after];
      begin = std::max(begin, end + dependency->delay);
    }
  }
  timeline.end += pipeline.tail;
  return timeline;
}

Replay replay(const Pipeline& pipeline, std::span<const Option* const> chosen) {
  Replay result;
  std::vector<Seconds> times;
  times.reserve(chosen.size());
  for (const auto* option : chosen) {
    times.push_back(option->time);
    result.effective_energy += option->effective_energy;
  }
  result.time = timeline_of(pipeline, topological_order(pipeline, ""), times).end;
  result.energy = result.effective_energy + pipeline.blocking_power * result.time * pipeline.stages;
  return result;
}

Replay replay_all_max(const Pipeline& pipeline) {
  std::vector<const Option*> chosen;
  chosen.reserve(pipeline.operations.size());
  for (const auto& operation : pipeline.operations) {
    chosen.push_back(&pipeline.works[operation.work].all_max);
  }
  return replay(pipeline, chosen);
}

}  // namespace perwatt::training
