// Prints what the year oracle takes from the program as data: the hour classes, the halls'
// part-load curves, and the joint scenarios of groups that standard input names, for
//   year_numbers SITE.toml CATALOG_FOLDER NODE_CORRELATION SERVICE_CORRELATION SCENARIOS
//   < "ACCELERATOR SERVING" lines
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/plan/power_profile.hpp"
#include "perwatt/plan/scenarios.hpp"
#include "perwatt/plan/site.hpp"

namespace {

using namespace perwatt;
using Json = nlohmann::json;

Json curve_json(const facility::PartLoadCurve& curve) {
  return {{"load_ratio", curve.load_ratio}, {"meter_ratio", curve.meter_ratio}};
}

Json year_json(const plan::Site& site) {
  Json year = Json::array();
  for (const auto& hour : site.year) {
    Json weather = Json::array();
    for (const auto& row : hour.weather) {
      weather.push_back({row.hours, in_celsius(row.dry_bulb), in_celsius(row.wet_bulb),
                         in_celsius(row.max_dry_bulb), in_celsius(row.max_wet_bulb)});
    }
    year.push_back({{"year_ratio", hour.year_ratio},
                    {"energy_usd_per_kwh", in_usd_per_kwh(hour.energy_price)},
                    {"demand_ratio", hour.demand_ratio},
                    {"weather", weather}});
  }
  return year;
}

Json halls_json(const plan::Site& site) {
  Json halls = Json::object();
  for (const auto& hall : site.halls) {
    if (!hall.curves) {
      continue;
    }
    for (std::size_t h = 0; h < site.year.size(); ++h) {
      halls[hall.id]["mean"].push_back(curve_json(hall.curves->mean[h]));
      halls[hall.id]["worst"].push_back(curve_json(hall.curves->worst[h]));
    }
  }
  return halls;
}

Json scenarios_json(const plan::CorrelationModel& model, std::size_t count) {
  const auto known = plan::load_power_profiles(data_dir() / "power");
  std::vector<plan::PowerProfile> profiles;
  std::string accelerator;
  std::string serving;
  while (std::cin >> accelerator >> serving) {
    profiles.push_back(known.for_accelerator(accelerator, serving == "aggregated"
                                                              ? inference::Serving::aggregated
                                                              : inference::Serving::disaggregated));
  }
  Json json = Json::object();
  if (profiles.empty()) {
    return json;
  }
  const auto drawn = plan::draw_scenarios(profiles, model, count, 1);
  json["samples_effective"] = drawn.samples_effective();
  for (std::size_t g = 0; g < profiles.size(); ++g) {
    Json ratios = Json::array();
    for (std::size_t w = 0; w < drawn.scenarios(); ++w) {
      ratios.push_back(drawn.ratio(w, g));
    }
    json["ratios"].push_back(std::move(ratios));
  }
  return json;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::cerr
        << "usage: year_numbers SITE.toml CATALOG NODE_CORRELATION SERVICE_CORRELATION COUNT\n";
    return 2;
  }
  try {
    const auto catalog =
        catalog::Catalog::load({data_dir() / "catalog", data_dir() / "climate", argv[2]});
    const auto site = plan::load_site(argv[1], catalog);
    const plan::CorrelationModel model{std::atof(argv[3]), std::atof(argv[4])};
    std::cout << Json{{"year", year_json(site)},
                      {"halls", halls_json(site)},
                      {"scenarios",
                       scenarios_json(model, static_cast<std::size_t>(std::atoi(argv[5])))}}
              << '\n';
  } catch (const Error& error) {
    std::cerr << error.what() << '\n';
    return 3;
  }
  return 0;
}
