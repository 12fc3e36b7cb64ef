#include "perwatt/allocate/problem_file.hpp"

#include <limits>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "perwatt/base/error.hpp"
#include "perwatt/base/json_node.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::allocate {

namespace {

constexpr std::size_t kMostPriorities = 32;  // beside groups: a linear program for each
constexpr double kMostLimit = 1e15;
constexpr double kLeastRatio = 1e-9;
constexpr double kMostRatio = 1e9;
constexpr const char* kRemedy = "write the problem as docs/reference/allocate.md has it";

using Numbers = std::unordered_map<std::string, std::uint32_t>;

std::string called(const std::string& id) {
  return "'" + printable(id) + "'";
}

/// A name: text, or a whole number as it is written.
std::optional<Id> optional_id(const JsonNode& node, const char* key) {
  const Json* value = node.find(key);
  if (value == nullptr) {
    return std::nullopt;
  }
  if (value->is_string()) {
    return Id{value->get<std::string>(), false};
  }
  if (!value->is_number_integer()) {
    node.fail(key, "a name: text or a whole number");
  }
  return Id{value->dump(), true};
}

Id id_of(const JsonNode& node, const char* key) {
  const auto id = optional_id(node, key);
  if (!id || id->text.empty()) {
    node.fail(key, "a name: text or a whole number");
  }
  return *id;
}

void add_number(Numbers& numbers, const Id& id, const JsonNode& node, const char* what) {
  if (!numbers.emplace(id.text, static_cast<std::uint32_t>(numbers.size())).second) {
    throw_bad_input(std::string{"two "} + what + " are called " + called(id.text), node.where(),
                    "give each its own name");
  }
}

class ProblemReader {
 public:
  ProblemReader(const Json& json, const std::string& name) : root_{json, name, kRemedy} {}

  NamedProblem read() {
    NamedProblem named{Problem{policy()}, {}, {}, {}, {}, {}};
    read_nodes(named);
    read_guarantees(named);
    if (root_.has("devices")) {
      for (const auto& node : root_.nodes("devices")) {
        read_device(node, named);
      }
    }
    if (root_.has("cross_limits")) {
      for (const auto& node : root_.nodes("cross_limits")) {
        read_cross_limit(node, named);
      }
    }
    if (named.problem.policy() == Policy::priority && priorities_.size() > kMostPriorities &&
        (!named.guarantees.empty() || !named.cap_groups.empty() || !named.cross_limits.empty())) {
      throw_bad_input(
          "there are " + std::to_string(priorities_.size()) +
              " priorities, and groups or limits that cross branches",
          root_.place("devices"),
          "use " + std::to_string(kMostPriorities) + " priorities at most beside groups");
    }
    return named;
  }

 private:
  [[nodiscard]] Policy policy() const {
    const auto name = root_.text("policy");
    if (name != "value" && name != "priority") {
      root_.fail("policy", "\"value\" or \"priority\"");
    }
    return name == "value" ? Policy::value : Policy::priority;
  }

  /// Nodes may stand in any order; they are added parents first, level by level.
  void read_nodes(NamedProblem& named) {
    const auto nodes = root_.nodes("nodes");
    std::vector<Id> ids;
    Numbers at;  // in the file
    for (const auto& node : nodes) {
      ids.push_back(id_of(node, "id"));
      add_number(at, ids.back(), node, "nodes");
    }
    std::vector<std::vector<std::uint32_t>> children(nodes.size());
    std::optional<std::uint32_t> root;
    for (std::uint32_t n = 0; n < nodes.size(); ++n) {
      const auto parent = optional_id(nodes[n], "parent");
      if (!parent) {
        if (root) {
          throw_bad_input("nodes " + called(ids[*root].text) + " and " + called(ids[n].text) +
                              " both have no parent",
                          nodes[n].where(), "a tree has one root: put both under one node");
        }
        root = n;
        continue;
      }
      const auto found = at.find(parent->text);
      if (found == at.end()) {
        throw_bad_input("node " + called(ids[n].text) + " hangs on " + called(parent->text) +
                            ", which is no node",
                        nodes[n].where(), "name a node of the list, or null for the root");
      }
      children[found->second].push_back(n);
    }
    if (!root) {
      throw_bad_input("no node is the root", root_.place("nodes"), "give one node the parent null");
    }
    std::vector<std::uint32_t> order{*root};
    for (std::size_t i = 0; i < order.size(); ++i) {
      const auto n = order[i];
      std::optional<NodeIndex> parent;
      if (i > 0) {
        parent = node_at_.at(optional_id(nodes[n], "parent")->text);
      }
      node_at_.emplace(ids[n].text, named.problem.add_node(parent, limit_of(nodes[n])));
      named.nodes.push_back(ids[n]);
      order.insert(order.end(), children[n].begin(), children[n].end());
    }
    if (order.size() < nodes.size()) {
      refuse_cycle(nodes, ids);
    }
  }

