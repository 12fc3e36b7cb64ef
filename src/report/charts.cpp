#include "charts.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "text.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::report {

namespace {

/// Told apart by eye and in print; repeats after the last.
constexpr std::array<const char*, 10> kColours{"#1f6fb4", "#d9730d", "#2a8c4a", "#b3261e",
                                               "#7b52ab", "#0b8a99", "#a8740a", "#c2428c",
                                               "#5c6b7a", "#6b8e23"};

/// Where a number stands beside its ring.
struct Corner {
  int dx;
  int dy;
  const char* align;
};

constexpr Corner kUpperRight{10, -11, "left"};
constexpr Corner kLowerRight{10, 13, "left"};
constexpr Corner kUpperLeft{-10, -11, "right"};
constexpr Corner kLowerLeft{-10, 13, "right"};
constexpr std::array kCorners{&kUpperRight, &kLowerRight, &kUpperLeft, &kLowerLeft};

/// A corner for each ring that keeps its number off the rings and numbers near it.
std::vector<const Corner*> free_corners(const Json& values, const char* x_field,
                                        const char* y_field) {
  constexpr double kNearX = 0.03;  // of the largest x
  constexpr double kNearY = 1.3;   // ratio
  const auto at = [&](std::size_t i, const char* field) { return values[i][field].get<double>(); };
  double widest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    widest = std::max(widest, at(i, x_field));
  }
  std::vector<const Corner*> corners;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto* corner = &kUpperRight;
    for (std::size_t j = 0; j < i; ++j) {
      const double ratio = at(i, y_field) / at(j, y_field);
      if (std::abs(at(i, x_field) - at(j, x_field)) <= kNearX * widest && ratio < kNearY &&
          ratio > 1 / kNearY) {
        corner = corner != &kUpperRight ? &kLowerLeft : ratio < 1 ? &kLowerRight : &kUpperLeft;
      }
    }
    corners.push_back(corner);
  }
  return corners;
}

/// The text mark of a number; `halo` is the white outline under it.
Json number_mark(const Corner& corner, bool halo) {
  Json mark{{"type", "text"}, {"dx", corner.dx},   {"dy", corner.dy}, {"align", corner.align},
            {"fontSize", 13}, {"fontWeight", 700}, {"color", kInk}};
  if (halo) {
    mark["stroke"] = "#ffffff";
    mark["strokeWidth"] = 4;
  }
  return mark;
}

}  // namespace

RackNames::RackNames(const plan::CandidateSet& set) {
  for (const auto& rack : set.racks) {
    const auto same = std::count_if(set.racks.begin(), set.racks.end(), [&](const auto& other) {
      return other.system->id == rack.system->id;
    });
    names_.push_back(same > 1 ? rack.system->id + " (" + rack.plant->id + ")" : rack.system->id);
    accelerators_.push_back(rack.system->accelerator);
  }
}

std::string RackNames::names_of(std::string_view accelerator) const {
  std::vector<std::string> names;
  for (std::size_t k = 0; k < names_.size(); ++k) {
    if (accelerators_[k] == accelerator) {
      names.push_back(names_[k]);
    }
  }
  return names.empty() ? std::string{accelerator} : join(names, ", ");
}

Json RackNames::scale(const std::vector<std::string>& names) const {
  Json domain = Json::array();
  Json range = Json::array();
  std::set<std::string> done;
  std::size_t others = names_.size();
  for (std::size_t k = 0; k < names_.size(); ++k) {
    for (const auto& name : {names_[k], names_of(accelerators_[k])}) {
      if (std::find(names.begin(), names.end(), name) != names.end() && done.insert(name).second) {
        domain.push_back(name);
        range.push_back(kColours[k % kColours.size()]);
      }
    }
  }
  for (const auto& name : names) {
    if (done.insert(name).second) {
      domain.push_back(name);
      range.push_back(kColours[others++ % kColours.size()]);
    }
  }
  return {{"domain", domain}, {"range", range}};
}

std::vector<std::string> service_slugs(const plan::Site& site) {
  std::vector<std::string> slugs;
  for (const auto& service : site.services) {
    auto candidate = slug(service.id);
    for (int n = 2; std::find(slugs.begin(), slugs.end(), candidate) != slugs.end(); ++n) {
      candidate = slug(service.id) + "-" + std::to_string(n);
    }
    slugs.push_back(candidate);
  }
  return slugs;
}

std::string deployment_number(std::size_t assignment) {
  return std::to_string(assignment + 1);
}

const char* chart_colour(std::size_t number) {
  return kColours[number % kColours.size()];
}

Json field(const char* name, const char* type, const char* title) {
  Json json{{"field", name}, {"type", type}, {"title", nullptr}};
  if (title != nullptr) {
    json["title"] = title;
  }
  return json;
}

Json tooltip_quantity(const char* name, const char* title) {
  auto json = field(name, "quantitative", title);
  json["format"] = ",.4~r";
  return json;
}

Json chart_config() {
  return {{"font", "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"},
          {"view", {{"stroke", nullptr}}},
          {"axis",
           {{"labelFontSize", 12},
            {"titleFontSize", 12},
            {"titleFontWeight", 600},
            {"titlePadding", 10},
            {"labelColor", "#3b4650"},
            {"titleColor", "#3b4650"},
            {"gridColor", "#e6eaee"},
            {"domainColor", "#98a4af"},
            {"tickColor", "#98a4af"}}},
          {"legend",
           {{"labelFontSize", 12},
            {"titleFontSize", 12},
            {"titleFontWeight", 600},
            {"labelLimit", 240},
            {"symbolOpacity", 1},
            {"symbolStrokeWidth", 2}}}};
}

Json chosen_layers(const Json& values, const char* x_field, const char* y_field,
                   const Json& tooltip) {
  const Json x{{"field", x_field}, {"type", "quantitative"}};
  const Json y{{"field", y_field}, {"type", "quantitative"}};
  Json layers = Json::array({{{"data", {{"values", values}}},
                              {"mark",
                               {{"type", "point"},
                                {"filled", false},
                                {"size", 210},
                                {"color", kInk},
                                {"opacity", 1},
                                {"strokeWidth", 2}}},
                              {"encoding", {{"x", x}, {"y", y}, {"tooltip", tooltip}}}}});
  const auto corners = free_corners(values, x_field, y_field);
  for (const auto* corner : kCorners) {
    Json numbers = Json::array();
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (corners[i] == corner) {
        numbers.push_back(values[i]);
      }
    }
    if (numbers.empty()) {
      continue;
    }
    for (const bool halo : {true, false}) {
      layers.push_back({{"data", {{"values", numbers}}},
                        {"mark", number_mark(*corner, halo)},
                        {"encoding", {{"x", x}, {"y", y}, {"text", {{"field", "number"}}}}}});
    }
  }
  return layers;
}

}  // namespace perwatt::report
