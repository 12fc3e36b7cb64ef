// The Sankey diagram of power: boxes as high as their watts, ribbons between them.
#include <algorithm>
#include <utility>

#include "charts.hpp"
#include "text.hpp"
#include <fmt/format.h>

namespace perwatt::report {

namespace {

constexpr double kBoxWidth = 14;
constexpr double kFlowHeight = 360;  // pixels of the power at the meter
constexpr double kLabelHeight = 18;  // centres of two labels are at least so far apart
constexpr double kLeastGap = 10;
constexpr double kWidth = 1000;
constexpr double kColumnX[] = {0, 225, 505, 800};

struct Box {
  std::string label;
  int column = 0;
  Watts power;
  std::string colour;
  double y = 0;
  double used_left = 0;  // pixels of the left and right edge that have a ribbon
  double used_right = 0;

  [[nodiscard]] double height(double pixels_per_watt) const {
    return in_watts(power) * pixels_per_watt;
  }
};

struct Ribbon {
  std::size_t from = 0;
  std::size_t to = 0;
};

/// The boxes and ribbons of one flow, laid out from top to bottom in the order they are added.
class Sankey {
 public:
  explicit Sankey(Watts whole) : whole_{whole}, scale_{kFlowHeight / in_watts(whole)} {}

  /// Adds a box fed by `parent` with all of its power; nothing is added for no power.
  std::optional<std::size_t> add(int column, const std::string& name, Watts power,
                                 const char* colour, std::optional<std::size_t> parent) {
    if (power <= Watts{}) {
      return std::nullopt;
    }
    boxes_.push_back(
        {fmt::format("{} {} ({})", name, power_text(power, 3), percent_text(power / whole_, 2)),
         column, power, colour});
    if (parent) {
      ribbons_.push_back({*parent, boxes_.size() - 1});
    }
    return boxes_.size() - 1;
  }

  void relabel(std::size_t box, std::string label) { boxes_[box].label = std::move(label); }

  [[nodiscard]] Json spec() {
    const double height = place();
    return {{"$schema", kVegaSchema},
            {"width", kWidth},
            {"height", height},
            {"padding", 4},
            {"data",
             {{{"name", "ribbons"}, {"values", ribbon_values()}},
              {{"name", "boxes"}, {"values", box_values()}}}},
            {"config", {{"text", {{"font", chart_config()["font"]}}}}},
            {"marks", {ribbon_mark(), box_mark(), label_mark(true), label_mark(false)}}};
  }

 private:
  /// Sets the y of all boxes and returns the height of the tallest column.
  double place() {
    double tallest = 0;
    for (int column = 0; column < 4; ++column) {
      double bottom = -kLeastGap;
      double label = -kLabelHeight / 2;
      for (auto& box : boxes_) {
        if (box.column != column) {
          continue;
        }
        const double half = box.height(scale_) / 2;
        box.y = std::max(bottom + kLeastGap, label + kLabelHeight - half);
        bottom = box.y + 2 * half;
        label = box.y + half;
      }
      tallest = std::max({tallest, bottom, label + kLabelHeight / 2});
    }
    return tallest;
  }

  Json ribbon_values() {
    Json values = Json::array();
    for (const auto& ribbon : ribbons_) {
      auto& from = boxes_[ribbon.from];
      auto& to = boxes_[ribbon.to];
      const double height = to.height(scale_);
      const double x0 = kColumnX[from.column] + kBoxWidth;
      const double x1 = kColumnX[to.column];
      const double y0 = from.y + from.used_right;
      const double y1 = to.y + to.used_left;
      from.used_right += height;
      to.used_left += height;
      const double middle = (x0 + x1) / 2;
      values.push_back(
          {{"path", fmt::format("M{0:.2f},{1:.2f}C{2:.2f},{1:.2f} {2:.2f},{4:.2f} {3:.2f},{4:.2f}"
                                "L{3:.2f},{5:.2f}C{2:.2f},{5:.2f} {2:.2f},{6:.2f} {0:.2f},{6:.2f}Z",
                                x0, y0, middle, x1, y1, y1 + height, y0 + height)},
           {"colour", to.colour},
           {"tooltip", from.label + " \u2192 " + to.label}});
    }
    return values;
  }

  [[nodiscard]] Json box_values() const {
    Json values = Json::array();
    for (const auto& box : boxes_) {
      const double height = box.height(scale_);
      values.push_back({{"x", kColumnX[box.column]},
                        {"y", box.y},
                        {"height", std::max(height, 1.0)},
                        {"middle", box.y + height / 2},
                        {"colour", box.colour},
                        {"label", box.label}});
    }
    return values;
  }

  static Json of(const char* field) { return {{"field", field}}; }

  static Json ribbon_mark() {
    return {{"type", "path"},
            {"from", {{"data", "ribbons"}}},
            {"encode",
             {{"enter",
               {{"path", of("path")},
                {"fill", of("colour")},
                {"fillOpacity", {{"value", 0.35}}},
                {"tooltip", of("tooltip")}}}}}};
  }

