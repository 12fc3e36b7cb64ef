// Sites, agents and folders for the tests of the journal.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "random_site.hpp"
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include "perwatt/base/random.hpp"
#include "perwatt/control/journal.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::control {

inline Instant moment(double time_seconds) {
  return Instant{} + seconds(time_seconds);
}

struct TestSite {
  topology::PowerTree tree;
  std::vector<ControlledDevice> devices;
  ControlRules rules;
};

inline TestSite rack_site(int count, double limit_watts) {
  topology::NodeSpec rack;
  rack.id = rack.place = "rack";
  rack.limits = {
      {topology::LimitKind::breaker, watts(limit_watts), {}, std::nullopt, std::nullopt}};
  std::vector<topology::DeviceSpec> specs(static_cast<std::size_t>(count));
  std::vector<ControlledDevice> devices;
  for (int d = 0; d < count; ++d) {
    auto& spec = specs[static_cast<std::size_t>(d)];
    spec.id = spec.place = "d" + std::to_string(d);
    spec.parent = "rack";
    spec.max = watts(700);
    devices.push_back(
        {{watts(200), 0, {}}, watts(100), watts(700), {{watts(100), 0}, {watts(700), 600.0 + d}}});
  }
  return {topology::PowerTree::build({rack}, specs), devices, {}};
}

/// A concave curve over least..most.
inline std::vector<allocate::CurvePoint> random_curve(std::mt19937_64& random, Watts least,
                                                      Watts most) {
  const double slope = 0.5 + uniform_unit(random);
  const Watts span = most - least;
  return {{least, 0},
          {least + span * 0.5, in_watts(span) * 0.5 * slope},
          {most, in_watts(span) * 0.75 * slope}};
}

/// A tree with losses, and for some seeds feeds and phases.
inline TestSite random_site_of(std::uint64_t seed) {
  std::mt19937_64 random{seed};
  TestSite site{allocate::random_site(seed, {seed % 3 == 1, seed % 3 == 2, 12}), {}, {}};
  site.rules.dead_band = watts(2);
  site.rules.demand.memory = seconds(5);
  if (seed % 4 == 1) {
    site.rules.writes = {watts(40) / seconds(1), seconds(3), 1200, seed};
  }
  for (const auto& device : site.tree.devices()) {
    const double overshoot_ratio = 0.05 * uniform_unit(random);
    const Watts beside = device.min * (0.2 * uniform_unit(random));
    const Watts fail_safe = (device.min - beside) * (0.999 / (1 + overshoot_ratio));
    const Watts most = device.max + watts(1);
    site.devices.push_back({{fail_safe, overshoot_ratio, beside},
                            fail_safe * 0.7,
                            most,
                            random_curve(random, fail_safe * 0.7, most)});
  }
  return site;
}

/// In memory where there is such a place: thousands of files are opened, and none must outlive
/// power.
class TestFolder {
 public:
  TestFolder()
      : path_{(std::filesystem::exists("/dev/shm") ? std::filesystem::path{"/dev/shm"}
                                                   : std::filesystem::temp_directory_path()) /
              ("perwatt-journal-" + std::to_string(::getpid()) + "-" +
               ::testing::UnitTest::GetInstance()->current_test_info()->name())} {
    std::filesystem::create_directories(path_);
  }

  ~TestFolder() { std::filesystem::remove_all(path_); }

  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  [[nodiscard]] std::filesystem::path file(const char* name = "journal.sqlite") const {
    return path_ / name;
  }

  /// A copy of a journal that may be open: what a killed process leaves.
  static void copy(const std::filesystem::path& from, const std::filesystem::path& to) {
    for (const char* part : {"", "-wal", "-shm"}) {
      std::filesystem::remove(to.string() + part);
      if (std::filesystem::exists(from.string() + part)) {
        std::filesystem::copy_file(from.string() + part, to.string() + part);
      }
    }
  }

 private:
  std::filesystem::path path_;
};

/// What a person at sqlite3 does with a file: the rows of the statement, as text.
inline std::vector<std::vector<std::string>> sql(const std::filesystem::path& file,
                                                 const std::string& statement) {
  std::vector<std::vector<std::string>> rows;
  sqlite3* database = nullptr;
  EXPECT_EQ(sqlite3_open(file.c_str(), &database), SQLITE_OK);
  const auto add = [](void* to, int count, char** values, char**) {
    auto& row = static_cast<std::vector<std::vector<std::string>>*>(to)->emplace_back();
    for (int i = 0; i < count; ++i) {
      row.emplace_back(values[i] == nullptr ? "NULL" : values[i]);
    }
    return 0;
  };
  EXPECT_EQ(sqlite3_exec(database, statement.c_str(), add, &rows, nullptr), SQLITE_OK)
      << sqlite3_errmsg(database);
  sqlite3_close(database);
  return rows;
}

