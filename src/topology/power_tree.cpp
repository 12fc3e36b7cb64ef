#include "perwatt/topology/power_tree.hpp"

#include <algorithm>
#include <utility>

#include "perwatt/base/hash.hpp"

namespace perwatt::topology {

namespace {

template <class T>
using SpelledValue = std::pair<std::string_view, T>;

template <class T, std::size_t N>
std::string_view spelling_of(const std::array<SpelledValue<T>, N>& spellings, T value) {
  return std::find_if(spellings.begin(), spellings.end(),
                      [&](const auto& entry) { return entry.second == value; })
      ->first;
}

template <class T, std::size_t N>
std::optional<T> value_spelled(const std::array<SpelledValue<T>, N>& spellings,
                               std::string_view text) {
  const auto found = std::find_if(spellings.begin(), spellings.end(),
                                  [&](const auto& entry) { return entry.first == text; });
  return found == spellings.end() ? std::nullopt : std::optional<T>{found->second};
}

constexpr std::array<SpelledValue<NodeKind>, 9> kNodeKinds{{{"site", NodeKind::site},
                                                            {"utility", NodeKind::utility},
                                                            {"switchboard", NodeKind::switchboard},
                                                            {"ups", NodeKind::ups},
                                                            {"pdu", NodeKind::pdu},
                                                            {"row", NodeKind::row},
                                                            {"rack", NodeKind::rack},
                                                            {"node", NodeKind::node},
                                                            {"other", NodeKind::other}}};

constexpr std::array<SpelledValue<LimitKind>, 6> kLimitKinds{{{"breaker", LimitKind::breaker},
                                                              {"ups", LimitKind::ups},
                                                              {"demand", LimitKind::demand},
                                                              {"contract", LimitKind::contract},
                                                              {"cooling", LimitKind::cooling},
                                                              {"other", LimitKind::other}}};

/// The first spelling of a phase is the one that is printed.
constexpr std::array<SpelledValue<Phase>, 9> kPhaseNames{{{"L1", Phase::l1},
                                                          {"L2", Phase::l2},
                                                          {"L3", Phase::l3},
                                                          {"A", Phase::l1},
                                                          {"B", Phase::l2},
                                                          {"C", Phase::l3},
                                                          {"1", Phase::l1},
                                                          {"2", Phase::l2},
                                                          {"3", Phase::l3}}};

constexpr std::array<SpelledValue<MeterSide>, 2> kMeterSides{
    {{"supply", MeterSide::supply}, {"load", MeterSide::load}}};

}  // namespace

std::string_view to_string(NodeKind kind) {
  return spelling_of(kNodeKinds, kind);
}

std::optional<NodeKind> parse_node_kind(std::string_view text) {
  return value_spelled(kNodeKinds, text);
}

std::string_view to_string(Phase phase) {
  return spelling_of(kPhaseNames, phase);
}

std::optional<Phase> parse_phase(std::string_view text) {
  return value_spelled(kPhaseNames, text);
}

std::string_view to_string(LimitKind kind) {
  return spelling_of(kLimitKinds, kind);
}

std::optional<LimitKind> parse_limit_kind(std::string_view text) {
  return value_spelled(kLimitKinds, text);
}

std::string_view to_string(MeterSide side) {
  return spelling_of(kMeterSides, side);
}

std::optional<MeterSide> parse_meter_side(std::string_view text) {
  return value_spelled(kMeterSides, text);
}

std::optional<Watts> Node::steady_limit() const {
  std::optional<Watts> least;
  for (const auto& limit : limits) {
    if (!limit.phase && (!least || limit.power < *least)) {
      least = limit.power;
    }
  }
  return least;
}

std::span<const NodeIndex> PowerTree::children(NodeIndex n) const {
  return std::span{children_.items}.subspan(
      children_.begin[n.value], children_.begin[n.value + 1] - children_.begin[n.value]);
}

std::span<const NodeIndex> PowerTree::fed_by(NodeIndex n) const {
  return std::span{fed_.items}.subspan(fed_.begin[n.value],
                                       fed_.begin[n.value + 1] - fed_.begin[n.value]);
}

std::optional<std::size_t> PowerTree::find(std::string_view id) const {
  for (std::size_t slot = fnv1a(id);; ++slot) {
    const auto entry = slots_[slot & (slots_.size() - 1)];
    if (entry == 0) {
      return std::nullopt;
    }
    const std::size_t at = entry - 1;
    const auto& found = at < nodes_.size() ? nodes_[at].id : devices_[at - nodes_.size()].id;
    if (found == id) {
      return at;
    }
  }
}

std::optional<NodeIndex> PowerTree::find_node(std::string_view id) const {
  const auto at = find(id);
  return at && *at < nodes_.size() ? std::optional{NodeIndex{static_cast<std::uint32_t>(*at)}}
                                   : std::nullopt;
}

std::optional<DeviceIndex> PowerTree::find_device(std::string_view id) const {
  const auto at = find(id);
  return at && *at >= nodes_.size()
             ? std::optional{DeviceIndex{static_cast<std::uint32_t>(*at - nodes_.size())}}
             : std::nullopt;
}

}  // namespace perwatt::topology
