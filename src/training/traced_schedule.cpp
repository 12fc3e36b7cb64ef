#include <algorithm>
#include <map>
#include <tuple>

#include "perwatt/training/trace_analysis.hpp"

namespace perwatt::training {

namespace {

using OperationKey =
    std::tuple<std::size_t, int, std::string, int>;  // rank, iteration, …, microbatch

bool is_backward(const std::string& instruction) {
  return instruction == "backward" || instruction == "backward_input";
}

/// The rank that holds `stage` and is like `place` otherwise.
std::optional<std::size_t> rank_at(const JobTimeline& job, RankPlace place, int stage) {
  place.stage = stage;
  for (std::size_t r = 0; r < job.ranks.size(); ++r) {
    if (job.ranks[r].place == place) {
      return r;
    }
  }
  return std::nullopt;
}

class ScheduleFinder {
 public:
  explicit ScheduleFinder(const JobTimeline& job) : job_{job} {
    for (std::size_t r = 0; r < job.ranks.size(); ++r) {
      const auto& operations = job.ranks[r].operations;
      for (std::size_t o = 0; o < operations.size(); ++o) {
        const auto& operation = operations[o];
        index_.emplace(
            OperationKey{r, operation.iteration, operation.instruction, operation.microbatch}, o);
      }
    }
  }

  TracedSchedule find() {
    schedule_.is_plain = true;
    count_microbatches();
    for (std::size_t r = 0; r < job_.ranks.size(); ++r) {
      const auto& rank = job_.ranks[r];
      schedule_.inputs.emplace_back(rank.operations.size());
      for (std::size_t o = 0; o < rank.operations.size(); ++o) {
        schedule_.inputs[r][o] = input_of(r, rank.operations[o]);
      }
    }
    return std::move(schedule_);
  }

 private:
  void refuse(std::string reason) {
    if (schedule_.is_plain) {
      schedule_.is_plain = false;
      schedule_.reason = std::move(reason);
    }
  }

  /// The same number of forwards and of backwards on every rank and in every iteration.
  void count_microbatches() {
    std::map<std::tuple<std::size_t, int, bool>, int> counts;
    for (std::size_t r = 0; r < job_.ranks.size(); ++r) {
      for (const auto& operation : job_.ranks[r].operations) {
        if (operation.instruction == "forward" || is_backward(operation.instruction)) {
          ++counts[{r, operation.iteration, operation.instruction == "forward"}];
        }
      }
    }
    if (counts.size() != job_.ranks.size() * job_.iterations.size() * 2) {
      refuse("not every rank has annotated forwards and backwards in every iteration");
      return;
    }
    const int first = counts.begin()->second;
    if (std::any_of(counts.begin(), counts.end(),
                    [&](const auto& entry) { return entry.second != first; })) {
      refuse("ranks or iterations have different numbers of forwards or backwards");
      return;
    }
    schedule_.microbatches = first;
  }

  std::optional<OperationLink> input_of(std::size_t r, const TimedOperation& operation) {
    const auto& place = job_.ranks[r].place;
    const bool is_forward = operation.instruction == "forward";
    const int stage = place.stage + (is_forward ? -1 : 1);
    if ((!is_forward && !is_backward(operation.instruction)) || stage < 0 || stage >= job_.stages) {
      return std::nullopt;
    }
    const auto rank = rank_at(job_, place, stage);
    if (!rank) {
      refuse("stage " + std::to_string(stage) + " of the same pipeline is not traced");
      return std::nullopt;
    }
    const auto found =
        index_.find({*rank, operation.iteration, operation.instruction, operation.microbatch});
    if (found == index_.end()) {
      refuse("stage " + std::to_string(stage) + " lacks " + operation.instruction + " " +
             std::to_string(operation.microbatch));
      return std::nullopt;
    }
    const auto& input = job_.ranks[*rank].operations[found->second].span;
    // Clocks of two machines may differ by a little; half an operation is no such little.
    if (operation.span.begin + operation.span.length() * 0.5 < input.end) {
      refuse(operation.instruction + " " + std::to_string(operation.microbatch) + " of stage " +
             std::to_string(place.stage) + " begins before stage " + std::to_string(stage) +
             " has its input: an interleaved schedule, other stages than these, or clocks apart");
      return std::nullopt;
    }
    return OperationLink{*rank, found->second};
  }

  const JobTimeline& job_;
  std::map<OperationKey, std::size_t> index_;
  TracedSchedule schedule_;
};

/// The last operation of the iteration to end, over all ranks.
std::optional<OperationLink> last_of(const JobTimeline& job, int iteration) {
  std::optional<OperationLink> last;
  Instant end;
  for (std::size_t r = 0; r < job.ranks.size(); ++r) {
    const auto& operations = job.ranks[r].operations;
    for (std::size_t o = 0; o < operations.size(); ++o) {
      if (operations[o].iteration == iteration && (!last || operations[o].span.end > end)) {
        last = {r, o};
        end = operations[o].span.end;
      }
    }
  }
  return last;
}

}  // namespace

TracedSchedule traced_schedule(const JobTimeline& job) {
  return ScheduleFinder{job}.find();
}

std::optional<SchedulePath> schedule_path(const JobTimeline& job, const TracedSchedule& schedule,
                                          std::size_t iteration) {
  auto at = last_of(job, static_cast<int>(iteration));
  if (!schedule.is_plain || !at) {
    return std::nullopt;
  }
  const auto operation = [&](const OperationLink& link) -> const TimedOperation& {
    return job.ranks[link.rank].operations[link.operation];
  };
  SchedulePath path;
  path.iteration = job.iterations[iteration];
  path.tail = path.iteration.end - operation(*at).span.end;
  while (at) {
    OperationStep step{*at, {}, false};
    const auto input = schedule.inputs[at->rank][at->operation];
    std::optional<OperationLink> before;
    if (at->operation > 0) {
      const OperationLink own{at->rank, at->operation - 1};
      if (operation(own).iteration == static_cast<int>(iteration)) {
        before = own;
      }
    }
    if (input && (!before || operation(*input).span.end > operation(*before).span.end)) {
      before = input;
      step.is_handed = true;
    }
    const auto begin = operation(*at).span.begin;
    if (before) {
      step.gap = begin - operation(*before).span.end;
    } else {
      path.head = begin - path.iteration.begin;
    }
    path.steps.push_back(step);
    at = before;
  }
  std::reverse(path.steps.begin(), path.steps.end());
  return path;
}

}  // namespace perwatt::training