  [[noreturn]] void refuse_cycle(const std::vector<JsonNode>& nodes,
                                 const std::vector<Id>& ids) const {
    std::size_t n = 0;
    while (node_at_.count(ids[n].text) > 0) {
      ++n;
    }
    throw_bad_input("node " + called(ids[n].text) +
                        " does not hang on the root: its parents go "
                        "round in a circle",
                    nodes[n].where(), "let one of them hang on a node under the root");
  }

  static Watts limit_of(const JsonNode& node) {
    const auto limit = node.optional_not_negative("limit_watts");
    if (limit && *limit > kMostLimit) {
      node.fail("limit_watts", "1e15 at most, or null for no limit");
    }
    return Watts::from_base(limit.value_or(std::numeric_limits<double>::infinity()));
  }

  void read_guarantees(NamedProblem& named) {
    if (!root_.has("guarantees")) {
      return;
    }
    for (const auto& node : root_.nodes("guarantees")) {
      named.guarantees.push_back(id_of(node, "id"));
      add_number(guarantee_at_, named.guarantees.back(), node, "guarantees");
      named.problem.add_guarantee(Watts::from_base(node.not_negative("watts")));
    }
  }

  void read_cross_limit(const JsonNode& node, NamedProblem& named) {
    named.cross_limits.push_back(id_of(node, "id"));
    const auto& id = named.cross_limits.back();
    add_number(cross_at_, id, node, "cross limits");
    std::vector<WattShare> shares;
    std::unordered_set<std::uint32_t> devices;
    for (const auto& share : node.nodes("shares")) {
      const auto device = id_of(share, "device");
      const auto found = device_at_.find(device.text);
      if (found == device_at_.end()) {
        throw_bad_input("cross limit " + called(id.text) + " counts " + called(device.text) +
                            ", which is no device",
                        share.where(), "name a device of the list");
      }
      if (!devices.insert(found->second).second) {
        throw_bad_input(
            "cross limit " + called(id.text) + " counts " + called(device.text) + " twice",
            share.where(), "add the two ratios up");
      }
      const double ratio = share.has("ratio") ? share.not_negative("ratio") : 1.0;
      if (ratio < kLeastRatio || ratio > kMostRatio) {
        share.fail("ratio", "from 1e-9 to 1e9");
      }
      shares.push_back({DeviceIndex{found->second}, ratio});
    }
    named.problem.add_cross_limit(limit_of(node), std::move(shares));
  }

  void read_device(const JsonNode& node, NamedProblem& named) {
    named.devices.push_back(id_of(node, "id"));
    const auto& id = named.devices.back();
    add_number(device_at_, id, node, "devices");
    const auto parent = id_of(node, "parent");
    const auto at = node_at_.find(parent.text);
    if (at == node_at_.end()) {
      throw_bad_input(
          "device " + called(id.text) + " hangs on " + called(parent.text) + ", which is no node",
          node.where(), "name a node of the list");
    }
    DeviceTerms terms;
    if (const auto priority = node.optional_int("priority")) {
      terms.priority = *priority;
    }
    priorities_.insert(terms.priority);
    if (const auto guarantee = optional_id(node, "guarantee_group")) {
      const auto found = guarantee_at_.find(guarantee->text);
      if (found == guarantee_at_.end()) {
        throw_bad_input("guarantee " + called(guarantee->text) + " of device " + called(id.text) +
                            " is not there",
                        node.place("guarantee_group"), "add it to \"guarantees\"");
      }
      terms.guarantee = GuaranteeIndex{found->second};
    }
    if (const auto group = optional_id(node, "same_cap_group")) {
      const auto next = static_cast<std::uint32_t>(cap_group_at_.size());
      const auto [found, is_new] = cap_group_at_.emplace(group->text, next);
      if (is_new) {
        named.problem.add_cap_group();
        named.cap_groups.push_back(*group);
      }
      terms.same_cap = CapGroupIndex{found->second};
    }
    read_curve(node, id);
    named.problem.add_device(at->second, curve_, terms);
  }

  void read_curve(const JsonNode& node, const Id& id) {
    curve_.clear();
    const Json& json = node.at("curve");
    for (const auto& point : json.is_array() ? json : Json::array()) {
      if (!point.is_array() || point.size() != 2 || !point[0].is_number() ||
          !point[1].is_number()) {
        node.fail("curve", "a list of [watts, value]");
      }
      curve_.push_back({Watts::from_base(point[0].get<double>()), point[1].get<double>()});
    }
    if (const auto fault = curve_fault(curve_)) {
      throw_bad_input("the curve of device " + called(id.text) + ": " + *fault, node.place("curve"),
                      "give the upper hull of its points, least watts first");
    }
  }

  JsonNode root_;
  std::unordered_map<std::string, NodeIndex> node_at_;
  std::set<Priority> priorities_;
  Numbers guarantee_at_;
  Numbers device_at_;
  Numbers cap_group_at_;
  Numbers cross_at_;
  std::vector<CurvePoint> curve_;
};

}  // namespace

NamedProblem read_problem(std::string_view json, const std::string& name) {
  const Json parsed = parse_json(json, name, kRemedy);
  return ProblemReader{parsed, name}.read();
}

}  // namespace perwatt::allocate
