#include "spec_check.hpp"

#include <cmath>
#include <string>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::topology {

namespace {

/// Nothing on Earth draws so much; sums over the largest tree stay finite.
constexpr double kMostWatts = 1e15;
constexpr double kShareRounding = 1e-6;

/// One node or device under check.
struct Checked {
  const std::string& id;
  const std::string& place;

  [[noreturn]] void fail(const std::string& what, const std::string& remedy) const {
    throw_bad_input("'" + printable(id) + "' " + what, place, remedy);
  }

  void watts(const char* name, Watts value) const {
    const double number = in_watts(value);
    if (!(number >= 0) || number > kMostWatts) {
      fail("has a " + std::string{name} + " of " + shortest(number) + " W",
           "write watts from 0 to 1e15");
    }
  }
};

void check_id(const std::string& id, const std::string& place) {
  if (id.empty()) {
    throw_bad_input("a node or device has an empty id", place, "give it a name");
  }
}

void check_curve(const Checked& checked, const TripCurve& curve) {
  const TripPoint* before = nullptr;
  for (const auto& point : curve.points) {
    if (!(point.ratio > 1) || !std::isfinite(point.ratio) || !(in_seconds(point.time) > 0) ||
        !std::isfinite(in_seconds(point.time))) {
      checked.fail("has a trip point at " + shortest(point.ratio) + " times the limit after " +
                       shortest(in_seconds(point.time)) + " s",
                   "write a ratio above 1 and a time above 0");
    }
    if (before != nullptr && (point.ratio <= before->ratio || point.time > before->time)) {
      checked.fail("has trip points out of order at " + shortest(point.ratio) + " times the limit",
                   "sort them by ratio; more current must not take longer");
    }
    before = &point;
  }
}

void check_limit(const Checked& checked, const Limit& limit) {
  checked.watts("limit", limit.power);
  if (limit.power == Watts{}) {
    checked.fail("has a limit of 0 W", "write what it may carry, or remove the node");
  }
  const double window = in_seconds(limit.window);
  if (!(window >= 0) || !std::isfinite(window)) {
    checked.fail("has a limit with a window of " + shortest(window) + " s",
                 "write a time from 0 on");
  }
  if (limit.curve) {
    check_curve(checked, *limit.curve);
  }
}

void check_shares(const Checked& checked, std::span<const SupplySpec> supplies) {
  if (supplies.size() > kMostFeeds) {
    checked.fail("has " + std::to_string(supplies.size()) + " feeds",
                 "name at most " + std::to_string(kMostFeeds));
  }
  double sum = 0;
  for (const auto& supply : supplies) {
    if (!(supply.share_ratio > 0) || supply.share_ratio > 1) {
      checked.fail("takes a share of " + shortest(supply.share_ratio) + " from '" +
                       printable(supply.parent) + "'",
                   "write a share above 0, at most 1");
    }
    sum += supply.share_ratio;
  }
  if (!supplies.empty() && std::abs(sum - 1) > kShareRounding) {
    checked.fail("takes shares that sum to " + shortest(sum), "let the shares sum to 1");
  }
}

void check_node(const NodeSpec& node) {
  check_id(node.id, node.place);
  const Checked checked{node.id, node.place};
  if (!(node.factor >= 1) || node.factor > kMostPathFactor) {
    checked.fail("has a loss factor of " + shortest(node.factor),
                 "write a factor from 1 to 1000: supply over load");
  }
  checked.watts("fixed draw", node.fixed);
  for (const auto& limit : node.limits) {
    check_limit(checked, limit);
  }
  check_shares(checked, node.supplies);
}

void check_device(const DeviceSpec& device) {
  check_id(device.id, device.place);
  const Checked checked{device.id, device.place};
  checked.watts("minimum", device.min);
  checked.watts("maximum", device.max);
  if (device.min > device.max) {
    checked.fail("has a minimum of " + shortest(in_watts(device.min)) + " W above its maximum of " +
                     shortest(in_watts(device.max)) + " W",
                 "lower the minimum or raise the maximum");
  }
  const auto within = [&](const char* name, Watts value) {
    checked.watts(name, value);
    if (value < device.min || value > device.max) {
      checked.fail("has a " + std::string{name} + " of " + shortest(in_watts(value)) +
                       " W outside its range of " + shortest(in_watts(device.min)) + " to " +
                       shortest(in_watts(device.max)) + " W",
                   "write watts it can be capped to");
    }
  };
  if (device.guaranteed) {
    within("guaranteed draw", *device.guaranteed);
  }
  if (device.fail_safe) {
    within("fail-safe cap", *device.fail_safe);
  }
}

}  // namespace

void check_specs(std::span<const NodeSpec> nodes, std::span<const DeviceSpec> devices) {
  if (nodes.empty()) {
    throw_bad_input("there is no node", "",
                    "describe the tree as docs/reference/topology.md has it");
  }
  if (nodes.size() > kMostNodes || devices.size() > kMostDevices) {
    throw_bad_input(std::to_string(nodes.size()) + " nodes and " + std::to_string(devices.size()) +
                        " devices are too many",
                    nodes.back().place, "at most 4 million nodes and 8 million devices");
  }
  for (const auto& node : nodes) {
    check_node(node);
  }
  for (const auto& device : devices) {
    check_device(device);
  }
}

}  // namespace perwatt::topology
