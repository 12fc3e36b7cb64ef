// A scenario as it is under one policy.
#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/simulate/scenario.hpp"

namespace perwatt::simulate {

namespace {

using topology::DeviceIndex;
using topology::NodeIndex;
using topology::PowerTree;

/// By node: absent itself, or fed by absent nodes alone.
std::vector<char> absent_nodes(const PowerTree& tree, const std::vector<NodeIndex>& absent) {
  std::vector<char> is_absent(tree.nodes().size());
  for (const auto node : absent) {
    is_absent[node.value] = 1;
  }
  for (std::size_t n = 1; n < is_absent.size(); ++n) {
    const auto& supplies = tree.nodes()[n].supplies;
    const bool is_fed = std::any_of(supplies.begin(), supplies.end(), [&](const auto& supply) {
      return is_absent[supply.parent.value] == 0;
    });
    is_absent[n] = is_absent[n] != 0 || !is_fed;
  }
  return is_absent;
}

topology::NodeSpec spec_of(const PowerTree& tree, const topology::Node& node,
                           const std::vector<char>& is_absent) {
  topology::NodeSpec spec;
  spec.id = node.id;
  spec.kind = node.kind;
  double live_share = 0;
  for (const auto& supply : node.supplies) {
    live_share += is_absent[supply.parent.value] != 0 ? 0 : supply.share_ratio;
  }
  for (const auto& supply : node.supplies) {
    if (is_absent[supply.parent.value] == 0) {
      spec.supplies.push_back({tree.node(supply.parent).id, supply.share_ratio / live_share});
    }
  }
  spec.limits = node.limits;
  spec.factor = node.factor;
  spec.fixed = node.fixed;
  spec.feed = node.feed;
  spec.phase = node.phase;
  spec.meter = node.meter;
  return spec;
}

topology::DeviceSpec spec_of(const PowerTree& tree, const topology::Device& device) {
  return {device.id,         tree.node(device.parent).id,
          device.min,        device.max,
          device.guaranteed, device.fail_safe,
          device.vendor,     device.accelerator,
          device.curve,      ""};
}

PowerTree tree_without(const PowerTree& tree, const std::vector<char>& is_absent) {
  std::vector<topology::NodeSpec> nodes;
  std::vector<topology::DeviceSpec> devices;
  for (std::size_t n = 0; n < is_absent.size(); ++n) {
    if (is_absent[n] == 0) {
      nodes.push_back(spec_of(tree, tree.nodes()[n], is_absent));
    }
  }
  for (const auto& device : tree.devices()) {
    if (is_absent[device.parent.value] == 0) {
      devices.push_back(spec_of(tree, device));
    }
  }
  return PowerTree::build(std::move(nodes), std::move(devices));
}

/// Numbers of the whole tree to those of the smaller one, by the ids they share.
class Renumbering {
 public:
  Renumbering(const PowerTree& from, const PowerTree& to, const std::string& policy)
      : from_{from}, to_{to}, policy_{policy} {}

  void renumber(std::vector<DeviceIndex>& devices, const std::string& job) const {
    for (auto& device : devices) {
      const auto& id = from_.device(device).id;
      const auto found = to_.find_device(id);
      if (!found) {
        throw_bad_input("device '" + printable(id) + "' of '" + printable(job) +
                            "' is not there under policy '" + printable(policy_) + "'",
                        "policy", "add '" + printable(job) + "' to its off, or keep the node");
      }
      device = *found;
    }
  }

  [[nodiscard]] std::optional<NodeIndex> of(NodeIndex node) const {
    return to_.find_node(from_.node(node).id);
  }

  [[nodiscard]] std::vector<std::uint16_t> kinds(const std::vector<std::uint16_t>& kinds) const {
    std::vector<std::uint16_t> left(to_.devices().size());
    for (std::uint32_t d = 0; d < kinds.size(); ++d) {
      if (const auto found = to_.find_device(from_.device({d}).id)) {
        left[found->value] = kinds[d];
      }
    }
    return left;
  }

 private:
  const PowerTree& from_;
  const PowerTree& to_;
  const std::string& policy_;
};

template <class Job>
void drop_off(std::vector<Job>& jobs, const std::vector<std::string>& off) {
  const auto names = [&](const std::string& id) {
    return std::find(off.begin(), off.end(), id) != off.end();
  };
  std::erase_if(jobs, [&](const Job& job) { return names(job.id) || names(job.entry); });
}

}  // namespace

Scenario scenario_for(const Scenario& scenario, const PolicyPlan& policy) {
  Scenario left = scenario;
  drop_off(left.services, policy.off);
  drop_off(left.trainings, policy.off);
  if (policy.absent.empty()) {
    return left;
  }
  left.tree = tree_without(scenario.tree, absent_nodes(scenario.tree, policy.absent));
  if (left.tree.devices().empty()) {
    throw_bad_input("no device is left under policy '" + printable(policy.name) + "'", "policy",
                    "keep a node with devices");
  }
  const Renumbering renumbering{scenario.tree, left.tree, policy.name};
  for (auto& service : left.services) {
    for (auto& pool : service.gpus) {
      renumbering.renumber(pool, service.id);
    }
  }
  for (auto& training : left.trainings) {
    renumbering.renumber(training.gpus, training.id);
  }
  left.plant.kind_of_device = renumbering.kinds(scenario.plant.kind_of_device);
  std::vector<Fault> faults;
  for (auto fault : scenario.faults) {
    if (const auto node = renumbering.of(fault.node)) {
      fault.node = *node;
      faults.push_back(fault);
    }
  }
  left.faults = std::move(faults);
  std::vector<Maintenance> maintenances;
  for (auto one : scenario.maintenances) {
    if (const auto node = renumbering.of(one.node)) {
      one.node = *node;
      maintenances.push_back(one);
    }
  }
  left.maintenances = std::move(maintenances);
  return left;
}

}  // namespace perwatt::simulate
