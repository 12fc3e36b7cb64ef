// Hour classes, halls, supplies and provisioning of a plan as JSON: docs/reference/plan-json.md.
#pragma once

#include <span>

#include <nlohmann/json.hpp>

#include "perwatt/plan/delivery.hpp"
#include "perwatt/plan/plan.hpp"

namespace perwatt::cli {

/// Adds provisioning, hour_classes, halls, supplies, carbon and water. REQUIRES: an optimal plan.
void add_site_use(const plan::SolvedSite& solved, nlohmann::ordered_json& json);

/// Adds provisioning alone: what is known of a plan that is infeasible.
void add_provisioning(const plan::SolvedSite& solved, nlohmann::ordered_json& json);

/// Adds deliveries: one plan for each step of the schedule.
void add_phases(const plan::SolvedSite& solved, std::span<const plan::Phase> phases,
                nlohmann::ordered_json& json);

}  // namespace perwatt::cli
