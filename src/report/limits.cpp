#include "limits.hpp"

#include <algorithm>

#include "charts.hpp"
#include "text.hpp"
#include <fmt/format.h>

#include "perwatt/base/text.hpp"

namespace perwatt::report {

namespace {

constexpr double kMet = 1 - 1e-4;      // share served that counts as all of it
constexpr double kWorthless = 1e-6;    // USD/h: the solver's rounding
constexpr double kFull = 1 - 1e-6;     // share of a limit that counts as all of it
constexpr std::size_t kMostNames = 3;  // of hour classes in a sentence

std::string names_text(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(kMostNames, names.size()); ++i) {
    text += (i == 0 ? "'" : ", '") + names[i] + "'";
  }
  return names.size() > kMostNames ? text + fmt::format(" and {} more", names.size() - kMostNames)
                                   : text;
}

std::string envelope_text(const plan::SolvedSite& solved) {
  const auto& site = *solved.site;
  const auto& plan = *solved.plan;
  const auto h = tightest_hour(solved);
  const Watts headroom = site.envelope - plan.hours[h].reserved;
  const auto where =
      plan.hours.size() > 1
          ? fmt::format(" in the hour class '{}' ({} h a year at {} USD/kWh)", site.year[h].name,
                        significant(site.year[h].year_ratio * kHoursPerYear),
                        significant(in_usd_per_kwh(site.year[h].energy_price), 3))
          : std::string{};
  const auto reserved =
      fmt::format("{} of the {} envelope are reserved{}", power_text(plan.hours[h].reserved),
                  power_text(site.envelope), where);
  const auto& worth = plan.duals.per_megawatt_up;
  if (worth && in_usd_per_hour(*worth) > kWorthless) {
    return "The envelope is tight: " + reserved +
           (headroom > Watts{} ? ", and what is left, " + power_text(headroom, 2) +
                                     ", carries no further whole rack that earns"
                               : "") +
           ".";
  }
  return worth ? "The envelope is not tight: at most " + reserved + ", and more would earn nothing."
               : "Whether the envelope is tight is not known: at most " + reserved + ".";
}

std::string demand_text(const plan::SolvedSite& solved, std::size_t s) {
  const auto& service = solved.site->services[s];
  if (service.demand_output <= TokensPerSecond{}) {
    return "Nobody asks for " + service.id + ".";
  }
  if (const auto& reason = solved.plan->unserved[s]) {
    return fmt::format("{} is not served: {} is {}, it would need {}.", service.id, reason->limit,
                       reason->present, reason->needed);
  }
  const auto met = hours_with_demand_met(solved, s);
  const auto classes = solved.site->year.size();
  if (met.classes == classes) {
    return "The demand of " + service.id + " is met in full" +
           (classes > 1 ? fmt::format(" in all {} hour classes", classes) : std::string{}) +
           ": only more of it sells more.";
  }
  const auto served = solved.plan->served[s];
  double asked = 0;
  for (const auto& hour : solved.site->year) {
    asked += hour.demand_ratio * hour.year_ratio;
  }
  const auto share = percent_text(served / service.demand_output / (asked > 0 ? asked : 1.0));
  if (met.classes == 0) {
    return fmt::format("Of the demand of {} {} is served, in no hour class all of it.", service.id,
                       share);
  }
  std::vector<std::string> short_of;
  for (const auto& hour : solved.site->year) {
    if (std::find(met.names.begin(), met.names.end(), hour.name) == met.names.end()) {
      short_of.push_back(hour.name);
    }
  }
  return fmt::format("Of the demand of {} {} is served: all of it in {} of the year, less in {}.",
                     service.id, share, percent_text(met.year_ratio), names_text(short_of));
}

/// Rack kinds of which every one that may stand is powered.
std::string racks_text(const plan::SolvedSite& solved) {
  const RackNames names{*solved.set};
  std::vector<std::string> full;
  for (std::size_t k = 0; k < solved.set->racks.size(); ++k) {
    const auto& stock = *solved.set->racks[k].stock;
    const auto& worth = solved.plan->duals.per_rack[k];
    const int most = stock.owned + stock.max_buy;
    const bool is_tight = most > 0 && solved.plan->racks[k].powered >= most * kFull && worth &&
                          in_usd_per_hour(*worth) > kWorthless;
    if (is_tight) {
      full.push_back(fmt::format("all {} racks of {}", most, names.name(k)));
    }
  }
  return full.empty() ? std::string{}
                      : "Powered are " + listed(full) + ", and one more would earn.";
}

void add_halls(const plan::SolvedSite& solved, std::vector<std::string>& texts) {
  for (std::size_t p = 0; p < solved.plan->halls.size(); ++p) {
    const auto& hall = *solved.set->halls[p].hall;
    const auto& use = solved.plan->halls[p];
    if (hall.positions && use.racks > 0 &&
        use.racks >= (*hall.positions + use.retrofitted_positions) * kFull) {
      texts.push_back(fmt::format("Hall {} has no free position ({} racks).", hall.id,
                                  significant(use.racks, 6)));
    }
    if (hall.it_capacity &&
        use.reserved_it >= *hall.it_capacity * solved.set->halls[p].usable_ratio * kFull) {
      texts.push_back(fmt::format("The cooling of hall {} is full: {} of IT load reserved.",
                                  hall.id, power_text(use.reserved_it)));
    }
  }
}

}  // namespace

HoursText hours_with_demand_met(const plan::SolvedSite& solved, std::size_t service) {
  HoursText met;
  const auto& site = *solved.site;
  for (std::size_t h = 0; h < site.year.size(); ++h) {
    TokensPerSecond served;
    for (const auto& assignment : solved.plan->assignments) {
      const auto& candidate = solved.set->candidates[assignment.candidate];
      if (candidate.service == service) {
        served += candidate.mean_output_per_gpu * assignment.gpus_by_hour[h];
      }
    }
    const auto asked = site.services[service].demand_output * site.year[h].demand_ratio;
    if (served >= asked * kMet) {
      met.year_ratio += site.year[h].year_ratio;
      met.names.push_back(site.year[h].name);
      ++met.classes;
    }
  }
  return met;
}

std::size_t tightest_hour(const plan::SolvedSite& solved) {
  const auto& hours = solved.plan->hours;
  const auto at = std::max_element(
      hours.begin(), hours.end(),
      [](const plan::HourUse& a, const plan::HourUse& b) { return a.reserved < b.reserved; });
  return static_cast<std::size_t>(at - hours.begin());
}

std::vector<std::string> limit_texts(const plan::SolvedSite& solved) {
  std::vector<std::string> texts{envelope_text(solved)};
  for (std::size_t s = 0; s < solved.site->services.size(); ++s) {
    texts.push_back(demand_text(solved, s));
  }
  if (auto racks = racks_text(solved); !racks.empty()) {
    texts.push_back(std::move(racks));
  }
  add_halls(solved, texts);
  const auto& capital = solved.site->max_capital;
  if (capital && solved.plan->totals.capital_cost >= *capital * kFull) {
    texts.push_back("All capital is spent: " + money_text(*capital) + ".");
  }
  return texts;
}

}  // namespace perwatt::report
