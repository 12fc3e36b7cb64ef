// Speed of the simulated plant on one core: device-steps per second with a tenth of all demands new
// in each step. Beside it, in the same run: OpenG2G's rate as measured by us (numpy, one core, no
// caps, no tree: 4.1e6 GPU-steps/s), and the time to stream the bytes that the lags must touch.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "perwatt/simulate/plant.hpp"

namespace {

using perwatt::seconds;
using perwatt::Seconds;
using perwatt::watts;
using namespace perwatt::simulate;
namespace topology = perwatt::topology;

constexpr int kRounds = 5;
constexpr int kDevicesOfNode = 8;
constexpr int kNodesOfRack = 4;
constexpr int kRacksOfRow = 16;
constexpr double kOpenG2gDeviceSteps = 4.1e6;  // per second
constexpr double kStepsOfRound = 4e7;          // device-steps
/// A step of the lags reads want, cap, ceiling and draw and writes ceiling and draw; the sums read
/// draw again.
constexpr std::size_t kFloatsOfStep = 7;

/// A node of the tree, with a limit.
topology::NodeSpec node(const std::string& id, const std::string& parent, double limit_watts,
                        Seconds window, bool has_curve) {
  topology::NodeSpec spec;
  spec.id = id;
  if (!parent.empty()) {
    spec.supplies = {{parent, 1}};
  }
  spec.factor = 1.02;
  topology::Limit limit;
  limit.power = watts(limit_watts);
  limit.window = window;
  if (has_curve) {
    limit.curve = topology::TripCurve{};
  }
  spec.limits = {limit};
  spec.meter = topology::MeterSide::supply;
  return spec;
}

struct Case {
  const char* name;
  int meter_steps = 1;
  bool with_hosts = false;
  bool with_sensors = false;
  double rack_headroom = 1.2;  // limits over mean draws; at 1.05 every other rack is over its limit
};

/// Nodes of eight devices, with a host device beside them if asked; racks with breakers, rows and a
/// site with windows.
struct Site {
  std::vector<topology::NodeSpec> nodes;
  std::vector<topology::DeviceSpec> devices;
  std::vector<std::uint16_t> kinds;
};

Site make_site(int devices, const Case& asked) {
  Site site;
  const bool with_hosts = asked.with_hosts;
  const double draw_watts = with_hosts ? 620 : 560;  // of a device and its part of the host
  site.nodes.push_back(
      node("site", "", devices * draw_watts * asked.rack_headroom, seconds(60), false));
  for (int d = 0; d < devices; d += kDevicesOfNode) {
    const int server = d / kDevicesOfNode;
    const int rack = server / kNodesOfRack;
    const int row = rack / kRacksOfRow;
    const auto row_id = "row-" + std::to_string(row);
    const auto rack_id = "rack-" + std::to_string(rack);
    const double rack_watts = kDevicesOfNode * kNodesOfRack * draw_watts * asked.rack_headroom;
    if (server % (kNodesOfRack * kRacksOfRow) == 0) {
      site.nodes.push_back(node(row_id, "site", rack_watts * kRacksOfRow, seconds(3), false));
    }
    if (server % kNodesOfRack == 0) {
      site.nodes.push_back(node(rack_id, row_id, rack_watts, {}, true));
    }
    const auto id = "node-" + std::to_string(server);
    site.nodes.push_back(node(id, rack_id, 10200, {}, false));
    for (int g = 0; g < kDevicesOfNode + (with_hosts ? 1 : 0); ++g) {
      topology::DeviceSpec device;
      device.id = id + "-" + std::to_string(g);
      device.parent = id;
      device.max = watts(700);
      site.kinds.push_back(g == kDevicesOfNode ? 1 : 0);
      site.devices.push_back(device);
    }
  }
  return site;
}

PlantSpec make_spec(const Site& site, bool with_sensors) {
  PlantSpec spec;
  spec.step_ns = 100'000'000;
  spec.seed = 7;
  spec.kind_of_device = site.kinds;
  DeviceKind gpu;
  gpu.name = "gpu";
  gpu.idle = watts(0);
  gpu.highest_cap = watts(700);
  gpu.cap_resolution = watts(1);
  gpu.response = seconds(0.15);
  gpu.regulation = seconds(0.4);
  gpu.overshoot_ratio = 1.05;
  gpu.most_latency_ns = 300'000'000;
  spec.kinds = {gpu, gpu};
  spec.kinds[1].response = seconds(2);
  if (with_sensors) {
    spec.device_sensors = SensorSpec{1, 3, watts(1), watts(2), 0.01};
    spec.node_sensors = SensorSpec{10, 10, watts(10), watts(20), 0.01};
  }
  return spec;
}

/// Least seconds of some rounds.
double best_seconds(const std::function<void()>& round) {
  double best = 1e30;
  for (int i = 0; i < kRounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    round();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count());
  }
  return best;
}

