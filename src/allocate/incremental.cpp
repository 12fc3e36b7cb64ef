#include "incremental.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace perwatt::allocate {

namespace {

/// Pieces on each side of a threshold. Sums of random changes grow as the root of their number.
std::size_t window_reach(std::size_t pieces) {
  return 2 + static_cast<std::size_t>(0.4 * std::sqrt(static_cast<double>(pieces)));
}

// Where a sum changes by so many times what is left of it, it has lost digits.
constexpr double kMostLost = 1e3;
constexpr double kRounding = 1e-11;      // of watts at a node: sums so near may be the same
constexpr std::size_t kMostCopies = 64;  // of a piece while windows are made, on average
constexpr std::size_t kNear = 6;         // so many places ahead memory is asked for
constexpr std::size_t kMostGrowth = 4;   // a window so many times its usual size is made anew

template <class A, class B>
bool lies_before(const A& a, const B& b) {
  return a.key > b.key || (a.key == b.key && a.device < b.device);
}

}  // namespace

template <class Key>
IncrementalProgram<Key>::IncrementalProgram(const Problem& problem, const TreeOrder& order,
                                            TreeState<Key>& state)
    : problem_{problem},
      order_{order},
      state_{state},
      remembered_{order.device_at.size()},
      before_of_(order.device_at.size(), 0),
      dirty_marks_{order.node_at.size()},
      more_least_(order.node_at.size(), 0.0),
      path_top_(order.node_at.size(), KeyLimits<Key>::highest),
      more_power_(order.node_at.size(), 0.0) {}

template <class Key>
void IncrementalProgram<Key>::device_changes(std::uint32_t device_place) {
  if (!remembered_.mark(device_place)) {
    return;
  }
  before_of_[device_place] = static_cast<std::uint32_t>(befores_.size());
  const auto pieces = state_.table.of(device_place);
  befores_.push_back({device_place, state_.table.least_watts[device_place], pieces_before_.size(),
                      pieces_before_.size() + pieces.size()});
  pieces_before_.insert(pieces_before_.end(), pieces.begin(), pieces.end());
}

/// The changes of a device's pieces.
template <class Key>
void IncrementalProgram<Key>::list_changes(const Before& before) {
  const auto device = before.device;
  const auto now = state_.table.of(device);
  std::size_t i = before.first_piece;
  std::size_t j = 0;
  while (i < before.end_piece || j < now.size()) {
    const bool is_old =
        j == now.size() || (i < before.end_piece && !(now[j].key > pieces_before_[i].key));
    const bool is_new =
        i == before.end_piece || (j < now.size() && !(pieces_before_[i].key > now[j].key));
    arriving_.push_back({is_old ? pieces_before_[i].key : now[j].key, device,
                         is_old ? pieces_before_[i].watts : 0.0, is_new ? now[j].watts : 0.0});
    i += is_old ? 1 : 0;
    j += is_new ? 1 : 0;
  }
}

/// A node and all above it.
template <class Key>
void IncrementalProgram<Key>::mark_dirty(std::uint32_t place) {
  while (place != TreeOrder::kNone && dirty_marks_.mark(place)) {
    place = order_.parent[place];
  }
}

template <class Key>
void IncrementalProgram<Key>::list_dirty() {
  for (const auto& before : befores_) {
    const auto owner = order_.owner[before.device];
    more_least_[owner] += state_.table.least_watts[before.device] - before.least_watts;
    mark_dirty(owner);
  }
  for (const auto place : limited_) {
    mark_dirty(place);
  }
  remembered_.take_each([&](std::uint32_t device) { changed_devices_.push_back(device); });
  dirty_marks_.take_each([&](std::uint32_t place) { dirty_.push_back(place); });  // children first
  for (std::size_t i = dirty_.size(); i-- > 0;) {
    const auto parent = order_.parent[dirty_[i]];
    const Key above = parent == TreeOrder::kNone ? KeyLimits<Key>::lowest : path_top_[parent];
    const Key top = windows_[dirty_[i]].top;
    path_top_[dirty_[i]] = top > above ? top : above;
  }
}

template <class Key>
void IncrementalProgram<Key>::limit_changed(std::uint32_t place) {
  limited_.push_back(place);
}

template <class Key>
void IncrementalProgram<Key>::forget() {
  windows_.clear();
  forget_changes();
}

template <class Key>
void IncrementalProgram<Key>::forget_changes() {
  remembered_.clear();
  befores_.clear();
  pieces_before_.clear();
  for (const auto place : dirty_) {
    more_least_[place] = 0;
  }
  dirty_.clear();
  limited_.clear();
  changed_devices_.clear();
}

