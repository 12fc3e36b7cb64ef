#include <algorithm>

#include "perwatt/training/trace_analysis.hpp"

namespace perwatt::training {

namespace {

/// Goes back in time from the end of an iteration. Each step takes or skips some of the time left.
class KernelWalk {
 public:
  KernelWalk(const JobTimeline& job, const TracedSchedule& schedule, const TimeSpan& window)
      : job_{job}, schedule_{schedule}, window_{window}, rendezvous_{match_collectives(job)} {
    for (const auto& rank : job.ranks) {
      auto& order = by_end_.emplace_back();
      auto& transfers = transfers_.emplace_back();
      for (std::size_t w = 0; w < rank.works.size(); ++w) {
        const auto& span = rank.works[w].span;
        if (!rank.works[w].is_transfer()) {
          if (span.begin < span.end) {
            order.push_back(w);
          }
        } else if (transfers.empty() || transfers.back().end < span.begin) {
          transfers.push_back(span);
        } else {
          transfers.back().end = std::max(transfers.back().end, span.end);
        }
      }
      std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return std::pair{rank.works[a].span.end, a} < std::pair{rank.works[b].span.end, b};
      });
    }
  }

  std::vector<PathPiece> run() {
    start();
    while (at_ > window_.begin) {
      step();
    }
    std::reverse(path_.begin(), path_.end());
    return std::move(path_);
  }

 private:
  /// On the rank whose work ends last.
  void start() {
    at_ = window_.end;
    Instant latest = Instant::from_nanoseconds(-1);
    for (std::size_t r = 0; r < job_.ranks.size(); ++r) {
      const auto last = ended_by(r, window_.end);
      if (last && end_of(r, *last) > latest) {
        latest = end_of(r, *last);
        rank_ = r;
      }
    }
  }

  [[nodiscard]] Instant end_of(std::size_t r, std::size_t w) const {
    return job_.ranks[r].works[w].span.end;
  }

  /// The work of rank `r` that had ended last at `at`.
  [[nodiscard]] std::optional<std::size_t> ended_by(std::size_t r, Instant at) const {
    const auto& order = by_end_[r];
    const auto after = std::upper_bound(order.begin(), order.end(), at,
                                        [&](Instant t, std::size_t w) { return t < end_of(r, w); });
    return after == order.begin() ? std::nullopt : std::optional{*std::prev(after)};
  }

  /// The input of the operation that begins here, when its stage is another.
  [[nodiscard]] std::optional<OperationLink> input_here() const {
    const auto& operations = job_.ranks[rank_].operations;
    const auto found =
        std::lower_bound(operations.begin(), operations.end(), at_,
                         [](const TimedOperation& o, Instant at) { return o.span.begin < at; });
    if (!schedule_.is_plain || found == operations.end() || found->span.begin != at_) {
      return std::nullopt;
    }
    return schedule_.inputs[rank_][static_cast<std::size_t>(found - operations.begin())];
  }

  void add(Instant from, PathKind kind, std::optional<std::size_t> work, Parallelism parallelism) {
    const auto begin = std::max(from, window_.begin);
    if (begin < at_) {
      path_.push_back({{begin, at_}, kind, rank_, work, parallelism});
    }
    at_ = from;
  }

  void step() {
    const auto own = ended_by(rank_, at_);
    const auto own_end = own ? end_of(rank_, *own) : window_.begin;
    if (came_from_work_) {
      if (const auto input = input_here()) {
        const auto end = job_.ranks[input->rank].operations[input->operation].span.end;
        if (end > own_end && end <= at_) {
          add(end, PathKind::transfer, std::nullopt, Parallelism::pipeline);
          rank_ = input->rank;
          came_from_work_ = false;
          return;
        }
      }
    }
    if (!own || own_end <= window_.begin) {
      add(window_.begin, gap_before(window_.begin), std::nullopt, Parallelism::pipeline);
      return;
    }
    if (own_end < at_) {
      add(own_end, gap_before(own_end), std::nullopt, Parallelism::pipeline);
    }
    take(*own);
  }

  /// Time without other work: a transfer when one runs for most of it, else nothing does.
  [[nodiscard]] PathKind gap_before(Instant from) const {
    const auto& transfers = transfers_[rank_];
    Seconds transfer;
    auto span = std::lower_bound(transfers.begin(), transfers.end(), from,
                                 [](const TimeSpan& t, Instant at) { return t.end < at; });
    for (; span != transfers.end() && span->begin < at_; ++span) {
      transfer += std::min(span->end, at_) - std::max(span->begin, from);
    }
    return transfer * 2.0 > at_ - from ? PathKind::transfer : PathKind::gap;
  }

  void take(std::size_t w) {
    const auto& work = job_.ranks[rank_].works[w];
    came_from_work_ = true;
    if (work.kind != GpuWorkKind::communication) {
      add(work.span.begin, work.kind == GpuWorkKind::compute ? PathKind::compute : PathKind::copy,
          w, Parallelism::other);
      return;
    }
    const auto& last = rendezvous_[rank_][w];
    const bool is_known = last.ready > work.span.begin && last.ready < work.span.end;
    add(is_known ? last.ready : work.span.begin, PathKind::communication, w, work.parallelism);
    if (is_known) {
      rank_ = last.rank;
    }
  }

  const JobTimeline& job_;
  const TracedSchedule& schedule_;
  TimeSpan window_;
  std::vector<std::vector<Rendezvous>> rendezvous_;
  std::vector<std::vector<std::size_t>> by_end_;  // works that can stand on the path, by end
  std::vector<std::vector<TimeSpan>> transfers_;  // of each rank, joined where they meet
  std::vector<PathPiece> path_;
  Instant at_;
  std::size_t rank_ = 0;
  bool came_from_work_ = false;
};

}  // namespace

std::vector<PathPiece> kernel_path(const JobTimeline& job, const TracedSchedule& schedule,
                                   std::size_t iteration) {
  return KernelWalk{job, schedule, job.iterations[iteration]}.run();
}

}  // namespace perwatt::training