/// Device-steps per second; a tenth of the demands is set anew before each step.
double plant_rate(Plant& plant, int steps) {
  const std::size_t devices = plant.draw_watts().size();
  const std::size_t part = std::max<std::size_t>(1, devices / 10);
  std::vector<float> demands(2 * part);
  for (std::size_t i = 0; i < demands.size(); ++i) {
    demands[i] = 300.0F + static_cast<float>(i * 7919 % 600);
  }
  std::size_t turn = 0;
  const double best = best_seconds([&] {
    for (int s = 0; s < steps; ++s, ++turn) {
      const std::size_t first = turn % 10 * part;
      plant.set_demands({static_cast<std::uint32_t>(first)},
                        {demands.data() + turn * 13 % part, std::min(part, devices - first)});
      plant.step();
    }
  });
  return static_cast<double>(devices) * steps / best;
}

/// Device-steps per second if only the bytes moved, by memcpy: half of them read, half written.
double copy_rate(std::size_t devices, int steps) {
  std::vector<float> from(devices * kFloatsOfStep / 2, 1.0F);
  std::vector<float> to(from.size());
  const double best = best_seconds([&] {
    for (int s = 0; s < steps; ++s) {
      from[static_cast<std::size_t>(s) % from.size()] += 1;
      std::memcpy(to.data(), from.data(), from.size() * sizeof(float));
    }
  });
  return static_cast<double>(devices) * steps / best;
}

/// The same by std::transform over two inputs and an output, twice: 4 floats read, 2 written.
double transform_rate(std::size_t devices, int steps) {
  std::vector<float> want(devices, 1.0F);
  std::vector<float> cap(devices, 2.0F);
  std::vector<float> ceiling(devices, 3.0F);
  std::vector<float> draw(devices, 4.0F);
  const auto nearer = [](float a, float b) { return a + 0.5F * (b - a); };
  const double best = best_seconds([&] {
    for (int s = 0; s < steps; ++s) {
      std::transform(cap.begin(), cap.end(), ceiling.begin(), ceiling.begin(), nearer);
      std::transform(want.begin(), want.end(), draw.begin(), draw.begin(), nearer);
    }
  });
  return static_cast<double>(devices) * steps / best;
}

void report(int devices, const Case& asked) {
  auto site = make_site(devices, asked);
  auto spec = make_spec(site, asked.with_sensors);
  spec.meter_steps = asked.meter_steps;
  Plant plant{topology::PowerTree::build(std::move(site.nodes), std::move(site.devices)), spec};
  const std::size_t count = plant.draw_watts().size();
  const int steps = std::max(20, static_cast<int>(kStepsOfRound / static_cast<double>(count)));
  const double rate = plant_rate(plant, steps);
  const double copied = copy_rate(count, steps);
  const double transformed = transform_rate(count, steps);
  std::printf("%8zu  %-28s %9.3g %11.0f %9.2f %12.2f %12lld\n", count, asked.name, rate,
              rate / kOpenG2gDeviceSteps, rate / copied, rate / transformed,
              static_cast<long long>(plant.violations().count));
}

}  // namespace

int main() {
  const std::vector<Case> cases{{"metered each step"},
                                {"metered each 10th step", 10},
                                {"hosts beside, two kinds", 1, true},
                                {"with sensors", 1, false, true},
                                {"half the racks overloaded", 1, false, false, 1.05}};
  std::printf("Plant, one core, best of %d: device-steps/s and their ratios\n", kRounds);
  std::printf("%8s  %-28s %9s %11s %9s %12s %12s\n", "devices", "", "per s", "/ OpenG2G",
              "/ memcpy", "/ transform", "excursions");
  for (const int devices : {1'000, 10'000, 100'000, 400'000}) {
    for (const auto& asked : cases) {
      report(devices, asked);
    }
  }
  return 0;
}
