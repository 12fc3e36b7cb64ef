#include "topology_input.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/topology/read_bms.hpp"
#include "perwatt/topology/read_topology.hpp"

namespace perwatt::cli {

void add_topology_files(CLI::App& verb, TopologyFiles& files) {
  verb.add_option("SITE", files.site, "A file with [[topology.node]], a site file too")
      ->type_name("SITE.toml");
  verb.add_option("--bms", files.bms,
                  "Take tree and readings from DSX BMS messages, one {topic, payload} a line")
      ->type_name("FILE.jsonl");
  verb.add_option("--readings", files.readings, "Readings of meters and devices: time,id,watts")
      ->type_name("FILE.csv");
}

TopologyInput read_topology_input(const TopologyFiles& files) {
  if (files.site.empty() == files.bms.empty()) {
    throw Error{ErrorCode::usage, files.site.empty() ? "no tree" : "two trees", "topology",
                "give either SITE.toml or --bms FILE.jsonl"};
  }
  std::optional<TopologyInput> input;
  if (files.bms.empty()) {
    input =
        TopologyInput{topology::read_topology(read_file(files.site), files.site), std::nullopt, {}};
  } else {
    auto site = topology::read_bms(read_file(files.bms), files.bms);
    auto readings = topology::readings_of(site);
    input = TopologyInput{std::move(site.tree), std::nullopt, std::move(site.untrusted)};
    if (!site.readings.empty()) {
      input->readings = std::move(readings);
    }
  }
  if (!files.readings.empty()) {
    input->readings =
        topology::read_readings(read_file(files.readings), files.readings, input->tree);
  }
  return std::move(*input);
}

topology::KnownDraws known_draws(const TopologyInput& input) {
  topology::KnownDraws draws;
  if (!input.readings) {
    draws.nodes.resize(input.tree.nodes().size());
    draws.devices.resize(input.tree.devices().size());
    return draws;
  }
  draws.nodes = topology::metered_supply(input.tree, *input.readings).supply;
  for (const auto& series : input.readings->devices) {
    draws.devices.push_back(series.mean());
  }
  return draws;
}

std::string duration_text(Seconds time) {
  const double value = in_seconds(time);
  if (value >= 2 * kSecondsPerHour) {
    return significant(value / kSecondsPerHour, 3) + " h";
  }
  return value >= 120 ? significant(value / 60, 3) + " min" : significant(value, 3) + " s";
}

}  // namespace perwatt::cli
