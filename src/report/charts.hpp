// The charts of a plan as declarative specs. The geometry of the power flow is computed here; all
// else is Vega-Lite.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "perwatt/report/plan_report.hpp"

namespace perwatt::report {

using Json = nlohmann::ordered_json;

struct Chart {
  std::string id;  // of the element: "chart-frontier-chat"
  std::string title;
  std::string note;  // how to read it
  Json spec;
};

inline constexpr std::string_view kVegaLiteSchema =
    "https://vega.github.io/schema/vega-lite/v6.json";
inline constexpr std::string_view kVegaSchema = "https://vega.github.io/schema/vega/v6.json";

/// One colour and one name per rack kind, the same in every chart of a report.
class RackNames {
 public:
  explicit RackNames(const plan::CandidateSet& set);

  /// The system, with its cooling plant where the system stands twice.
  [[nodiscard]] const std::string& name(std::size_t rack) const { return names_[rack]; }

  /// Of the rack kinds of `accelerator`, in order: "hgx-b200-air, hgx-b200-liquid".
  [[nodiscard]] std::string names_of(std::string_view accelerator) const;

  /// A colour scale over `names`, which are of name() or names_of().
  [[nodiscard]] Json scale(const std::vector<std::string>& names) const;

 private:
  std::vector<std::string> names_;
  std::vector<std::string> accelerators_;
};

/// Ids of the services as parts of element ids, all different.
[[nodiscard]] std::vector<std::string> service_slugs(const plan::Site& site);

/// Number of a deployment in tables and charts, counted from 1 in the order of the assignments.
[[nodiscard]] std::string deployment_number(std::size_t assignment);

/// One per service that has measured points: tokens/s per GPU over tokens/s per user.
[[nodiscard]] std::vector<Chart> frontier_charts(const PlanReport& report, const RackNames& racks);

/// One per service that has candidates: output tokens/s per GPU over facility watts per GPU.
[[nodiscard]] std::vector<Chart> power_curve_charts(const PlanReport& report,
                                                    const RackNames& racks);

/// From the meter to tokens; nothing when the plan draws no power.
[[nodiscard]] std::vector<Chart> power_flow_charts(const PlanReport& report);

/// Revenue against energy, capital and profit; plan beside baseline. Nothing without any money.
[[nodiscard]] std::vector<Chart> cost_charts(const PlanReport& report);

/// Baseline profit, the part of every lever with its 90 % interval, plan profit; coloured by class.
/// Nothing without an attribution or where no lever differs.
[[nodiscard]] std::vector<Chart> lever_charts(const PlanReport& report);

/// Profit gained or lost by a change of one input, largest first. Nothing where no change has an
/// effect.
[[nodiscard]] std::vector<Chart> sensitivity_charts(const PlanReport& report);

/// One per service with rows of at least two accelerators of the site: how many times as many
/// tokens/s one yields as another, per GPU and per provisioned MW, over tokens/s per user.
[[nodiscard]] std::vector<Chart> ratio_charts(const PlanReport& report, const RackNames& racks);

/// A heat map of the hour classes; nothing with one class.
[[nodiscard]] std::vector<Chart> hour_charts(const PlanReport& report);

/// Width of the drawing area of all charts, in CSS pixels.
inline constexpr double kChartWidth = 760;

/// Of text and lines: --ink of report.css.
inline constexpr const char* kInk = "#111820";

/// A field of the data as an encoding or a line of a tooltip; `title` null: none.
[[nodiscard]] Json field(const char* name, const char* type, const char* title);

/// A quantity of a tooltip, to four digits.
[[nodiscard]] Json tooltip_quantity(const char* name, const char* title);

/// Colours that are told apart by eye and in print; they repeat after the tenth.
[[nodiscard]] const char* chart_colour(std::size_t number);

/// Fonts, grid and axis style of all Vega-Lite charts.
[[nodiscard]] Json chart_config();

/// Layers that ring the chosen deployments and write their "number" beside them, clear of each
/// other and of what is below.
[[nodiscard]] Json chosen_layers(const Json& values, const char* x_field, const char* y_field,
                                 const Json& tooltip);

}  // namespace perwatt::report
