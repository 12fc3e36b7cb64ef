#include "perwatt/topology/read_topology.hpp"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "topology_entry.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::topology {

namespace {

/// Entries to specs. An entry is expanded when all it hangs below is there: nodes made from the
/// entry of that name, or the one node of that id. File order therefore does not matter.
class Expansion {
 public:
  Expansion(std::vector<TopologyEntry> entries, const TopologySize& size)
      : entries_{std::move(entries)}, size_{size}, states_(entries_.size()) {}

  PowerTree tree() {
    check_names();
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      await_parents(i);
    }
    while (!ready_.empty()) {
      const auto i = ready_.front();
      ready_.pop_front();
      expand(i);
    }
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (!states_[i].is_expanded) {
        leave_to_the_tree(i);
      }
    }
    return PowerTree::build(std::move(nodes_), std::move(devices_));
  }

 private:
  struct State {
    std::size_t missing = 0;
    bool is_expanded = false;
  };

  /// Nodes that a name stands for: ids of consecutive specs.
  struct Named {
    std::size_t first = 0;
    std::size_t count = 0;
    bool is_repeated = false;  // children carry their parent's id in theirs
  };

  /// Two entries of one name would leave it open which of them children hang below.
  void check_names() const {
    std::unordered_set<std::string_view> names;
    for (const auto& entry : entries_) {
      if (std::holds_alternative<NodeSpec>(entry.made) && !names.insert(entry.id).second) {
        throw_bad_input("the id '" + printable(entry.id) + "' is given twice", entry.place(),
                        "give every [[topology.node]] an id of its own");
      }
    }
  }

  void await_parents(std::size_t i) {
    for (const auto& parent : entries_[i].parents) {
      waiting_[parent.parent].push_back(i);
      ++states_[i].missing;
    }
    if (states_[i].missing == 0) {
      ready_.push_back(i);
    }
  }

  void announce(const std::string& name) {
    const auto found = waiting_.find(name);
    if (found == waiting_.end()) {
      return;
    }
    for (const auto i : found->second) {
      if (--states_[i].missing == 0) {
        ready_.push_back(i);
      }
    }
    waiting_.erase(found);
  }

  [[nodiscard]] std::vector<Named> parents_of(const TopologyEntry& entry) const {
    std::vector<Named> parents;
    for (const auto& parent : entry.parents) {
      parents.push_back(named_.at(parent.parent));
    }
    return parents;
  }

  /// How many sets of children: one per parent; feeds go together, the k-th with the k-th.
  [[nodiscard]] static std::size_t sets_of(const TopologyEntry& entry,
                                           const std::vector<Named>& parents) {
    std::size_t sets = 1;
    for (std::size_t p = 0; p < parents.size(); ++p) {
      if (sets > 1 && parents[p].count > 1 && parents[p].count != sets) {
        throw_bad_input("'" + printable(entry.id) + "' is fed by " + std::to_string(sets) +
                            " nodes and by " + std::to_string(parents[p].count) + " of '" +
                            printable(entry.parents[p].parent) + "'",
                        entry.place(), "feeds need equal counts, or one node for all");
      }
      sets = std::max(sets, parents[p].count);
    }
    return sets;
  }

  void check_size(const TopologyEntry& entry, std::size_t sets) const {
    const bool is_node = std::holds_alternative<NodeSpec>(entry.made);
    const auto present = is_node ? nodes_.size() : devices_.size();
    const auto most = is_node ? size_.most_nodes : size_.most_devices;
    if (sets * entry.count.value_or(1) > most - std::min(most, present)) {
      throw_bad_input("'" + printable(entry.id) + "' makes " + std::to_string(sets) + " times " +
                          std::to_string(entry.count.value_or(1)) + " more " +
                          (is_node ? "nodes" : "devices"),
                      entry.place(), "at most " + std::to_string(most) + " in all");
    }
  }

  void expand(std::size_t i) {
    auto& entry = entries_[i];
    states_[i].is_expanded = true;
    const auto parents = parents_of(entry);
    const auto sets = sets_of(entry, parents);
    check_size(entry, sets);
    Named made{nodes_.size(), 0, entry.count.has_value()};
    const bool has_prefix = !parents.empty() && parents[0].is_repeated;
    made.is_repeated = made.is_repeated || has_prefix;
    for (std::size_t set = 0; set < sets; ++set) {
      std::vector<SupplySpec> supplies;
      for (std::size_t p = 0; p < parents.size(); ++p) {
        const auto at = parents[p].first + (parents[p].count > 1 ? set : 0);
        supplies.push_back({nodes_[at].id, entry.parents[p].share_ratio});
      }
      const auto prefix = has_prefix ? supplies[0].parent + "/" : std::string{};
      for (std::uint32_t k = 1; k <= entry.count.value_or(1); ++k) {
        add(entry, prefix + entry.id + (entry.count ? "-" + std::to_string(k) : ""), supplies);
      }
    }
    if (std::holds_alternative<DeviceSpec>(entry.made)) {
      return;
    }
    made.count = nodes_.size() - made.first;
    if (named_.emplace(entry.id, made).second) {
      announce(entry.id);
    }
    for (std::size_t n = made.first; n < nodes_.size(); ++n) {
      const auto& id = nodes_[n].id;
      if (waiting_.count(id) > 0 && named_.emplace(id, Named{n, 1, false}).second) {
        announce(id);
      }
    }
  }

  void add(const TopologyEntry& entry, std::string id, std::vector<SupplySpec> supplies) {
    if (const auto* node = std::get_if<NodeSpec>(&entry.made)) {
      nodes_.push_back(*node);
      nodes_.back().id = std::move(id);
      nodes_.back().supplies = std::move(supplies);
    } else {
      devices_.push_back(std::get<DeviceSpec>(entry.made));
      devices_.back().id = std::move(id);
      devices_.back().parent = supplies.front().parent;
    }
  }

  /// An orphan or on a cycle: PowerTree::build says which, of the parents that are not there.
  void leave_to_the_tree(std::size_t i) {
    const auto& entry = entries_[i];
    std::vector<SupplySpec> missing;
    for (const auto& parent : entry.parents) {
      if (named_.count(parent.parent) == 0) {
        missing.push_back(parent);
      }
    }
    for (auto& supply : missing) {
      supply.share_ratio = 1.0 / static_cast<double>(missing.size());
    }
    add(entry, entry.id, missing);
  }

  std::vector<TopologyEntry> entries_;
  TopologySize size_;
  std::vector<State> states_;
  std::unordered_map<std::string, std::vector<std::size_t>> waiting_;
  std::unordered_map<std::string, Named> named_;
  std::deque<std::size_t> ready_;
  std::vector<NodeSpec> nodes_;
  std::vector<DeviceSpec> devices_;
};

}  // namespace

PowerTree read_topology(std::string_view text, const std::string& name, const TopologySize& size) {
  const auto document = ConfigTable::parse(text, name);
  const auto topology = document.optional_table("topology");
  std::vector<TopologyEntry> entries;
  if (topology) {
    for (const auto& table : topology->tables("node")) {
      entries.push_back(read_node_entry(table));
    }
  }
  if (entries.empty()) {
    throw_bad_input("there is no [[topology.node]]", name,
                    "describe the tree as docs/reference/topology.md has it");
  }
  for (const auto& table : topology->tables("device")) {
    entries.push_back(read_device_entry(table));
  }
  static_cast<void>(topology->tables("curve"));  // the reader of curves checks them
  topology->reject_unknown_keys();
  return Expansion{std::move(entries), size}.tree();
}

}  // namespace perwatt::topology
