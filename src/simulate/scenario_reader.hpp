// Parts of a scenario file, each from its table.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/config.hpp"
#include "perwatt/simulate/scenario.hpp"

namespace perwatt::simulate {

/// One of the jobs that an entry with `for_each` makes: one for every node of a repeated entry of
/// the topology.
struct JobPlace {
  std::string suffix;  // of its id: "-3"
  std::string node;    // its GPUs are below; empty: anywhere
  int number = 0;      // from 0
};

/// One place without `for_each`. Throws Error(bad_input) where no node is named so.
[[nodiscard]] std::vector<JobPlace> read_places(const ConfigTable& table,
                                                const topology::PowerTree& tree);

/// Hands the devices of a tree out, each once, in its order.
class FreeDevices {
 public:
  explicit FreeDevices(const topology::PowerTree& tree);

  /// The next `count` below the node that `table` names as `below`, seen from the job's place (the
  /// place itself without). Throws Error(bad_input) where so many are not left.
  [[nodiscard]] std::vector<topology::DeviceIndex> take(const ConfigTable& table,
                                                        const JobPlace& place, std::size_t count);

 private:
  const topology::PowerTree& tree_;
  std::vector<char> is_taken_;
};

/// Nodes that the topology's entry of that id made: the last part of their id is it, or it and a
/// number.
[[nodiscard]] std::vector<topology::NodeIndex> nodes_of_entry(const topology::PowerTree& tree,
                                                              const std::string& entry);

/// Devices at the node and below it along all its ways, by index.
[[nodiscard]] std::vector<topology::DeviceIndex> devices_below(const topology::PowerTree& tree,
                                                               topology::NodeIndex node);

[[nodiscard]] topology::NodeIndex read_node(const ConfigTable& table, std::string_view key,
                                            const topology::PowerTree& tree);

[[nodiscard]] Watts power_or(const ConfigTable& table, std::string_view key, Watts otherwise);

/// Of one device: at most kMostDeviceWatts. Throws Error(bad_input) above.
[[nodiscard]] Watts device_power(const ConfigTable& table, std::string_view key, Watts otherwise);

/// Throws Error(bad_input) above `most`.
[[nodiscard]] Seconds duration_up_to(const ConfigTable& table, std::string_view key,
                                     Seconds otherwise, Seconds most);

[[nodiscard]] Seconds duration_or(const ConfigTable& table, std::string_view key,
                                  Seconds otherwise);

/// Throws Error(bad_input) where the key is absent.
[[nodiscard]] Seconds required_duration(const ConfigTable& table, std::string_view key);

[[nodiscard]] ServicePlan read_service(const ConfigTable& table, const JobPlace& place,
                                       FreeDevices& devices, const std::filesystem::path& folder);
[[nodiscard]] TrainingPlan read_training(const ConfigTable& table, const JobPlace& place,
                                         FreeDevices& devices);
[[nodiscard]] Fault read_fault(const ConfigTable& table, const topology::PowerTree& tree);
[[nodiscard]] PolicyPlan read_policy(const ConfigTable& table, const topology::PowerTree& tree);

[[nodiscard]] Maintenance read_maintenance(const ConfigTable& table,
                                           const topology::PowerTree& tree);

/// What only perwatt's policy reads. Throws Error(bad_input) where another has it.
void read_policy_rules(const ConfigTable& table, PolicyPlan& policy);

}  // namespace perwatt::simulate
