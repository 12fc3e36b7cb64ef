// The textbook way to the frontier, as a peer in the bench: one arc per hull segment, longest paths
// by a queue of nodes (Bellman and Ford), flows by Dinic. Shares no code with src/training.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>
#include <vector>

namespace perwatt::bench {

class PlainParametricFlow {
 public:
  explicit PlainParametricFlow(int nodes) : out_(static_cast<std::size_t>(nodes)) {}

  void add_arc(int tail, int head, std::int64_t length, std::int64_t capacity) {
    out_[static_cast<std::size_t>(tail)].push_back(static_cast<int>(arcs_.size()));
    arcs_.push_back({head, length, capacity});
    out_[static_cast<std::size_t>(head)].push_back(static_cast<int>(arcs_.size()));
    arcs_.push_back({tail, -length, 0});
  }

  static constexpr std::int64_t kInfinite = std::numeric_limits<std::int64_t>::max() / 4;

  /// Every time at which the flow grows, falling.
  std::vector<std::int64_t> breakpoints(int source, int sink) {
    std::vector<std::int64_t> times;
    while (true) {
      place(source);
      times.push_back(position_[static_cast<std::size_t>(sink)]);
      std::int64_t added = 0;
      while (level(source, sink)) {
        next_.assign(out_.size(), 0);
        while (const auto more = push(source, sink, kInfinite)) {
          if (more == kInfinite) {
            return times;
          }
          added += more;
        }
      }
      if (added == 0) {
        return times;
      }
    }
  }

 private:
  struct Arc {
    int head;
    std::int64_t length;
    std::int64_t room;
  };

  void place(int source) {
    position_.assign(out_.size(), std::numeric_limits<std::int64_t>::min() / 4);
    std::vector<bool> is_queued(out_.size());
    std::deque<int> queue{source};
    position_[static_cast<std::size_t>(source)] = 0;
    while (!queue.empty()) {
      const auto node = static_cast<std::size_t>(queue.front());
      queue.pop_front();
      is_queued[node] = false;
      for (const int i : out_[node]) {
        const auto& arc = arcs_[static_cast<std::size_t>(i)];
        const auto head = static_cast<std::size_t>(arc.head);
        if (arc.room > 0 && position_[head] < position_[node] + arc.length) {
          position_[head] = position_[node] + arc.length;
          if (!is_queued[head]) {
            is_queued[head] = true;
            queue.push_back(arc.head);
          }
        }
      }
    }
  }

  [[nodiscard]] bool is_tight(std::size_t tail, const Arc& arc) const {
    return arc.room > 0 &&
           position_[static_cast<std::size_t>(arc.head)] == position_[tail] + arc.length;
  }

  bool level(int source, int sink) {
    level_.assign(out_.size(), -1);
    std::deque<int> queue{source};
    level_[static_cast<std::size_t>(source)] = 0;
    while (!queue.empty()) {
      const auto node = static_cast<std::size_t>(queue.front());
      queue.pop_front();
      for (const int i : out_[node]) {
        const auto& arc = arcs_[static_cast<std::size_t>(i)];
        if (level_[static_cast<std::size_t>(arc.head)] < 0 && is_tight(node, arc)) {
          level_[static_cast<std::size_t>(arc.head)] = level_[node] + 1;
          queue.push_back(arc.head);
        }
      }
    }
    return level_[static_cast<std::size_t>(sink)] >= 0;
  }

  std::int64_t push(int node, int sink, std::int64_t want) {
    if (node == sink) {
      return want;
    }
    const auto at = static_cast<std::size_t>(node);
    for (auto& next = next_[at]; next < out_[at].size(); ++next) {
      const auto i = static_cast<std::size_t>(out_[at][next]);
      if (level_[static_cast<std::size_t>(arcs_[i].head)] != level_[at] + 1 ||
          !is_tight(at, arcs_[i])) {
        continue;
      }
      const auto more = push(arcs_[i].head, sink, std::min(want, arcs_[i].room));
      if (more > 0) {
        if (more < kInfinite) {
          arcs_[i].room -= arcs_[i].room == kInfinite ? 0 : more;
          arcs_[i ^ 1].room += more;
        }
        return more;
      }
    }
    return 0;
  }

  std::vector<Arc> arcs_;  // each followed by its reverse
  std::vector<std::vector<int>> out_;
  std::vector<std::int64_t> position_;
  std::vector<int> level_;
  std::vector<std::size_t> next_;
};

}  // namespace perwatt::bench
