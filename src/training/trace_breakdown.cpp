#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "perwatt/training/trace_analysis.hpp"

namespace perwatt::training {

namespace {

/// A process group, alike in the traces of its ranks: ranks, name, description.
using GroupKey = std::tuple<std::vector<int>, std::string, std::string>;

struct Active {
  Instant end;
  std::size_t work = 0;

  auto operator<=>(const Active&) const = default;
};

/// Goes along the edges of a rank's work and adds up what runs between them.
class Sweep {
 public:
  Sweep(const RankTimeline& rank, const TimeSpan& window, const std::vector<Instant>& ready)
      : rank_{rank}, window_{window}, ready_{ready} {}

  RankBreakdown run() {
    collect_edges();
    result_.length = window_.length();
    Instant at = window_.begin;
    for (const auto& edge : edges_) {
      account(at, edge.at);
      at = edge.at;
      apply(edge);
    }
    account(at, window_.end);
    return result_;
  }

 private:
  enum class EdgeKind { end, ready, begin };

  struct Edge {
    Instant at;
    EdgeKind kind = EdgeKind::end;
    std::size_t work = 0;
  };

  void collect_edges() {
    for (std::size_t w = 0; w < rank_.works.size(); ++w) {
      const auto& work = rank_.works[w];
      const auto begin = std::max(work.span.begin, window_.begin);
      const auto end = std::min(work.span.end, window_.end);
      if (begin >= end) {
        continue;
      }
      edges_.push_back({begin, EdgeKind::begin, w});
      edges_.push_back({end, EdgeKind::end, w});
      if (work.kind == GpuWorkKind::communication && ready_[w] > begin && ready_[w] < end) {
        edges_.push_back({ready_[w], EdgeKind::ready, w});
      }
    }
    std::sort(edges_.begin(), edges_.end(), [](const Edge& a, const Edge& b) {
      return std::tie(a.at, a.kind, a.work) < std::tie(b.at, b.kind, b.work);
    });
  }

  void account(Instant from, Instant to) {
    const auto length = to - from;
    if (length <= Seconds{}) {
      return;
    }
    if (!communications_.empty()) {
      // The others are hidden behind the one that ends last.
      const auto w = communications_.rbegin()->work;
      const auto kind = static_cast<std::size_t>(rank_.works[w].parallelism);
      (compute_ > 0 ? result_.hidden : result_.exposed)[kind] += length;
      if (compute_ == 0 && from < ready_[w]) {
        result_.waiting += length;
      }
    }
    if (compute_ > 0) {
      result_.compute += length;
    } else if (communications_.empty()) {
      (copies_ > 0 ? result_.copies : result_.idle) += length;
    }
  }

  void apply(const Edge& edge) {
    if (edge.kind == EdgeKind::ready) {
      return;
    }
    const auto& work = rank_.works[edge.work];
    const int change = edge.kind == EdgeKind::begin ? 1 : -1;
    if (work.kind == GpuWorkKind::compute) {
      compute_ += change;
    } else if (work.kind == GpuWorkKind::copy) {
      copies_ += change;
    } else if (change > 0) {
      communications_.insert({work.span.end, edge.work});
    } else {
      communications_.erase({work.span.end, edge.work});
    }
  }

  const RankTimeline& rank_;
  TimeSpan window_;
  const std::vector<Instant>& ready_;
  std::vector<Edge> edges_;
  std::set<Active> communications_;
  int compute_ = 0;
  int copies_ = 0;
  RankBreakdown result_;
};

/// When what each communication of the rank waits for was there.
std::vector<Instant> ready_times(const JobTimeline& job, const TracedSchedule& schedule,
                                 std::size_t r, const std::vector<Rendezvous>& rendezvous) {
  const auto& rank = job.ranks[r];
  std::vector<Instant> ready;
  for (std::size_t w = 0; w < rank.works.size(); ++w) {
    ready.push_back(rendezvous[w].ready);
    if (!rank.works[w].is_transfer() || !schedule.is_plain) {
      continue;
    }
    const auto next =
        std::lower_bound(rank.operations.begin(), rank.operations.end(), rank.works[w].span.begin,
                         [](const TimedOperation& o, Instant at) { return o.span.begin < at; });
    const auto o = static_cast<std::size_t>(next - rank.operations.begin());
    if (next != rank.operations.end() && schedule.inputs[r][o]) {
      const auto& input = *schedule.inputs[r][o];
      ready.back() = job.ranks[input.rank].operations[input.operation].span.end;
    }
  }
  return ready;
}

}  // namespace

std::vector<std::vector<Rendezvous>> match_collectives(const JobTimeline& job) {
  std::vector<std::vector<Rendezvous>> result;
  // By group and iteration: the communications of each rank in their order.
  std::map<std::pair<GroupKey, std::size_t>, std::map<std::size_t, std::vector<std::size_t>>> calls;
  for (std::size_t r = 0; r < job.ranks.size(); ++r) {
    const auto& rank = job.ranks[r];
    result.emplace_back();
    for (std::size_t w = 0; w < rank.works.size(); ++w) {
      const auto& work = rank.works[w];
      result[r].push_back({work.span.begin, r});
      const auto& group = rank.trace.groups[work.group];
      const auto iteration = rank.iteration_of(work.span.begin);
      if (work.kind == GpuWorkKind::communication && !work.is_point_to_point && iteration &&
          group.ranks.size() > 1) {
        calls[{GroupKey{group.ranks, group.name, group.description}, *iteration}][r].push_back(w);
      }
    }
  }
  for (const auto& [key, by_rank] : calls) {
    const auto count = by_rank.begin()->second.size();
    const bool is_even = std::all_of(by_rank.begin(), by_rank.end(), [&](const auto& entry) {
      return entry.second.size() == count;
    });
    if (!is_even) {
      continue;
    }
    for (std::size_t k = 0; k < count; ++k) {
      Rendezvous last{Instant::from_nanoseconds(0), 0};
      for (const auto& [r, works] : by_rank) {
        const auto begin = job.ranks[r].works[works[k]].span.begin;
        if (begin > last.ready) {
          last = {begin, r};
        }
      }
      for (const auto& [r, works] : by_rank) {
        result[r][works[k]] = last;
      }
    }
  }
  return result;
}

std::vector<RankBreakdown> break_down(const JobTimeline& job, const TracedSchedule& schedule) {
  const auto window = job.periods().span;
  const auto rendezvous = match_collectives(job);
  std::vector<RankBreakdown> all;
  for (std::size_t r = 0; r < job.ranks.size(); ++r) {
    const auto ready = ready_times(job, schedule, r, rendezvous[r]);
    all.push_back(Sweep{job.ranks[r], window, ready}.run());
  }
  return all;
}

}  // namespace perwatt::training
