// The same optimum after a change, from what is known of the last one.
//
// Each node keeps a window: the pieces next to its threshold, by worth. A change moves the
// threshold a little; what crosses it is in the window, and only that goes on to the parent as a
// change of what reaches it. What comes out at the root are the watts that change in the answer.
// Where a window does not reach far enough it is made anew from the devices below.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "place_marks.hpp"
#include "tree_order.hpp"
#include "tree_state.hpp"

#include "perwatt/allocate/allocation.hpp"

namespace perwatt::allocate {

/// What stays of one piece of a device, before and now.
template <class Key>
struct PieceChange {
  Key key;
  std::uint32_t device;  // place
  double before;
  double now;
};

/// The pieces next to a node's threshold. Keys in [bottom, top] are all here.
template <class Key>
struct Window {
  struct Entry {
    Key key;
    double watts;              // that reach the node
    std::uint32_t device;      // place
    std::uint32_t changed_in;  // the update so numbered
  };

  std::vector<Entry> entries;  // highest key first, then by device
  double above = 0;            // watts of keys above top
  double total = 0;            // watts of all that reaches the node
  Key top = KeyLimits<Key>::highest;
  Key bottom = KeyLimits<Key>::lowest;
  std::size_t usual_size = 0;
  bool is_rough = false;  // sums may have lost digits
};

template <class Key>
class IncrementalProgram {
 public:
  /// Keeps references to all three.
  IncrementalProgram(const Problem& problem, const TreeOrder& order, TreeState<Key>& state);

  /// A device is about to get another curve, or a node got another limit: remembered for update().
  void device_changes(std::uint32_t device_place);
  void limit_changed(std::uint32_t place);

  [[nodiscard]] bool has_windows() const { return !windows_.empty(); }

  /// After a full solve: windows, until the next full solve.
  /// None where the tree is so deep that they would cost more than full solves.
  void make_windows();

  /// Nothing is known any more: the next solve must be a full one.
  void forget();

  /// Brings state and answer up to date. False when only a full solve can: a limit below the least
  /// watts, more of one worth than a window holds, a limit met exactly.
  bool update(Allocation& answer);

 private:
  using Entry = typename Window<Key>::Entry;
  using Change = PieceChange<Key>;

  /// Changes of pieces that are above the windows of all nodes up to the root: kept whole before
  /// and now, so that only their sum matters.
  struct Sum {
    std::size_t count = 0;
    double more = 0;   // watts
    double gone = 0;   // watts of before
    double value = 0;  // more of it
    double moved = 0;  // the greatest value of a piece

    void add(const Change& change) {
      const double slope = slope_of(change.key);
      ++count;
      more += change.now - change.before;
      gone += change.before;
      value += (change.now - change.before) * slope;
      moved = std::max(moved, std::max(change.now, change.before) * slope);
    }

    void add(const Sum& sum) {
      count += sum.count;
      more += sum.more;
      gone += sum.gone;
      value += sum.value;
      moved = std::max(moved, sum.moved);
    }
  };

  struct Frame {  // changes that a subtree hands to its parent
    std::uint32_t place;
    std::size_t begin;  // in stack_
    Sum kept_by_all;
  };

  struct Before {          // a device at the last solve
    std::uint32_t device;  // place
    double least_watts;
    std::size_t first_piece;  // in pieces_before_
    std::size_t end_piece;
  };

  void forget_changes();
  void list_dirty();
  void list_changes(const Before& before);
  void mark_dirty(std::uint32_t place);
  bool take_room(std::uint32_t place);
  void prefetch(std::span<const std::uint32_t> dirty, std::size_t i) const;
  bool process(std::uint32_t place);
  void apply(Window<Key>& window, const Change& change, Key path_top, Sum& kept_by_all);
  enum class Found { in_window, outside, unclear };
  static Found all_kept(const Window<Key>& window);
  Found find_cut(std::uint32_t place, NodeCut<Key>& cut) const;
  void hand_on(const Window<Key>& window, const NodeCut<Key>& last_cut, const NodeCut<Key>& cut);
  bool rebuild(std::uint32_t place);
  std::vector<Entry> gather(std::uint32_t place);
  static bool fill_window(Window<Key>& window, std::vector<Entry> entries, const NodeCut<Key>& cut);
  bool write(const Sum& kept_by_all, Allocation& answer);
  bool write_power(Allocation& answer);

  const Problem& problem_;
  const TreeOrder& order_;
  TreeState<Key>& state_;
  std::vector<Window<Key>> windows_;      // by place
  PlaceMarks remembered_;                 // devices with a Before; in update() those that change
  std::vector<std::uint32_t> before_of_;  // by place of a remembered device
  std::vector<Before> befores_;
  std::vector<Piece<Key>> pieces_before_;
  std::vector<std::uint32_t> limited_;  // places whose limit changed
  PlaceMarks dirty_marks_;
  std::vector<std::uint32_t> dirty_;  // places that changed or lie above one
  std::vector<double> more_least_;    // by place: of least watts below, while dirty
  std::vector<Key> path_top_;         // by dirty place: the highest top up to the root
  std::uint32_t round_ = 0;           // update() since the windows were made
  std::size_t next_own_ = 0;          // of changed_devices_, not yet taken
  std::vector<Change> stack_;         // what subtrees hand on
  std::vector<Change> arriving_;      // at the node in hand
  std::vector<double> more_power_;    // by place
  std::vector<Frame> frames_;
  std::vector<Reach<Key>> reaches_;  // of gather()
  std::vector<char> is_changed_;     // by place: is cut otherwise than at the last answer
  std::vector<std::uint32_t> changed_devices_;  // places, rising
  long double least_value_ = 0;                 // of the state at the last solve
};

extern template class IncrementalProgram<double>;
extern template class IncrementalProgram<PriorityKey>;

}  // namespace perwatt::allocate
