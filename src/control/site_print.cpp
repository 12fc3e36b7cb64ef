#include "site_print.hpp"

#include <algorithm>

#include "curve_bytes.hpp"

#include "perwatt/base/bytes.hpp"
#include "perwatt/base/hash.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::control {

namespace {

std::string node_print(const topology::Node& node) {
  ByteWriter to;
  for (const auto& supply : node.supplies) {
    to.put(supply.parent.value);
    to.put(supply.share_ratio);
  }
  for (const auto& limit : node.limits) {
    to.put(limit.power);
    to.put(static_cast<std::int32_t>(limit.phase ? static_cast<int>(*limit.phase) : -1));
  }
  to.put(node.factor);
  to.put(node.fixed);
  to.put(static_cast<std::int32_t>(node.phase ? static_cast<int>(*node.phase) : -1));
  return std::to_string(fnv1a(to.bytes()));
}

std::string device_print(const topology::Device& place, const ControlledDevice& device) {
  ByteWriter to;
  to.put(place.parent.value);
  to.put(device.terms.fail_safe);
  to.put(device.terms.overshoot_ratio);
  to.put(device.terms.beside);
  to.put(device.least);
  to.put(device.most);
  put_curve(to, device.curve);
  return std::to_string(fnv1a(to.bytes()));
}

}  // namespace

std::vector<SitePart> site_parts(const topology::PowerTree& tree,
                                 std::span<const ControlledDevice> devices,
                                 const ControlRules& rules) {
  const std::pair<const char*, double> values[] = {
      {"lease_seconds", in_seconds(rules.lease)},
      {"wearing_in_seconds", in_seconds(rules.wearing_in)},
      {"renew_before_seconds", in_seconds(rules.renew_before)},
      {"dead_band_watts", in_watts(rules.dead_band)},
      {"guard_ratio", rules.guard_ratio},
      {"demand held_ratio", rules.demand.held_ratio},
      {"demand probe_ratio", rules.demand.probe_ratio},
      {"demand margin_ratio", rules.demand.margin_ratio},
      {"demand memory_seconds", in_seconds(rules.demand.memory)},
      {"demand habit_seconds", in_seconds(rules.demand.habit)},
      {"writes slew_watts_per_second", rules.writes.slew.value_or(WattsPerSecond{}).in_base()},
      {"writes spread_seconds", in_seconds(rules.writes.spread)},
      {"writes changes_per_hour", rules.writes.changes_per_hour.value_or(0)},
      {"writes seed", static_cast<double>(rules.writes.seed)},
  };
  std::vector<SitePart> parts;
  for (const auto& [name, value] : values) {
    parts.push_back({"rule", name, shortest(value)});
  }
  for (const auto& node : tree.nodes()) {
    parts.push_back({"node", node.id, node_print(node)});
  }
  // Where there are not as many of each, Controller says so.
  for (std::size_t d = 0; d < std::min(devices.size(), tree.devices().size()); ++d) {
    const auto& place = tree.devices()[d];
    parts.push_back({"device", place.id, device_print(place, devices[d])});
  }
  return parts;
}

void check_same_site(std::span<const SitePart> journal, std::span<const SitePart> site,
                     const ControlRules& rules, const std::string& file) {
  const auto [was, is] = std::mismatch(journal.begin(), journal.end(), site.begin(), site.end());
  if (was == journal.end() && is == site.end()) {
    return;
  }
  const auto named = [](const SitePart& part) {
    return part.kind + " '" + printable(part.name) + "'";
  };
  std::string what = "it is of another site: ";
  if (was == journal.end()) {
    what += named(*is) + " is not in it";
  } else if (is == site.end()) {
    what += "its " + named(*was) + " is not there now";
  } else if (was->kind != is->kind || was->name != is->name) {
    what += "its " + named(*was) + " is now " + named(*is);
  } else if (was->kind == "rule") {
    what += named(*was) + " was " + printable(was->value) + " and is " + is->value;
  } else {
    what += named(*was) + " differs";
  }
  throw_bad_input(what, file,
                  "give another file, once the leases of this one have run out: " +
                      shortest(in_seconds(rules.lease + rules.wearing_in)) +
                      " s after its controller stopped");
}

}  // namespace perwatt::control
