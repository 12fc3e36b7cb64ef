// What the journal of a controller costs: a second of a site (an ask, a report and a reading of
// each device, then a tick) with it and, in the same run and to the same inputs, without it. Beside
// it the bytes it writes and the time to start again from a file that was not closed.
//
//     journal_bench [FOLDER]      the file is made there; else in the folder of temporary files
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <unistd.h>

#include "perwatt/base/random.hpp"
#include "perwatt/control/journal.hpp"

namespace {

using namespace perwatt;
using namespace perwatt::control;

constexpr int kDevicesOfRack = 40;
constexpr int kWarmUpTicks = 8;
constexpr int kTicks = 20;

topology::PowerTree tree_of(int devices) {
  std::vector<topology::NodeSpec> nodes(1);
  nodes[0].id = "site";
  const auto limit = [](double power_watts) {
    topology::Limit one;
    one.power = watts(power_watts);
    return one;
  };
  nodes[0].limits = {limit(devices * 450.0)};
  std::vector<topology::DeviceSpec> specs;
  for (int d = 0; d < devices; ++d) {
    if (d % kDevicesOfRack == 0) {
      topology::NodeSpec rack;
      rack.id = "rack" + std::to_string(d / kDevicesOfRack);
      rack.supplies = {{"site", 1}};
      rack.limits = {limit(kDevicesOfRack * 500.0)};
      nodes.push_back(rack);
    }
    topology::DeviceSpec spec;
    spec.id = "gpu" + std::to_string(d);
    spec.parent = nodes.back().id;
    spec.max = watts(700);
    specs.push_back(spec);
  }
  return topology::PowerTree::build(nodes, specs);
}

std::vector<ControlledDevice> devices_of(int count) {
  std::vector<ControlledDevice> devices;
  for (int d = 0; d < count; ++d) {
    devices.push_back(
        {{watts(200), 0.03, watts(20)},
         watts(100),
         watts(700),
         {{watts(100), 0}, {watts(400), 400.0 + d % 7}, {watts(700), 500.0 + d % 7}}});
  }
  return devices;
}

/// Agents that do at once what they are told; a tenth of them want other watts each second.
class Agents {
 public:
  explicit Agents(int count)
      : caps_(static_cast<std::size_t>(count), watts(200)),
        wanted_(static_cast<std::size_t>(count), watts(400)),
        accepted_(static_cast<std::size_t>(count), 0) {}

  void think() {
    for (auto& wanted : wanted_) {
      if (uniform_below(random_, 10) == 0) {
        wanted = watts(150 + 550 * uniform_unit(random_));
      }
    }
  }

  template <class Ask, class Report, class Read>
  void speak(const Ask& ask, const Report& report, const Read& read) {
    ++asks_;
    for (std::uint32_t d = 0; d < caps_.size(); ++d) {
      ask(topology::DeviceIndex{d}, device::LeaseAsk{1, asks_});
      report(topology::DeviceIndex{d},
             device::LeaseReport{1, accepted_[d], accepted_[d] == 0, true, caps_[d]});
      read(topology::DeviceIndex{d}, std::min(wanted_[d], caps_[d]), caps_[d]);
    }
  }

  void take(std::span<const Controller::Grant> grants) {
    for (const auto& grant : grants) {
      caps_[grant.device.value] = grant.grant.cap;
      accepted_[grant.device.value] = grant.grant.id;
    }
  }

 private:
  std::mt19937_64 random_{5};
  std::vector<Watts> caps_;
  std::vector<Watts> wanted_;
  std::vector<device::GrantId> accepted_;
  std::uint64_t asks_ = 0;
};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

template <class Call>
double milliseconds_of(const Call& call) {
  const auto began = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began)
      .count();
}

double file_megabytes(const std::filesystem::path& file) {
  double bytes = 0;
  for (const char* part : {"", "-wal"}) {
    if (std::filesystem::exists(file.string() + part)) {
      bytes += static_cast<double>(std::filesystem::file_size(file.string() + part));
    }
  }
  return bytes / 1e6;
}

void measure(int count, const std::filesystem::path& folder) {
  const auto tree = tree_of(count);
  const auto file = folder / "journal.sqlite";
  const auto devices = devices_of(count);
  Controller plain{tree, devices, {}};
  std::optional<JournaledController> journaled;
  JournalRules rules;
  rules.checkpoint_entries = kWarmUpTicks + kTicks / 2;  // one while it is measured
  journaled.emplace(file, tree, devices, ControlRules{}, rules,
                    JournalStart{Instant{}, "boot", {}});
  Agents agents{count};
  std::vector<double> without;
  std::vector<double> with;
  std::size_t grants = 0;
  double megabytes_before = 0;
  Instant now;
  for (int t = 0; t < kWarmUpTicks + kTicks; ++t) {
    now = now + seconds(1);
    agents.think();
    const double plain_time = milliseconds_of([&] {
      agents.speak([&](auto d, const auto& ask) { plain.ask(d, ask, now); },
                   [&](auto d, const auto& report) { plain.report(d, report); },
                   [&](auto d, Watts draw, Watts cap) { plain.read(d, now, draw, cap); });
      static_cast<void>(plain.tick(now));
    });
    std::span<const Controller::Grant> granted;
    const double journaled_time = milliseconds_of([&] {
      agents.speak([&](auto d, const auto& ask) { journaled->ask(d, ask, now); },
                   [&](auto d, const auto& report) { journaled->report(d, report, now); },
                   [&](auto d, Watts draw, Watts cap) { journaled->read(d, now, draw, cap); });
      granted = journaled->tick(now);
    });
    agents.take(granted);
    if (t == kWarmUpTicks) {
      megabytes_before = file_megabytes(file);
    }
    if (t > kWarmUpTicks) {
      without.push_back(plain_time);
      with.push_back(journaled_time);
      grants += granted.size();
    }
  }
  const double megabytes = (file_megabytes(file) - megabytes_before) / (kTicks - 1);
  const auto copy = folder / "killed.sqlite";
  for (const char* part : {"", "-wal"}) {
    std::filesystem::copy_file(file.string() + part, copy.string() + part);
  }
  std::optional<JournaledController> again;
  const double start_time = milliseconds_of([&] {
    again.emplace(copy, tree, devices, ControlRules{}, rules, JournalStart{now, "boot", {}});
  });
  again.reset();
  const double added = median(with) - median(without);
  const double grants_per_tick = static_cast<double>(grants) / (kTicks - 1);
  std::printf(
      "%7d devices: %8.2f ms a tick without, %8.2f ms with (%.2f times), slowest %.0f ms; "
      "%.0f inputs and %.0f grants a tick: %.2g rows/s of grants, %.2g inputs/s in what it "
      "adds; %.2f MB a tick; a start %.0f ms\n",
      count, median(without), median(with), median(with) / median(without),
      *std::max_element(with.begin(), with.end()), 3.0 * count, grants_per_tick,
      grants_per_tick / added * 1e3, 3.0 * count / added * 1e3, megabytes, start_time);
}

}  // namespace

int main(int argc, char** argv) {
  const auto base =
      argc > 1 ? std::filesystem::path{argv[1]} : std::filesystem::temp_directory_path();
  std::printf("Journal of a controller\n");
  for (const int count : {1'000, 10'000}) {
    const auto folder = base / ("perwatt-journal-bench-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    measure(count, folder);
    std::fflush(stdout);
    std::filesystem::remove_all(folder);
  }
}
