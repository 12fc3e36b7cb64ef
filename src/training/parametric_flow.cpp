#include "parametric_flow.hpp"

#include <algorithm>
#include <map>
#include <numeric>

namespace perwatt::training {

ParametricFlow::ParametricFlow(const Pipeline& pipeline, const ScaledWorks& works,
                               const std::vector<std::uint32_t>& topological) {
  make_arcs(pipeline, works, topological);
  nodes_.assign(first_half_.size() - 1, Node{});
  place_.assign(nodes_.size(), 0);
  next_half_.assign(nodes_.size(), 0);
  place_late();
  saturate();
}

void ParametricFlow::make_arcs(const Pipeline& pipeline, const ScaledWorks& works,
                               const std::vector<std::uint32_t>& topological) {
  const auto operations = static_cast<std::uint32_t>(topological.size());
  rank_.resize(operations);
  for (std::uint32_t i = 0; i < operations; ++i) {
    rank_[topological[i]] = i;
  }
  std::vector<std::uint32_t> first_step;
  for (const auto& hull : works.hulls) {
    first_step.push_back(static_cast<std::uint32_t>(steps_.size()));
    for (std::size_t i = 0; i < hull.time.size(); ++i) {
      steps_.push_back({hull.time[i], hull.slope[i]});
    }
    steps_.push_back({0, kInfiniteFlow});
  }
  std::map<Picoseconds, std::uint32_t> fixed;
  const auto step_of_delay = [&](Picoseconds delay) {
    const auto [found, is_new] = fixed.emplace(delay, static_cast<std::uint32_t>(steps_.size()));
    if (is_new) {
      steps_.push_back({delay, 0});
      steps_.push_back({0, kInfiniteFlow});
    }
    return found->second;
  };

  struct Ends {
    std::uint32_t tail;
    std::uint32_t head;
    std::uint32_t step;
  };

  std::vector<Ends> arcs;
  for (std::uint32_t i = 0; i < operations; ++i) {
    const auto node = begin_node(rank_[i]);
    arcs.push_back({node, node + 1, first_step[pipeline.operations[i].work]});
  }
  std::vector<bool> has_before(operations);
  std::vector<bool> has_after(operations);
  for (const auto& dependency : pipeline.dependencies) {
    arcs.push_back({begin_node(rank_[dependency.before]) + 1, begin_node(rank_[dependency.after]),
                    step_of_delay(to_picoseconds(dependency.delay))});
    has_after[dependency.before] = true;
    has_before[dependency.after] = true;
  }
  for (std::uint32_t i = 0; i < operations; ++i) {
    if (!has_before[i]) {
      arcs.push_back({kBegin, begin_node(rank_[i]), step_of_delay(0)});
    }
    if (!has_after[i]) {
      arcs.push_back({begin_node(rank_[i]) + 1, kEnd, step_of_delay(0)});
    }
  }
  std::sort(arcs.begin(), arcs.end(), [](const Ends& a, const Ends& b) {
    return a.tail != b.tail ? a.tail < b.tail : a.head < b.head;
  });
  first_half_.assign(begin_node(operations) + 1, 0);
  for (const auto& arc : arcs) {
    ++first_half_[arc.tail + 1];
    ++first_half_[arc.head + 1];
  }
  std::partial_sum(first_half_.begin(), first_half_.end(), first_half_.begin());
  halves_.resize(2 * arcs.size());
  arc_of_.resize(operations);
  auto next = first_half_;
  for (std::uint32_t i = 0; i < arcs.size(); ++i) {
    const auto& arc = arcs[i];
    arcs_.push_back({0, arc.step});
    halves_[next[arc.tail]++] = {arc.head, 2 * i + 1};
    halves_[next[arc.head]++] = {arc.tail, 2 * i};
    const bool is_operation = arc.head == arc.tail + 1 && arc.tail > kEnd && arc.tail % 2 == 0;
    if (is_operation) {
      arc_of_[topological[(arc.tail - begin_node(0)) / 2]] = i;
    }
  }
}

/// Every operation as late as the longest path allows.
void ParametricFlow::place_late() {
  const auto pull_back = [&](std::uint32_t node) {
    for (auto h = first_half_[node]; h < first_half_[node + 1]; ++h) {
      const auto& half = halves_[h];
      if (half.is_forward()) {
        const auto begin = nodes_[half.other].position - steps_[arcs_[half.arc()].step].length;
        nodes_[node].position = std::min(nodes_[node].position, begin);
      }
    }
  };
  for (auto node = static_cast<std::uint32_t>(nodes_.size()); node > kEnd + 1; --node) {
    pull_back(node - 1);
  }
  pull_back(kBegin);
}

bool ParametricFlow::shorten(Picoseconds until) {
  if (is_fastest_ || until >= time()) {
    return false;
  }
  if (!is_searched_) {
    search();
  }
  const auto to_next = nodes_[kEnd].distance;
  if (time() - until < to_next) {
    advance(time() - until);
    is_searched_ = false;
  } else {
    advance(to_next);
    block();
    saturate();
  }
  return true;
}

void ParametricFlow::saturate() {
  for (search(); !is_fastest_ && nodes_[kEnd].distance == 0; search()) {
    block();
  }
  is_searched_ = true;
}

void ParametricFlow::search() {
  ++now_;
  settled_.clear();
  heap_.clear();
  queue_.assign(1, kBegin);
  nodes_[kBegin].distance = 0;
  nodes_[kBegin].seen_in = now_;
  while (true) {
    for (std::size_t next = 0; next < queue_.size(); ++next) {
      const auto node = queue_[next];
      if (nodes_[node].settled_in == now_) {
        continue;
      }
      nodes_[node].settled_in = now_;
      place_[node] = static_cast<std::uint32_t>(settled_.size());
      settled_.push_back(node);
      if (node == kEnd) {
        return;
      }
      scan(node, nodes_[node].distance);
    }
    queue_.clear();
    const auto nearest = heap_.front().distance;
    while (!heap_.empty() && heap_.front().distance == nearest) {
      std::pop_heap(heap_.begin(), heap_.end(), is_farther);
      queue_.push_back(heap_.back().node);
      heap_.pop_back();
    }
  }
}

void ParametricFlow::scan(std::uint32_t node, Picoseconds distance) {
  const auto position = nodes_[node].position;
  const auto& end = nodes_[kEnd];
  for (auto h = first_half_[node]; h < first_half_[node + 1]; ++h) {
    const auto& half = halves_[h];
    auto& other = nodes_[half.other];
    if (other.settled_in == now_) {
      continue;
    }
    const auto& arc = arcs_[half.arc()];
    Picoseconds more = 0;
    if (half.is_forward()) {
      more = other.position - position - steps_[arc.step].length;
    } else if (arc.flow > 0) {
      more = length_of_less(arc) - (position - other.position);
    } else {
      continue;
    }
    const auto reached = distance + more;
    if ((other.seen_in == now_ && other.distance <= reached) ||
        (end.seen_in == now_ && end.distance <= reached)) {
      continue;
    }
    other.seen_in = now_;
    other.distance = reached;
    if (more == 0) {
      queue_.push_back(half.other);
    } else {
      heap_.push_back({reached, half.other});
      std::push_heap(heap_.begin(), heap_.end(), is_farther);
    }
  }
}

void ParametricFlow::advance(Picoseconds by) {
  for (const auto node : settled_) {
    nodes_[node].position += std::max<Picoseconds>(0, by - nodes_[node].distance);
  }
}

/// How much more may flow from the other node of `half` to its own: 0 unless the arc is tight.
Flow ParametricFlow::room_into(std::uint32_t node, const Half& half) const {
  const auto& arc = arcs_[half.arc()];
  if (half.is_forward()) {  // less of what flows out of node
    if (arc.flow == 0 ||
        nodes_[half.other].position - nodes_[node].position != length_of_less(arc)) {
      return 0;
    }
    const auto from = steps_[arc.step].from;
    return arc.flow - (arc.flow > from ? from : steps_[arc.step - 1].from);
  }
  if (nodes_[node].position - nodes_[half.other].position != steps_[arc.step].length) {
    return 0;
  }
  const auto end = steps_[arc.step + 1].from;
  return end == kInfiniteFlow ? kInfiniteFlow : end - arc.flow;
}

void ParametricFlow::push_into(const Half& half, Flow more) {
  auto& arc = arcs_[half.arc()];
  if (half.is_forward()) {
    arc.flow -= more;
    while (arc.flow < steps_[arc.step].from) {
      --arc.step;
    }
  } else {
    arc.flow += more;
    while (arc.flow >= steps_[arc.step + 1].from) {
      ++arc.step;
    }
  }
}

void ParametricFlow::block() {
  for (const auto node : settled_) {
    next_half_[node] = first_half_[node];
  }
  pulls_.assign(1, {kEnd, kInfiniteFlow, 0});
  while (true) {
    auto& pull = pulls_.back();
    if (pull.node == kBegin) {
      // Without an end of what may flow nothing shortens the path: the rest only unwinds.
      is_fastest_ = pull.want == kInfiniteFlow;
      pull.got = is_fastest_ ? 0 : pull.want;
    }
    auto& h = next_half_[pull.node];
    const bool is_done = is_fastest_ || pull.got == pull.want || h == first_half_[pull.node + 1];
    if (is_done) {
      const auto got = pull.got;
      pulls_.pop_back();
      if (pulls_.empty()) {
        flow_ += got;
        return;
      }
      auto& above = pulls_.back();
      if (got > 0) {
        push_into(halves_[next_half_[above.node]], got);
        above.got += got;
      }
      if (above.got < above.want) {
        ++next_half_[above.node];
      }
      continue;
    }
    const auto& half = halves_[h];
    Flow room = 0;
    if (nodes_[half.other].settled_in == now_ && place_[half.other] < place_[pull.node]) {
      room = room_into(pull.node, half);
    }
    if (room == 0) {
      ++h;
    } else {
      pulls_.push_back({half.other,
                        pull.want == kInfiniteFlow ? room : std::min(room, pull.want - pull.got),
                        0});
    }
  }
}

}  // namespace perwatt::training