/// What reaches a node, from the devices below and the cuts between.
template <class Key>
std::vector<typename Window<Key>::Entry> IncrementalProgram<Key>::gather(std::uint32_t place) {
  std::vector<Entry> entries;
  auto& reaches = reaches_;
  reaches.resize(state_.cuts.size());
  reaches[place] = {};
  for (std::uint32_t p = place + 1; p-- > order_.subtree[place];) {
    if (p != place) {
      reaches[p] = reaches[order_.parent[p]].below(state_.cuts[p]);
    }
    for (auto d = order_.first_device[p]; d < order_.first_device[p + 1]; ++d) {
      for (const auto& piece : state_.table.of(d)) {
        const double watts = reaches[p].kept(piece);
        if (watts > 0) {
          entries.push_back({piece.key, watts, d, 0});
        }
      }
    }
  }
  return entries;
}

/// A window about a cut, of all that reaches a node. False when too much of one worth is there.
template <class Key>
bool IncrementalProgram<Key>::fill_window(Window<Key>& window, std::vector<Entry> entries,
                                          const NodeCut<Key>& cut) {
  const std::size_t reach = window_reach(entries.size());
  window = {};
  for (const auto& entry : entries) {
    window.total += entry.watts;
  }
  const auto first_at = std::partition(entries.begin(), entries.end(), [&](const Entry& entry) {
    return entry.key > cut.threshold;
  });
  // Above the threshold the lowest keys, at and below it the highest.
  auto begin = entries.begin();
  if (static_cast<std::size_t>(first_at - begin) > reach) {
    const auto middle = first_at - static_cast<std::ptrdiff_t>(reach);
    std::nth_element(begin, middle, first_at, lies_before<Entry, Entry>);
    window.top = middle->key;
    begin =
        std::partition(begin, first_at, [&](const Entry& entry) { return entry.key > window.top; });
    for (auto entry = entries.begin(); entry != begin; ++entry) {
      window.above += entry->watts;
    }
  }
  auto end = entries.end();
  if (static_cast<std::size_t>(end - first_at) > reach) {
    const auto middle = first_at + static_cast<std::ptrdiff_t>(reach);
    std::nth_element(first_at, middle, end, lies_before<Entry, Entry>);
    window.bottom = middle->key;
    end = std::partition(first_at, end,
                         [&](const Entry& entry) { return !(window.bottom > entry.key); });
  }
  window.usual_size = 2 * reach;
  if (static_cast<std::size_t>(end - begin) > kMostGrowth * window.usual_size) {
    return false;
  }
  window.entries.assign(begin, end);
  std::sort(window.entries.begin(), window.entries.end(), lies_before<Entry, Entry>);
  return true;
}

template <class Key>
void IncrementalProgram<Key>::make_windows() {
  windows_.assign(state_.cuts.size(), {});
  round_ = 0;
  least_value_ = state_.table.least_value;
  std::vector<Entry> stack;
  std::vector<std::size_t> begin(state_.cuts.size());
  std::vector<Entry> entries;
  std::size_t copies = 0;
  for (std::uint32_t place = 0; place < windows_.size(); ++place) {
    const auto first_child = order_.first_child[place];
    begin[place] = first_child == TreeOrder::kNone ? stack.size() : begin[first_child];
    for (auto d = order_.first_device[place]; d < order_.first_device[place + 1]; ++d) {
      for (const auto& piece : state_.table.of(d)) {
        stack.push_back({piece.key, piece.watts, d, 0});
      }
    }
    entries.assign(stack.begin() + static_cast<std::ptrdiff_t>(begin[place]), stack.end());
    copies += entries.size() + kMostCopies / 8;
    if (copies > kMostCopies * (state_.table.pieces.size() + windows_.size())) {
      forget();
      return;
    }
    const auto& cut = state_.cuts[place];
    const Reach<Key> own = Reach<Key>{}.below(cut);
    std::size_t end = begin[place];
    for (std::size_t i = end; i < stack.size(); ++i) {
      stack[i].watts = own.kept({stack[i].key, stack[i].watts});
      stack[end] = stack[i];
      end += stack[end].watts > 0 ? 1 : 0;
    }
    stack.resize(end);
    if (!fill_window(windows_[place], entries, cut)) {
      forget();
      return;
    }
  }
}

