#include "perwatt/topology/readings.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::topology {

namespace {

constexpr double kMostReadingWatts = 1e15;

double number_in(const CsvTable& table, const CsvRow& row, std::size_t column, double most) {
  const auto value = parse_number(row.fields[column]);
  if (!value || std::abs(*value) > most) {
    throw_bad_input("'" + printable(row.fields[column]) + "' is no " + table.columns()[column],
                    table.where(row, column), "write a plain number");
  }
  return *value;
}

void sort_by_time(ReadingSeries& series) {
  if (std::is_sorted(series.times.begin(), series.times.end())) {
    return;
  }
  std::vector<std::size_t> order(series.times.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return series.times[a] < series.times[b]; });
  ReadingSeries sorted;
  for (const auto i : order) {
    sorted.times.push_back(series.times[i]);
    sorted.powers.push_back(series.powers[i]);
  }
  series = std::move(sorted);
}

Readings empty_readings(const PowerTree& tree) {
  return {std::vector<ReadingSeries>(tree.nodes().size()),
          std::vector<ReadingSeries>(tree.devices().size())};
}

ReadingSeries* series_of(const PowerTree& tree, Readings& readings, std::string_view id) {
  if (const auto node = tree.find_node(id)) {
    return &readings.nodes[node->value];
  }
  const auto device = tree.find_device(id);
  return device ? &readings.devices[device->value] : nullptr;
}

void sort_all(Readings& readings) {
  for (auto* list : {&readings.nodes, &readings.devices}) {
    for (auto& series : *list) {
      sort_by_time(series);
    }
  }
}

bool is_leaf(const PowerTree& tree, NodeIndex n) {
  const auto devices = tree.devices_of(n);
  return tree.fed_by(n).empty() && devices.first == devices.end;
}

/// The reading of a node's meter as its supply.
std::optional<Watts> supply_read(const Node& node, const ReadingSeries& series) {
  const auto mean = series.mean();
  if (!mean || node.meter.value_or(MeterSide::supply) == MeterSide::supply) {
    return mean;
  }
  return node.fixed + *mean * node.factor;
}

}  // namespace

std::optional<Watts> ReadingSeries::mean() const {
  if (powers.empty()) {
    return std::nullopt;
  }
  return std::accumulate(powers.begin(), powers.end(), Watts{}) /
         static_cast<double>(powers.size());
}

Readings read_readings(std::string_view text, const std::string& name, const PowerTree& tree) {
  const auto table = CsvTable::parse(text, name);
  const auto time = table.require("time");
  const auto id = table.require("id");
  const auto power = table.require("watts");
  if (table.rows().empty()) {
    throw_bad_input("there is no reading", name, "add rows of time, id and watts");
  }
  auto readings = empty_readings(tree);
  for (const auto& row : table.rows()) {
    auto* series = series_of(tree, readings, row.fields[id]);
    if (series == nullptr) {
      throw_bad_input("'" + printable(row.fields[id]) + "' is no node or device of the tree",
                      table.where(row, id), "perwatt topology show --all lists the ids");
    }
    series->times.push_back(seconds(number_in(table, row, time, 1e15)));
    series->powers.push_back(watts(number_in(table, row, power, kMostReadingWatts)));
  }
  sort_all(readings);
  return readings;
}

Readings readings_of(const BmsSite& site) {
  auto readings = empty_readings(site.tree);
  for (const auto& reading : site.readings) {
    auto& series = *series_of(site.tree, readings, reading.id);
    series.times.push_back(reading.time);
    series.powers.push_back(reading.power);
  }
  sort_all(readings);
  return readings;
}

MeteredSupply metered_supply(const PowerTree& tree, const Readings& readings) {
  const auto nodes = tree.nodes();
  MeteredSupply metered;
  metered.supply.resize(nodes.size());
  metered.from_below.resize(nodes.size());
  for (std::size_t n = nodes.size(); n-- > 0;) {
    std::optional<Watts> load = Watts{};
    const auto add = [&](const std::optional<Watts>& part) {
      load = load && part ? std::optional{*load + *part} : std::nullopt;
    };
    const NodeIndex at{static_cast<std::uint32_t>(n)};
    const auto devices = tree.devices_of(at);
    for (auto d = devices.first.value; d < devices.end.value; ++d) {
      add(readings.devices[d].mean());
    }
    for (const auto child : tree.fed_by(at)) {
      for (const auto& supply : nodes[child.value].supplies) {
        if (supply.parent == at) {
          const auto& below = metered.supply[child.value];
          add(below ? std::optional{*below * supply.share_ratio} : std::nullopt);
        }
      }
    }
    if (load && !is_leaf(tree, at)) {
      metered.from_below[n] = nodes[n].fixed + *load * nodes[n].factor;
    }
    const auto read = supply_read(nodes[n], readings.nodes[n]);
    metered.supply[n] = read ? read : metered.from_below[n];
  }
  return metered;
}

std::vector<MeterFinding> check_meters(const PowerTree& tree, const Readings& readings,
                                       double tolerance_ratio) {
  const auto metered = metered_supply(tree, readings);
  std::vector<MeterFinding> findings;
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    const auto read = supply_read(tree.node({n}), readings.nodes[n]);
    const auto& below = metered.from_below[n];
    if (!read || !below) {
      continue;
    }
    MeterFinding finding{{n}, *read, *below, false, false};
    const double scale = std::max(std::abs(in_watts(*read)), std::abs(in_watts(*below)));
    finding.agrees = std::abs(in_watts(finding.residual())) <= tolerance_ratio * scale;
    for (const auto child : tree.fed_by({n})) {
      finding.assumes_shares = finding.assumes_shares || tree.node(child).supplies.size() > 1;
    }
    findings.push_back(finding);
  }
  return findings;
}

MeteredLoads metered_loads(const PowerTree& tree, const Readings& readings) {
  const auto metered = metered_supply(tree, readings);
  MeteredLoads loads;
  loads.own_loads.resize(tree.nodes().size());
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    const auto& node = tree.node({n});
    const bool ends_here = tree.fed_by({n}).empty();
    if (ends_here && !metered.supply[n]) {
      loads.unknown = NodeIndex{n};
      return loads;
    }
    if (ends_here) {
      loads.own_loads[n] = std::max(Watts{}, (*metered.supply[n] - node.fixed) / node.factor);
      continue;
    }
    const auto devices = tree.devices_of({n});
    for (auto d = devices.first.value; d < devices.end.value; ++d) {
      const auto mean = readings.devices[d].mean();
      if (!mean) {
        loads.unknown = NodeIndex{n};
        return loads;
      }
      loads.own_loads[n] += *mean;
    }
  }
  return loads;
}

}  // namespace perwatt::topology
