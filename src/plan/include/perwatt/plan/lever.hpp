// The levers that lead from a baseline to a plan, and the site in which some of them are pulled.
// Definitions: docs/model/attribution.md.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "perwatt/catalog/catalog.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

enum class Lever : std::uint8_t {
  placement,
  engine_version,
  operating_point,
  speculative_decoding,
  disaggregation,
  precision,
  clock,
  training_frequency_plan,
  power_cap,
  provisioning,
  availability,
  model,
  cooling,
  smoothing,
  power_supply,
  host_and_fabric,
  scale_up_domain,
  accelerator_generation,
  capacity,
};

inline constexpr std::size_t kLeverCount = 19;
using LeverSet = std::bitset<kLeverCount>;

/// What it takes to pull a lever.
enum class LeverClass { operations, model, facility, hardware };

/// Where in the stack it acts.
enum class Layer { energy, chips, infrastructure, models, applications };

struct LeverInfo {
  Lever lever;
  std::string_view name;
  LeverClass lever_class;
  Layer layer;
};

/// All levers in the order of the enumeration.
[[nodiscard]] const std::array<LeverInfo, kLeverCount>& all_levers();

[[nodiscard]] const LeverInfo& info_of(Lever lever);

[[nodiscard]] std::string_view to_string(LeverClass lever_class);
[[nodiscard]] std::string_view to_string(Layer layer);
[[nodiscard]] std::optional<LeverClass> parse_lever_class(std::string_view text);

/// The site in which the levers in `pulled` stand as in `plan` (deployments and frequency plans: as
/// in either), all others as in `baseline`. Services, training, prices and finance are the plan's.
[[nodiscard]] Site mixed_site(const Site& baseline, const Site& plan, LeverSet pulled,
                              const catalog::Catalog& catalog);

/// The levers by which the two sites differ.
[[nodiscard]] LeverSet differing_levers(const Site& baseline, const Site& plan,
                                        const catalog::Catalog& catalog);

/// Why levers cannot be told apart: the sites do not sell the same. Nothing when they can.
[[nodiscard]] std::optional<std::string> incomparable_because(const Site& baseline,
                                                              const Site& plan);

}  // namespace perwatt::plan