/// One piece that reaches a node in another size: into the window, on to the parent when it is
/// above, nowhere when it is below.
template <class Key>
void IncrementalProgram<Key>::apply(Window<Key>& window, const Change& change, Key path_top,
                                    Sum& kept_by_all) {
  const double more = change.now - change.before;
  window.total += more;
  window.is_rough = window.is_rough || change.before > kMostLost * window.total;
  if (change.key > window.top) {
    window.above += more;
    if (change.key > path_top) {
      kept_by_all.add(change);
      remembered_.mark(change.device);
    } else {
      stack_.push_back(change);
    }
    return;
  }
  if (window.bottom > change.key) {
    return;
  }
  const auto at = std::lower_bound(window.entries.begin(), window.entries.end(), change,
                                   lies_before<Entry, Change>);
  const bool is_there =
      at != window.entries.end() && at->key == change.key && at->device == change.device;
  if (change.now == 0) {
    if (is_there) {
      window.entries.erase(at);
    }
  } else if (is_there) {
    at->watts = change.now;
    at->changed_in = round_;
  } else {
    window.entries.insert(at, {change.key, change.now, change.device, round_});
  }
}

/// Whether a window without a cut shows all that might be kept otherwise.
template <class Key>
typename IncrementalProgram<Key>::Found IncrementalProgram<Key>::all_kept(
    const Window<Key>& window) {
  return window.bottom == KeyLimits<Key>::lowest ? Found::in_window : Found::outside;
}

/// The cut of what reaches a node, if its window shows it.
template <class Key>
typename IncrementalProgram<Key>::Found IncrementalProgram<Key>::find_cut(std::uint32_t place,
                                                                          NodeCut<Key>& cut) const {
  const auto& window = windows_[place];
  const double capacity = state_.capacity[place];
  cut = {};
  if (std::isinf(capacity) || window.entries.empty()) {
    return std::isinf(capacity) || (window.total == 0 && capacity > 0) ? all_kept(window)
                                                                       : Found::outside;
  }
  const double rounding = kRounding * std::max(window.total, capacity);
  if (std::abs(window.total - capacity) <= rounding) {
    return Found::unclear;  // a full solve sees whether the limit is met exactly
  }
  if (window.total < capacity) {
    return all_kept(window);
  }
  if (capacity == 0) {
    return Found::outside;
  }
  cut.is_full = true;
  double kept = window.above;
  if (kept >= capacity) {
    return Found::outside;
  }
  for (std::size_t i = 0; i < window.entries.size();) {
    const Key key = window.entries[i].key;
    double equal = 0;
    for (; i < window.entries.size() && window.entries[i].key == key; ++i) {
      equal += window.entries[i].watts;
    }
    if (std::abs(kept + equal - capacity) <= rounding) {
      return Found::unclear;
    }
    if (kept + equal < capacity) {
      kept += equal;
      continue;
    }
    cut.threshold = cut.least_kept = key;
    cut.share = static_cast<long double>(capacity - kept) / static_cast<long double>(equal);
    cut.best_rejected = key;
    return Found::in_window;
  }
  return Found::outside;
}

/// What of the window is kept otherwise than before: of what arrived, and between the cuts.
template <class Key>
void IncrementalProgram<Key>::hand_on(const Window<Key>& window, const NodeCut<Key>& last_cut,
                                      const NodeCut<Key>& cut) {
  const Reach<Key> last = Reach<Key>{}.below(last_cut);
  const Reach<Key> own = Reach<Key>{}.below(cut);
  for (const auto& change : arriving_) {
    if (change.key > window.top || window.bottom > change.key) {
      continue;
    }
    const double before = last.kept({change.key, change.before});
    const double now = own.kept({change.key, change.now});
    if (before != now) {
      stack_.push_back({change.key, change.device, before, now});
    }
  }
  if (last == own) {
    return;
  }
  const Key high = last.threshold > own.threshold ? last.threshold : own.threshold;
  const Key low = last.threshold > own.threshold ? own.threshold : last.threshold;
  const auto begin = std::partition_point(window.entries.begin(), window.entries.end(),
                                          [&](const Entry& entry) { return entry.key > high; });
  for (auto entry = begin; entry != window.entries.end() && !(low > entry->key); ++entry) {
    const double before = last.kept({entry->key, entry->watts});
    const double now = own.kept({entry->key, entry->watts});
    if (before != now && entry->changed_in != round_) {
      stack_.push_back({entry->key, entry->device, before, now});
    }
  }
}

