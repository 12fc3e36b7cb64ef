// What the loop is told not to do: the highest cap that each device may be given now.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "perwatt/base/bytes.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::control {

class Restraints {
 public:
  explicit Restraints(const topology::PowerTree& tree);

  void hold(topology::DeviceIndex device, bool is_held) {
    holds_[device.value] = is_held ? 1 : 0;
    is_changed_ = true;
  }

  void hold(topology::NodeIndex node, bool is_held) { mark(held_, node, is_held); }

  void to_fail_safe(topology::NodeIndex node, bool is_on) { mark(fail_safe_, node, is_on); }

  /// Both as to_fail_safe(), by people: apart from what the loop's own watch orders.
  void maintain(topology::NodeIndex node, bool is_on) { mark(maintained_, node, is_on); }

  void release(bool is_on) {
    is_changed_ = is_changed_ || is_on != is_released_;
    is_released_ = is_on;
  }

  void set_most(topology::DeviceIndex device, Watts most) {
    most_[device.value] = most;
    is_changed_ = true;
  }

  /// Whether anything at all is restrained. As of refresh().
  [[nodiscard]] bool has_any() const { return has_any_; }

  /// Carries what nodes were told down to what is below. Before most(); linear after changes.
  void refresh();

  /// All that was told.
  void save(ByteWriter& to) const;
  void resume(ByteReader& from);

  /// By people: then fail-safe is to the watt.
  [[nodiscard]] bool is_given_up(std::size_t device) const {
    return is_released_ || maintained_.in_all[node_of_[device]] != 0;
  }

  /// `cap`: of the newest grant.
  [[nodiscard]] Watts most(std::size_t device, Watts cap, Watts fail_safe) const;

 private:
  struct Marks {
    std::vector<char> own;     // by node
    std::vector<char> in_all;  // by node: its own or that of one above
  };

  void mark(Marks& marks, topology::NodeIndex node, bool is_on) {
    marks.own[node.value] = is_on ? 1 : 0;
    is_changed_ = true;
  }

  void carry_down(Marks& marks) const;

  std::vector<std::uint32_t> parent_from_;  // by node, in parents_; one more at the end
  std::vector<std::uint32_t> parents_;
  std::vector<std::uint32_t> node_of_;  // by device
  std::vector<char> holds_;             // by device
  std::vector<Watts> most_;             // by device
  Marks held_;
  Marks fail_safe_;
  Marks maintained_;
  bool is_released_ = false;
  bool is_changed_ = false;
  bool has_any_ = false;
};

}  // namespace perwatt::control