/// Agents and their devices, whose messages get lost, that start anew, and want what they want; and
/// limits and curves that change. Everything at random, but the same for the same seed.
class RandomSite {
 public:
  RandomSite(std::uint64_t seed, const TestSite& site) : random_{seed}, site_{site} {
    for (const auto& device : site.devices) {
      agents_.push_back({1, 0, 0, device.terms.fail_safe, device.terms.fail_safe, {}});
    }
  }

  /// All that happens in a second, then a tick.
  std::vector<Controller::Grant> tick(JournaledController& controller) {
    for (std::uint32_t d = 0; d < agents_.size(); ++d) {
      speak(controller, d);
    }
    if (below(10) == 0) {
      const auto d = static_cast<std::uint32_t>(below(agents_.size()));
      const auto& device = site_.devices[d];
      controller.set_curve({d}, random_curve(random_, device.least, device.most));
    }
    if (below(8) == 0) {
      change_limit(controller);
    }
    if (below(6) == 0) {
      switch_one(controller);
    }
    const auto granted = controller.tick(now);
    for (const auto& grant : granted) {
      if (below(10) > 0) {
        take(grant);
      }
    }
    std::vector<Controller::Grant> kept(granted.begin(), granted.end());
    now = now + seconds(0.5 + uniform_unit(random_));
    return kept;
  }

  Instant now = Instant::from_nanoseconds(5'000'000'001);
  int limits_set = 0;
  int switched_on = 0;
  std::function<void()> after_limit;

 private:
  struct Agent {
    device::AgentEpoch epoch;
    std::uint64_t asks;
    device::GrantId accepted;
    Watts cap;
    Watts wanted;
    Instant runs_out;
  };

  std::uint64_t below(std::uint64_t n) { return uniform_below(random_, n); }

  void speak(JournaledController& controller, std::uint32_t d) {
    auto& agent = agents_[d];
    const auto& device = site_.devices[d];
    const Instant at = now - seconds(0.4 * uniform_unit(random_));
    if (below(60) == 0) {
      agent = {agent.epoch + 1, 0, 0, device.terms.fail_safe, agent.wanted, {}};
    }
    if (agent.runs_out < at) {
      agent.cap = device.terms.fail_safe;
    }
    if (below(15) == 0) {
      agent.wanted = device.least + (device.most - device.least) * uniform_unit(random_);
    }
    if (below(10) > 0) {
      controller.ask({d}, {agent.epoch, ++agent.asks}, at);
    }
    if (below(10) > 0) {
      controller.report(
          {d}, {agent.epoch, agent.accepted, agent.runs_out<at, below(3)> 0, agent.cap}, at);
    }
    if (below(10) > 0) {
      controller.read({d}, at, std::min(agent.wanted, agent.cap), agent.cap);
    }
  }

  void change_limit(JournaledController& controller) {
    const topology::NodeIndex node{static_cast<std::uint32_t>(below(site_.tree.nodes().size()))};
    const auto limit = site_.tree.node(node).steady_limit().value_or(watts(500));
    const bool is_set = controller.set_limit(node, limit * (0.7 + 0.5 * uniform_unit(random_)));
    limits_set += is_set;
    if (after_limit) {
      after_limit();
    }
  }

  /// Off, or on again where there is room.
  void switch_one(JournaledController& controller) {
    const topology::DeviceIndex device{static_cast<std::uint32_t>(below(agents_.size()))};
    if (!controller.controller().ledger().is_off(device)) {
      controller.switched_off(device);
    } else {
      const bool is_on = controller.switch_on(device);
      switched_on += is_on;
      if (after_limit) {
        after_limit();
      }
    }
  }

  void take(const Controller::Grant& grant) {
    auto& agent = agents_[grant.device.value];
    if (grant.grant.answers.epoch == agent.epoch && grant.grant.id > agent.accepted) {
      agent.accepted = grant.grant.id;
      agent.cap = grant.grant.cap;
      agent.runs_out = now + grant.grant.duration - seconds(0.5);
    }
  }

  std::mt19937_64 random_;
  const TestSite& site_;
  std::vector<Agent> agents_;
};

inline JournaledController open_journal(const std::filesystem::path& file, const TestSite& site,
                                        Instant now, const JournalRules& rules = {},
                                        const std::string& clock = "boot") {
  return {file, site.tree, site.devices, site.rules, rules, {now, clock, seconds(1.8e9)}};
}

inline Replay replay_of(const std::filesystem::path& file, const TestSite& site) {
  return replay(file, site.tree, site.devices, site.rules);
}

}  // namespace perwatt::control
