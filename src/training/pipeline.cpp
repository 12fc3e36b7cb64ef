#include "perwatt/training/pipeline.hpp"

#include <algorithm>
#include <numeric>

#include "perwatt/base/error.hpp"

namespace perwatt::training {

namespace {

Option option_of(const ProfileRow& row, Watts blocking_power, double share) {
  const auto time = row.time * share;
  const auto energy = (row.energy + blocking_power * row.waiting) * share;
  return {row.knob, time, energy, energy - blocking_power * time};
}

bool is_faster_by_name(const Option& a, const Option& b) {
  if (a.knob.frequency_mhz != b.knob.frequency_mhz) {
    return a.knob.frequency_mhz > b.knob.frequency_mhz;
  }
  return a.time < b.time;
}

/// Fills in from Work::all what follows from it.
void rank_options(Work& work) {
  auto all = work.all;
  std::stable_sort(all.begin(), all.end(), [](const Option& a, const Option& b) {
    return a.time != b.time ? a.time < b.time : a.effective_energy < b.effective_energy;
  });
  work.options.clear();
  for (const auto& option : all) {
    if (work.options.empty() || option.effective_energy < work.options.back().effective_energy) {
      work.options.push_back(option);
    }
  }
  std::reverse(work.options.begin(), work.options.end());
  work.dominated = all.size() - work.options.size();
  work.all_max = *std::min_element(work.all.begin(), work.all.end(), is_faster_by_name);
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
  rank_options(work);
  return work;
}

std::optional<Pipeline> under_cap(Pipeline pipeline, Watts cap) {
  for (auto& work : pipeline.works) {
    std::erase_if(work.all, [&](const Option& option) { return option.power() > cap; });
    if (work.all.empty()) {
      return std::nullopt;
    }
    rank_options(work);
  }
  return pipeline;
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

Makespan::Makespan(const Pipeline& pipeline, std::span<const std::uint32_t> topological)
    : topological_(topological.begin(), topological.end()),
      first_link_(pipeline.operations.size() + 1, 0),
      links_(pipeline.dependencies.size()),
      tail_{pipeline.tail} {
  for (const auto& dependency : pipeline.dependencies) {
    ++first_link_[dependency.before + 1];
  }
  std::partial_sum(first_link_.begin(), first_link_.end(), first_link_.begin());
  auto next = first_link_;
  for (const auto& dependency : pipeline.dependencies) {
    links_[next[dependency.before]++] = {dependency.after, dependency.delay};
  }
}

Seconds Makespan::begin_early(std::span<const Seconds> times, std::vector<Seconds>& begin) const {
  begin.assign(times.size(), Seconds{});
  Seconds last;
  for (const auto operation : topological_) {
    const auto end = begin[operation] + times[operation];
    last = std::max(last, end);
    for (auto i = first_link_[operation]; i < first_link_[operation + 1]; ++i) {
      begin[links_[i].after] = std::max(begin[links_[i].after], end + links_[i].delay);
    }
  }
  return last;
}

Seconds Makespan::operator()(std::span<const Seconds> times) const {
  std::vector<Seconds> begin;
  return begin_early(times, begin) + tail_;
}

Timeline Makespan::timeline(std::span<const Seconds> times) const {
  Timeline result;
  const auto last = begin_early(times, result.begin);
  std::vector<Seconds> latest_end(times.size(), last);
  result.slack.resize(times.size());
  for (auto at = topological_.rbegin(); at != topological_.rend(); ++at) {
    auto& end = latest_end[*at];
    for (auto i = first_link_[*at]; i < first_link_[*at + 1]; ++i) {
      const auto after = links_[i].after;
      end = std::min(end, latest_end[after] - times[after] - links_[i].delay);
    }
    result.slack[*at] = std::max(Seconds{}, end - times[*at] - result.begin[*at]);
  }
  return result;
}

Replay replay(const Pipeline& pipeline, const Makespan& makespan,
              std::span<const Option* const> chosen) {
  Replay result;
  std::vector<Seconds> times;
  times.reserve(chosen.size());
  for (const auto* option : chosen) {
    times.push_back(option->time);
    result.effective_energy += option->effective_energy;
  }
  result.time = makespan(times);
  result.energy = result.effective_energy + pipeline.blocking_power * result.time * pipeline.stages;
  return result;
}

std::vector<const Option*> all_max_choice(const Pipeline& pipeline) {
  std::vector<const Option*> chosen;
  chosen.reserve(pipeline.operations.size());
  for (const auto& operation : pipeline.operations) {
    chosen.push_back(&pipeline.works[operation.work].all_max);
  }
  return chosen;
}

Replay replay_all_max(const Pipeline& pipeline) {
  return replay(pipeline, Makespan{pipeline, topological_order(pipeline, "pipeline")},
                all_max_choice(pipeline));
}

}  // namespace perwatt::training