/// A node whose window does not reach: all that reaches it anew.
template <class Key>
bool IncrementalProgram<Key>::rebuild(std::uint32_t place) {
  auto& changes = arriving_;
  auto entries = gather(place);
  const NodeCut<Key> last = state_.cuts[place];
  auto& cut = state_.cuts[place];
  const double capacity = state_.capacity[place];
  double total = 0;
  std::vector<Piece<Key>> pieces;
  pieces.reserve(entries.size());
  for (const auto& entry : entries) {
    total += entry.watts;
    pieces.push_back({entry.key, entry.watts});
  }
  cut = {};
  if (capacity == 0) {
    cut = nothing_kept(Cutter<Key>::best_below(pieces, KeyLimits<Key>::highest));
  } else if (total > capacity * (1 + kRounding)) {
    std::vector<Piece<Key>> spare(pieces.size());
    const auto selected = Cutter<Key>::select(pieces, capacity, total, kRounding * capacity, spare);
    cut = {selected.threshold, selected.share, selected.best_rejected, selected.threshold, true};
  }
  const bool is_met_exactly =
      capacity > 0 && !std::isinf(capacity) &&
      (std::abs(total - capacity) <= kRounding * capacity || (cut.is_full && cut.share >= 1));
  if (is_met_exactly) {
    return false;
  }
  const Reach<Key> before = Reach<Key>{}.below(last);
  const Reach<Key> now = Reach<Key>{}.below(cut);
  std::sort(changes.begin(), changes.end(), lies_before<Change, Change>);
  std::vector<char> is_met(changes.size(), 0);
  for (const auto& entry : entries) {
    const auto at =
        std::lower_bound(changes.begin(), changes.end(), entry, lies_before<Change, Entry>);
    double watts_before = entry.watts;
    if (at != changes.end() && at->key == entry.key && at->device == entry.device) {
      watts_before = at->before;
      is_met[static_cast<std::size_t>(at - changes.begin())] = 1;
    }
    const Change change{entry.key, entry.device, before.kept({entry.key, watts_before}),
                        now.kept({entry.key, entry.watts})};
    if (change.before != change.now) {
      stack_.push_back(change);
    }
  }
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const double kept = before.kept({changes[i].key, changes[i].before});
    if (is_met[i] == 0 && kept > 0) {
      stack_.push_back({changes[i].key, changes[i].device, kept, 0});
    }
  }
  return fill_window(windows_[place], std::move(entries), cut);
}

/// One node after all of its subtree: takes what the children hand on and hands on its own.
template <class Key>
bool IncrementalProgram<Key>::process(std::uint32_t place) {
  Frame frame{place, stack_.size(), {}};
  while (!frames_.empty() && frames_.back().place >= order_.subtree[place]) {
    frame.begin = frames_.back().begin;
    frame.kept_by_all.add(frames_.back().kept_by_all);
    frames_.pop_back();
  }
  arriving_.assign(stack_.begin() + static_cast<std::ptrdiff_t>(frame.begin), stack_.end());
  stack_.resize(frame.begin);
  for (; next_own_ < changed_devices_.size() &&
         changed_devices_[next_own_] < order_.first_device[place + 1];
       ++next_own_) {
    if (next_own_ + kNear < changed_devices_.size()) {
      const auto soon = changed_devices_[next_own_ + kNear];
      __builtin_prefetch(state_.table.of(soon).data());
      __builtin_prefetch(&pieces_before_[befores_[before_of_[soon]].first_piece]);
    }
    list_changes(befores_[before_of_[changed_devices_[next_own_]]]);
  }
  auto& window = windows_[place];
  const Key last_top = window.top;
  window.total += frame.kept_by_all.more;
  window.above += frame.kept_by_all.more;
  window.is_rough = window.is_rough || frame.kept_by_all.gone > kMostLost * window.total;
  Sum kept_by_all;
  for (const auto& change : arriving_) {
    apply(window, change, path_top_[place], kept_by_all);
  }
  NodeCut<Key> cut;
  const auto found = find_cut(place, cut);
  if (found == Found::unclear && !window.is_rough) {
    return false;
  }
  if (found == Found::outside || window.is_rough ||
      window.entries.size() > kMostGrowth * window.usual_size) {
    stack_.resize(frame.begin);
    if (!rebuild(place) ||
        (frame.kept_by_all.count > 0 && !(last_top > state_.cuts[place].threshold))) {
      return false;
    }
  } else {
    hand_on(window, state_.cuts[place], cut);
    state_.cuts[place] = cut;
    frame.kept_by_all.add(kept_by_all);
  }
  frames_.push_back(frame);
  return true;
}

/// The room of a dirty node, after those of its children. False when least watts fill it, or when
/// sums would lose digits.
template <class Key>
bool IncrementalProgram<Key>::take_room(std::uint32_t place) {
  const double more = more_least_[place];
  auto& least = state_.least_below[place];
  least += more;
  if (order_.parent[place] != TreeOrder::kNone) {
    more_least_[order_.parent[place]] += more;
  }
  const double limit = problem_.nodes()[order_.node_at[place]].limit.in_base();
  state_.capacity[place] = limit - least;
  return state_.capacity[place] >= limit * kMetExactly &&
         std::abs(more) <= kMostLost * std::abs(least);
}

