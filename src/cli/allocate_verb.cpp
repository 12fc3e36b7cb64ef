// perwatt allocate: the best split of watts over a tree of limits.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "table.hpp"
#include "verbs.hpp"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perwatt/allocate/allocator.hpp"
#include "perwatt/allocate/problem_file.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::cli {

namespace {

using allocate::Allocation;
using allocate::Id;
using allocate::NamedProblem;
using nlohmann::ordered_json;

constexpr std::size_t kShownNodes = 20;

struct AllocateOptions {
  std::string file;
  bool json = false;
};

ordered_json json_of(const Id& id) {
  return id.is_number ? ordered_json::parse(id.text) : ordered_json(id.text);
}

template <class Index>
ordered_json names(const std::vector<Index>& parts, const std::vector<Id>& ids) {
  auto list = ordered_json::array();
  for (const auto part : parts) {
    list.push_back(json_of(ids[static_cast<std::size_t>(part)]));
  }
  return list;
}

ordered_json json_of(const std::vector<allocate::LimitUse>& uses, const std::vector<Id>& ids) {
  auto list = ordered_json::array();
  for (std::size_t i = 0; i < uses.size(); ++i) {
    const auto& use = uses[i];
    list.push_back({{"id", json_of(ids[i])},
                    {"watts", use.power.in_base()},
                    {"price_per_watt", use.price_per_watt},
                    {"loss_per_watt", use.loss_per_watt ? ordered_json(*use.loss_per_watt)
                                                        : ordered_json(nullptr)}});
  }
  return list;
}

ordered_json json_of(const NamedProblem& named, const Allocation& answer) {
  if (answer.status == allocate::Status::infeasible) {
    return {{"status", "infeasible"},
            {"overfull_nodes", names(answer.overfull, named.nodes)},
            {"overfull_cross_limits", names(answer.overfull_cross, named.cross_limits)},
            {"unmet_guarantees", names(answer.unmet, named.guarantees)},
            {"split_cap_groups", names(answer.split, named.cap_groups)}};
  }
  ordered_json json{{"status", "optimal"}, {"value", answer.value}, {"bound", answer.bound}};
  auto& devices = json["devices"] = ordered_json::array();
  for (std::size_t d = 0; d < named.devices.size(); ++d) {
    devices.push_back(
        {{"id", json_of(named.devices[d])}, {"watts", answer.device_watts[d].in_base()}});
  }
  json["nodes"] = json_of(answer.nodes, named.nodes);
  if (!named.cross_limits.empty()) {
    json["cross_limits"] = json_of(answer.cross_limits, named.cross_limits);
  }
  return json;
}

void print_infeasible(const NamedProblem& named, const Allocation& answer) {
  fmt::print("Infeasible.\n");
  const auto print = [](const char* what, const auto& parts, const std::vector<Id>& ids) {
    for (std::size_t i = 0; i < std::min(parts.size(), kShownNodes); ++i) {
      fmt::print("  {} {}\n", what, printable(ids[static_cast<std::size_t>(parts[i])].text));
    }
    if (parts.size() > kShownNodes) {
      fmt::print("  and {} more\n", parts.size() - kShownNodes);
    }
  };
  print("least watts above the limit of node", answer.overfull, named.nodes);
  print("least watts above cross limit", answer.overfull_cross, named.cross_limits);
  print("not to be had within the limits: guarantee", answer.unmet, named.guarantees);
  print("no watts suit all devices of group", answer.split, named.cap_groups);
}

std::string signed_text(double change) {
  return (change > 0 ? "+" : "") + significant(change == 0 ? 0.0 : change);
}

/// The dearest nodes first, in the file's order among equals.
void print_answer(const NamedProblem& named, const Allocation& answer) {
  fmt::print("Value {} (the curves' unit) for {} devices, {} at the root\n",
             significant(answer.value, 6), named.devices.size(),
             power_text(answer.nodes.front().power));
  if (answer.bound > answer.value) {
    fmt::print("Proven within {} of the best\n", significant(answer.bound - answer.value, 2));
  }
  std::vector<std::size_t> order(named.nodes.size());
  for (std::size_t n = 0; n < order.size(); ++n) {
    order[n] = n;
  }
  const auto last =
      order.begin() + static_cast<std::ptrdiff_t>(std::min(order.size(), kShownNodes));
  std::partial_sort(order.begin(), last, order.end(), [&](std::size_t a, std::size_t b) {
    const double x = answer.nodes[a].price_per_watt;
    const double y = answer.nodes[b].price_per_watt;
    return x > y || (x == y && a < b);
  });
  TextTable table{{"node", "limit", "given", "one more watt", "one watt less"}};
  for (auto n = order.begin(); n != last; ++n) {
    const Watts limit = named.problem.nodes()[*n].limit;
    const auto& use = answer.nodes[*n];
    table.add({printable(named.nodes[*n].text),
               std::isinf(limit.in_base()) ? "none" : power_text(limit), power_text(use.power),
               signed_text(use.price_per_watt),
               use.loss_per_watt ? signed_text(-*use.loss_per_watt) : "infeasible"});
  }
  fmt::print("\n{}", table.text());
  if (named.nodes.size() > kShownNodes) {
    fmt::print("The {} dearest of {} nodes; --json has all and the devices.\n", kShownNodes,
               named.nodes.size());
  }
}

void run(const AllocateOptions& options) {
  const NamedProblem named = allocate::read_problem(read_file(options.file), options.file);
  allocate::Allocator allocator{named.problem};
  const Allocation& answer = allocator.solve();
  if (options.json) {
    fmt::print("{}\n", json_of(named, answer).dump(2));
  } else if (answer.status == allocate::Status::infeasible) {
    print_infeasible(named, answer);
  } else {
    print_answer(named, answer);
  }
}

}  // namespace

void add_allocate_verb(CLI::App& app) {
  auto options = std::make_shared<AllocateOptions>();
  auto* verb = app.add_subcommand(
      "allocate", "Split watts over a tree of limits so that they earn the most, exactly");
  verb->footer(
      "Examples:\n"
      "  perwatt allocate examples/allocate-rack.json\n"
      "  perwatt allocate examples/allocate-rack.json --json");
  verb->add_option("problem", options->file, "the problem, docs/reference/allocate.md")->required();
  verb->add_flag("--json", options->json, "print JSON");
  verb->callback([options] { run(*options); });
}

}  // namespace perwatt::cli
