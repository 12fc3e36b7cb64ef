// What check and show of perwatt topology read: a tree and its readings.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "perwatt/topology/outline.hpp"
#include "perwatt/topology/power_tree.hpp"
#include "perwatt/topology/readings.hpp"

namespace perwatt::cli {

struct TopologyFiles {
  std::string site;
  std::string bms;
  std::string readings;
};

void add_topology_files(CLI::App& verb, TopologyFiles& files);

struct TopologyInput {
  topology::PowerTree tree;
  std::optional<topology::Readings> readings;
  std::vector<std::string> untrusted;  // of BMS messages
};

/// Throws Error(usage) when not exactly one of SITE and --bms is given.
[[nodiscard]] TopologyInput read_topology_input(const TopologyFiles& files);

/// Mean supplies and draws, unknown without readings.
[[nodiscard]] topology::KnownDraws known_draws(const TopologyInput& input);

/// "60 s", "17 min", "3 h": of a window or a trip time.
[[nodiscard]] std::string duration_text(Seconds time);

}  // namespace perwatt::cli