/// Windows of nodes soon to come: they lie scattered, and waiting for them is most of the time.
template <class Key>
void IncrementalProgram<Key>::prefetch(std::span<const std::uint32_t> dirty, std::size_t i) const {
  constexpr std::size_t kLine = 64 / sizeof(Entry);
  if (i + kNear < dirty.size()) {
    const auto place = dirty[i + kNear];
    __builtin_prefetch(&state_.cuts[place]);
    __builtin_prefetch(&state_.least_below[place]);
    __builtin_prefetch(&state_.capacity[place]);
    __builtin_prefetch(&problem_.nodes()[order_.node_at[place]].limit);
    const auto& entries = windows_[place].entries;
    for (std::size_t e = 0; e < std::min<std::size_t>(entries.size(), 24); e += kLine) {
      __builtin_prefetch(entries.data() + e);
    }
  }
}

template <class Key>
bool IncrementalProgram<Key>::update(Allocation& answer) {
  list_dirty();
  stack_.clear();
  frames_.clear();
  next_own_ = 0;
  ++round_;
  is_changed_.assign(state_.cuts.size(), 0);
  for (std::size_t i = 0; i < dirty_.size(); ++i) {
    const auto place = dirty_[i];
    prefetch(dirty_, i);
    const NodeCut<Key> last = state_.cuts[place];
    if (!take_room(place) || !process(place)) {
      return false;
    }
    is_changed_[place] = last == state_.cuts[place] ? 0 : 1;
  }
  if (!write(frames_.empty() ? Sum{} : frames_.back().kept_by_all, answer)) {
    return false;
  }
  forget_changes();
  return true;
}

/// False when sums lost digits.
template <class Key>
bool IncrementalProgram<Key>::write(const Sum& kept_by_all, Allocation& answer) {
  const auto least_more = static_cast<double>(state_.table.least_value - least_value_);
  double moved = std::max(std::abs(least_more), kept_by_all.moved);
  answer.value += least_more + kept_by_all.value;
  least_value_ = state_.table.least_value;
  for (const auto& before : befores_) {
    remembered_.mark(before.device);
  }
  for (const auto& change : stack_) {
    remembered_.mark(change.device);
    answer.value += (change.now - change.before) * slope_of(change.key);
    moved = std::max(moved, std::max(change.now, change.before) * slope_of(change.key));
  }
  answer.bound = answer.value;
  update_prices(order_, state_, is_changed_, answer);
  changed_devices_.clear();
  remembered_.take_each([&](std::uint32_t device) { changed_devices_.push_back(device); });
  return write_power(answer) && moved <= kMostLost * std::abs(answer.value);
}

/// Watts of the changed devices and of the nodes above them. False when sums lost digits.
template <class Key>
bool IncrementalProgram<Key>::write_power(Allocation& answer) {
  for (std::size_t i = 0; i < changed_devices_.size(); ++i) {
    if (i + kNear < changed_devices_.size()) {
      const auto soon = changed_devices_[i + kNear];
      __builtin_prefetch(state_.table.of(soon).data());
      __builtin_prefetch(&answer.device_watts[order_.device_at[soon]]);
    }
    const auto device = changed_devices_[i];
    const auto owner = order_.owner[device];
    const auto& reach = state_.below[owner].reach;
    double watts = state_.table.least_watts[device];
    for (const auto& piece : state_.table.of(device)) {
      watts += reach.kept(piece);
    }
    auto& before = answer.device_watts[order_.device_at[device]];
    more_power_[owner] += watts - before.in_base();
    before = Watts::from_base(watts);
    dirty_marks_.mark(owner);
  }
  bool is_exact = true;
  dirty_marks_.take_each([&](std::uint32_t place) {
    const double more = std::exchange(more_power_[place], 0.0);
    auto& power = answer.nodes[order_.node_at[place]].power;
    power += Watts::from_base(more);
    is_exact = is_exact && std::abs(more) <= kMostLost * std::abs(power.in_base());
    const auto parent = order_.parent[place];
    if (parent != TreeOrder::kNone && more != 0) {
      more_power_[parent] += more;
      dirty_marks_.mark(parent);
    }
  });
  return is_exact;
}

template class IncrementalProgram<double>;
template class IncrementalProgram<PriorityKey>;

}  // namespace perwatt::allocate
