#include "charts.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "text.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::report {

namespace {

/// Told apart by eye and in print; repeats after the last.
constexpr std::array<const char*, 10> kColours{"#1f6fb4", "#d9730d", "#2a8c4a", "#b3261e",
                                               "#7b52ab", "#0b8a99", "#a8740a", "#c2428c",
                                               "#5c6b7a", "#6b8e23"};

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
            {"symbolStrokeWidth", 2}}}};
}

}  // namespace perwatt::report
