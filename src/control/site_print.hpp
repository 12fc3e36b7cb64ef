// What a journal belongs to: what the grants of a controller hang on beside its inputs.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "perwatt/control/controller.hpp"

namespace perwatt::control {

/// One thing of the site. `value` is in words for a rule, else a fingerprint.
struct SitePart {
  std::string kind;  // "rule", "node", "device"
  std::string name;
  std::string value;

  bool operator==(const SitePart&) const = default;
};

/// Rules, then nodes and devices in their order.
[[nodiscard]] std::vector<SitePart> site_parts(const topology::PowerTree& tree,
                                               std::span<const ControlledDevice> devices,
                                               const ControlRules& rules);

/// Throws Error(bad_input) naming `file` and what differs first, if anything does.
void check_same_site(std::span<const SitePart> journal, std::span<const SitePart> site,
                     const ControlRules& rules, const std::string& file);

}  // namespace perwatt::control
