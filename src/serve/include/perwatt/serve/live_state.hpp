// What a live page shows of a site under control: a value, made by whoever runs the site and read
// by whoever serves it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/control/mode.hpp"
#include "perwatt/simulate/scenario_run.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::serve {

struct LiveNode {
  std::string id;
  topology::NodeKind kind = topology::NodeKind::other;
  std::optional<topology::NodeIndex> parent;  // its place in the tree that people see
  std::uint32_t devices = 0;                  // below it, at any depth
};

/// What does not change during a run.
struct LiveSite {
  std::string name;
  std::string policy;
  std::string policy_kind;
  bool is_recorded = false;  // else simulated
  control::Mode mode = control::Mode::control;
  bool takes_orders = false;         // a policy of perwatt's is in control
  std::string version;               // of perwatt
  double speed_ratio = 1;            // simulated seconds per second, wanted
  Seconds duration;                  // of the run, warm-up included
  std::vector<LiveNode> nodes;       // parents before children; the root is the first
  std::vector<std::string> devices;  // ids by index, where there is advice on them
};

struct NodeFigures {
  Watts draw;                    // of the supply side, losses and hosts included
  std::optional<Watts> cap;      // sum over the devices below; nothing where caps are not known
  std::optional<Watts> at_caps;  // what `draw` were with every device on and at its cap
  std::optional<Watts> limit;    // the least, while it is lowered too
  Watts device_draw;             // sum over the devices below
  std::uint32_t devices_on = 0;
  bool is_live = true;                 // a feed is left
  bool is_maintained = false;          // the node itself, not one above it
  std::optional<Watts> advised_cap{};  // as `cap`, of what the policy would have in force
};

/// A device that would have another cap, if the policy were in control.
struct LiveAdvice {
  topology::DeviceIndex device;
  std::optional<Watts> cap;  // in force; nothing where it is not known
  Watts advised;
};

/// Means over the last kRateWindow of simulated time, or over the last step of the page if longer.
struct LiveRates {
  TokensPerSecond output;
  TokensPerSecond good;  // of requests inside their limits
  UsdPerSecond revenue;
  UsdPerSecond energy_cost;
};

inline constexpr Seconds kRateWindow = seconds(30);

struct LiveEvent {
  std::int64_t number = 0;  // from 0
  simulate::RunEvent event;
};

/// Of the root, once for each state; for a page that is opened late.
struct LiveHistory {
  std::vector<Seconds> time;
  std::vector<Watts> facility;
  std::vector<std::optional<Watts>> at_caps;
  std::vector<std::optional<Watts>> limit;
  std::vector<TokensPerSecond> good;
};

inline constexpr std::size_t kMostHistory = 600;
inline constexpr std::size_t kMostEvents = 200;

struct LiveState {
  std::int64_t number = 0;  // of the state, from 0
  Seconds time;             // simulated, since the work began
  bool is_over = false;
  bool is_released = false;        // control of the whole site is given up
  double speed_reached_ratio = 0;  // since the last state
  std::vector<NodeFigures> nodes;  // as LiveSite::nodes
  bool knows_work = true;          // else the next four say nothing: of a recording nobody knows
  LiveRates rates;
  simulate::RunTotals totals;
  Joules energy;  // of the root, since the work began
  simulate::Violations violations;
  std::vector<LiveAdvice> advice;  // of mode advise, by device
  std::vector<LiveEvent> events;   // the newest
  LiveHistory history;             // the newest
};

}  // namespace perwatt::serve