  static Json box_mark() {
    return {{"type", "rect"},
            {"from", {{"data", "boxes"}}},
            {"encode",
             {{"enter",
               {{"x", of("x")},
                {"y", of("y")},
                {"width", {{"value", kBoxWidth}}},
                {"height", of("height")},
                {"fill", of("colour")},
                {"tooltip", of("label")}}}}}};
  }

  /// The text; `halo` is the pale outline under it.
  static Json label_mark(bool halo) {
    Json mark{{"type", "text"},
              {"from", {{"data", "boxes"}}},
              {"encode",
               {{"enter",
                 {{"x", {{"field", "x"}, {"offset", kBoxWidth + 5}}},
                  {"y", of("middle")},
                  {"text", of("label")},
                  {"baseline", {{"value", "middle"}}},
                  {"fontSize", {{"value", 12}}},
                  {"fill", {{"value", kInk}}}}}}}};
    if (halo) {
      mark["encode"]["enter"]["stroke"] = {{"value", "#ffffff"}};
      mark["encode"]["enter"]["strokeWidth"] = {{"value", 3}};
      mark["encode"]["enter"]["strokeOpacity"] = {{"value", 0.7}};
    }
    return mark;
  }

  Watts whole_;
  double scale_;
  std::vector<Box> boxes_;
  std::vector<Ribbon> ribbons_;
};

constexpr const char* kServiceColours[] = {"#1f6fb4", "#2a8c4a", "#7b52ab", "#0b8a99", "#c2428c"};
constexpr const char* kTrainingColours[] = {"#8a5a2b", "#4a6b1f", "#5a4a8a"};

void add_racks(const plan::SolvedSite& solved, std::size_t it, Sankey& sankey) {
  const auto& flow = solved.plan->flow;
  for (std::size_t s = 0; s < flow.service_gpu.size(); ++s) {
    const auto& service = solved.site->services[s];
    const auto* colour = kServiceColours[s % std::size(kServiceColours)];
    const auto gpus = sankey.add(2, "GPUs of " + service.id, flow.service_gpu[s], colour, it);
    if (gpus) {
      const auto tokens = sankey.add(3, "", flow.service_gpu[s], colour, gpus);
      sankey.relabel(*tokens, service.id + ": " + rate_text(solved.plan->served[s], 3) + " output");
    }
  }
  for (std::size_t j = 0; j < flow.training_gpu.size(); ++j) {
    const auto& job = solved.site->training[j];
    const auto* colour = kTrainingColours[j % std::size(kTrainingColours)];
    const auto gpus = sankey.add(2, "GPUs of training " + job.id, flow.training_gpu[j], colour, it);
    if (gpus) {
      const auto tokens = sankey.add(3, "", flow.training_gpu[j], colour, gpus);
      sankey.relabel(*tokens, job.id + ": " + rate_text(solved.plan->trained[j], 3) + " trained");
    }
  }
  sankey.add(2, "Idle GPUs", flow.idle_gpu, "#98a4af", it);
  sankey.add(2, "Host", flow.host, "#a8740a", it);
  sankey.add(2, "Conversion loss", flow.conversion, "#b3261e", it);
  sankey.add(2, "Fans", flow.fans, "#5c8a8a", it);
  sankey.add(2, "Network", flow.network, "#6b7fa8", it);
}

}  // namespace

std::vector<Chart> power_flow_charts(const PlanReport& report) {
  const auto& solved = report.solved;
  const auto& flow = solved.plan->flow;
  if (solved.plan->status != plan::PlanStatus::optimal || solved.plan->totals.meter <= Watts{}) {
    return {};
  }
  Sankey sankey{solved.plan->totals.meter};
  const auto meter = sankey.add(0, "Meter", solved.plan->totals.meter, "#3b4650", std::nullopt);
  sankey.relabel(*meter, "Meter " + power_text(solved.plan->totals.meter, 3));
  Watts racks = flow.network + flow.conversion + flow.fans + flow.host + flow.idle_gpu;
  for (const auto power : flow.service_gpu) {
    racks += power;
  }
  for (const auto power : flow.training_gpu) {
    racks += power;
  }
  if (const auto it = sankey.add(1, "GPU racks, IT", racks, "#52749a", meter)) {
    add_racks(solved, *it, sankey);
  }
  sankey.add(1, "Other loads, IT", flow.other_loads, "#8a7a5c", meter);
  sankey.add(1, "Cooling", flow.cooling, "#3f9db5", meter);
  sankey.add(1, "Distribution loss", flow.distribution, "#c0603a", meter);
  return {{"chart-sankey", "Where the power goes, meter to tokens",
           "Mean power; heights are watts, shares are of the power at the meter. The right column "
           "is what the GPU boards of a service turn their watts into.",
           sankey.spec()}};
}

}  // namespace perwatt::report
