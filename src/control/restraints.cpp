#include "restraints.hpp"

#include <algorithm>
#include <limits>

namespace perwatt::control {

namespace {

constexpr Watts kNoBound = watts(std::numeric_limits<double>::infinity());

}  // namespace

Restraints::Restraints(const topology::PowerTree& tree)
    : holds_(tree.devices().size(), 0), most_(tree.devices().size(), kNoBound) {
  for (const auto& node : tree.nodes()) {
    parent_from_.push_back(static_cast<std::uint32_t>(parents_.size()));
    for (const auto& supply : node.supplies) {
      parents_.push_back(supply.parent.value);
    }
  }
  parent_from_.push_back(static_cast<std::uint32_t>(parents_.size()));
  for (const auto& device : tree.devices()) {
    node_of_.push_back(device.parent.value);
  }
  const std::vector<char> none(tree.nodes().size(), 0);
  held_ = {none, none};
  fail_safe_ = {none, none};
  maintained_ = {none, none};
}

void Restraints::carry_down(Marks& marks) const {
  for (std::size_t n = 0; n < marks.own.size(); ++n) {  // parents come first
    marks.in_all[n] = marks.own[n];
    for (auto i = parent_from_[n]; i < parent_from_[n + 1]; ++i) {
      marks.in_all[n] = static_cast<char>(marks.in_all[n] | marks.in_all[parents_[i]]);
    }
  }
}

void Restraints::refresh() {
  if (is_changed_) {
    carry_down(held_);
    carry_down(fail_safe_);
    carry_down(maintained_);
    const auto is_on = [](char mark) { return mark != 0; };
    has_any_ = is_released_ || std::any_of(held_.own.begin(), held_.own.end(), is_on) ||
               std::any_of(fail_safe_.own.begin(), fail_safe_.own.end(), is_on) ||
               std::any_of(maintained_.own.begin(), maintained_.own.end(), is_on) ||
               std::any_of(holds_.begin(), holds_.end(), is_on) ||
               std::any_of(most_.begin(), most_.end(), [](Watts most) { return most < kNoBound; });
    is_changed_ = false;
  }
}

void Restraints::save(ByteWriter& to) const {
  for (std::size_t d = 0; d < holds_.size(); ++d) {
    to.put(holds_[d]);
    to.put(most_[d]);
  }
  for (std::size_t n = 0; n < held_.own.size(); ++n) {
    to.put(held_.own[n]);
    to.put(fail_safe_.own[n]);
    to.put(maintained_.own[n]);
  }
  to.put(std::uint8_t{is_released_});
}

void Restraints::resume(ByteReader& from) {
  for (std::size_t d = 0; d < holds_.size(); ++d) {
    holds_[d] = from.get<char>();
    most_[d] = from.watts();
  }
  for (std::size_t n = 0; n < held_.own.size(); ++n) {
    held_.own[n] = from.get<char>();
    fail_safe_.own[n] = from.get<char>();
    maintained_.own[n] = from.get<char>();
  }
  is_released_ = from.get<std::uint8_t>() != 0;
  is_changed_ = true;
}

Watts Restraints::most(std::size_t device, Watts cap, Watts fail_safe) const {
  Watts most = most_[device];
  if (is_given_up(device) || fail_safe_.in_all[node_of_[device]] != 0) {
    most = std::min(most, fail_safe);
  }
  if (holds_[device] != 0 || held_.in_all[node_of_[device]] != 0) {
    most = std::min(most, cap);
  }
  return most;
}

}  // namespace perwatt::control
