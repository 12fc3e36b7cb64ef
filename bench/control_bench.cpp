// A tick of the controller beside the allocation solve it contains: CPU of both, one core, one run.
//
//   control_bench             100,000 and 400,000 devices
//   control_bench DEVICES     that many
//
// A tick here is all of it: an ask, a report and a reading of every device, the estimate of what it
// wants, the split, the order of the grants and the ledger's check of each. One device in ten
// changes what it draws in each tick. The solve is that of what the last tick split, from nothing,
// the best of five; about two nodes in three of each level have a limit below what those below them
// let through. Goal: 5 times the solve at most.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "perwatt/allocate/allocator.hpp"
#include "perwatt/control/controller.hpp"

namespace {

using namespace perwatt;

constexpr int kTicks = 20;
constexpr int kGpusPerRack = 72;
constexpr int kRacksPerRow = 20;
constexpr int kRowsPerHall = 10;
constexpr double kLeast = 200;
constexpr double kMost = 1000;
constexpr double kFailSafe = 350;
constexpr double kShare = 760;  // of every device in the limit of a rack
constexpr double kTightPart = 0.65;
constexpr double kTight = 0.94;  // of what comes from below, for a limit that binds
constexpr double kLoose = 1.2;

double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

topology::NodeSpec node(const std::string& id, const std::string& parent, double devices) {
  topology::NodeSpec spec;
  spec.id = id;
  if (!parent.empty()) {
    spec.supplies = {{parent, 1}};
  }
  spec.limits = {{topology::LimitKind::breaker, watts(devices * kShare), {}, {}, {}}};
  spec.factor = 1.02;
  return spec;
}

/// Limits of what is above the racks, from below.
void set_limits(std::vector<topology::NodeSpec>& nodes) {
  std::mt19937_64 random{5};
  std::uniform_real_distribution<double> uniform{0, 1};
  std::map<std::string, double> below;                              // what children let through
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {  // children stand after parents
    const auto found = below.find(node->id);
    Watts& limit = node->limits[0].power;
    if (found != below.end()) {
      limit = watts(found->second * node->factor);
    }
    limit = limit * (node->supplies.empty() || uniform(random) < kTightPart ? kTight : kLoose);
    if (!node->supplies.empty()) {
      below[node->supplies[0].parent] += in_watts(limit);
    }
  }
}

topology::PowerTree site(int devices) {
  std::vector<topology::NodeSpec> nodes{node("site", "", 0.97 * devices)};
  std::vector<topology::DeviceSpec> gpus;
  const int racks = (devices + kGpusPerRack - 1) / kGpusPerRack;
  for (int r = 0; r < racks; ++r) {
    const std::string row = "row-" + std::to_string(r / kRacksPerRow);
    const std::string hall = "hall-" + std::to_string(r / kRacksPerRow / kRowsPerHall);
    if (r % (kRacksPerRow * kRowsPerHall) == 0) {
      nodes.push_back(node(hall, "site", kGpusPerRack * kRacksPerRow * kRowsPerHall));
    }
    if (r % kRacksPerRow == 0) {
      nodes.push_back(node(row, hall, kGpusPerRack * kRacksPerRow));
    }
    const std::string rack = "rack-" + std::to_string(r);
    nodes.push_back(node(rack, row, kGpusPerRack));
    for (int g = 0; g < kGpusPerRack && r * kGpusPerRack + g < devices; ++g) {
      topology::DeviceSpec gpu;
      gpu.id = rack + "/" + std::to_string(g);
      gpu.parent = rack;
      gpu.min = watts(kLeast);
      gpu.max = watts(kMost);
      gpus.push_back(gpu);
    }
  }
  set_limits(nodes);
  return topology::PowerTree::build(std::move(nodes), std::move(gpus));
}

std::vector<allocate::CurvePoint> curve(std::mt19937_64& random) {
  std::uniform_real_distribution<double> worth{0.5, 1.5};
  double slope = worth(random);
  std::vector<allocate::CurvePoint> points{{watts(kLeast), 0}};
  for (int i = 1; i <= 4; ++i) {
    const double width = (kMost - kLeast) / 4;
    points.push_back({watts(kLeast + width * i), points.back().value + slope * width});
    slope *= 0.5 + 0.1 * worth(random);
  }
  return points;
}

struct Bench {
  explicit Bench(int devices) : tree{site(devices)}, draws(tree.devices().size()) {
    for (std::size_t d = 0; d < draws.size(); ++d) {
      controlled.push_back(
          {{watts(kFailSafe), 0.02, watts(10)}, watts(kLeast), watts(kMost), curve(random)});
      draws[d] = uniform(random);
    }
  }

  /// Of a tick, and of its solve.
  std::pair<double, double> tick_and_solve_seconds() {
    control::ControlRules rules;
    rules.demand.memory = seconds(5);
    control::Controller controller{tree, controlled, rules};
    std::vector<device::GrantId> accepted(draws.size());
    std::vector<double> caps(draws.size(), kFailSafe);
    double spent = 0;
    double hearing = 0;
    std::size_t grants = 0;
    for (int t = 1; t <= kTicks; ++t) {
      for (std::size_t k = 0; k < draws.size() / 10; ++k) {
        draws[random() % draws.size()] = uniform(random);
      }
      const auto now = Instant::from_nanoseconds(t * kNanosecondsPerSecond);
      const double start = cpu_seconds();
      for (std::uint32_t d = 0; d < draws.size(); ++d) {
        controller.ask({d}, {1, static_cast<std::uint64_t>(t)}, now);
        controller.report({d}, {1, accepted[d], false, true, watts(caps[d])});
        controller.read({d}, now, watts(std::min(draws[d], caps[d])), watts(caps[d]));
      }
      const double told = cpu_seconds();
      const auto issued = controller.tick(now);
      if (t > kTicks / 2) {
        hearing += told - start;
        spent += cpu_seconds() - start;
        grants += issued.size();
      }
      for (const auto& grant : issued) {
        accepted[grant.device.value] = grant.grant.id;
        caps[grant.device.value] = in_watts(grant.grant.cap);
      }
    }
    const double ticks = kTicks - kTicks / 2;
    std::printf("  %.0f grants a tick, %.1f ms of it to hear asks, reports and readings\n",
                static_cast<double>(grants) / ticks, hearing / ticks * 1e3);
    return {spent / ticks, solve_seconds(controller.problem())};
  }

  /// Of what the last tick split, from nothing.
  double solve_seconds(const allocate::Problem& problem) {
    allocate::Allocator allocator{problem};
    double best = 1e9;
    for (int run = 0; run < 5; ++run) {
      const double start = cpu_seconds();
      if (allocator.solve().status != allocate::Status::optimal) {
        std::printf("  no split\n");
      }
      best = std::min(best, cpu_seconds() - start);
    }
    return best;
  }

  std::mt19937_64 random{1};
  std::uniform_real_distribution<double> uniform{250, 990};
  topology::PowerTree tree;
  std::vector<double> draws;
  std::vector<control::ControlledDevice> controlled;
};

void run(int devices) {
  std::printf("%d devices\n", devices);
  Bench bench{devices};
  const auto [tick, solve] = bench.tick_and_solve_seconds();
  std::printf("  tick %.1f ms, solve %.1f ms: %.2f times (goal: 5)\n", tick * 1e3, solve * 1e3,
              tick / solve);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    run(std::atoi(argv[1]));
    return 0;
  }
  run(100'000);
  run(400'000);
}
