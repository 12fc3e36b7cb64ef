#include "ratio_curves.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "layout_text.hpp"
#include "text.hpp"

namespace perwatt::report {

namespace {

constexpr std::array kRoundInteractivities{20.0, 50.0, 100.0, 200.0};  // tokens/s per user

ServiceRatios ratios_of(const PlanReport& report, const RackNames& names, std::size_t service) {
  const auto& solved = report.solved;
  const auto& wanted = solved.site->services[service];
  ServiceRatios ratios{service, {}, {}};
  std::set<std::string> done;
  for (std::size_t k = 0; k < solved.set->racks.size(); ++k) {
    const auto& rack = solved.set->racks[k];
    if (!done.insert(names.name(k)).second) {
      continue;
    }
    inference::RateLine line{
        inference::rows_of(report.points, wanted.model, wanted.workload, rack.system->accelerator)};
    if (line.empty()) {
      ratios.unmeasured.push_back(names.name(k));
    } else {
      ratios.racks.push_back({k, names.name(k), std::move(line),
                              rack.provisioned_per_rack.value / rack.gpus_per_rack});
    }
  }
  return ratios;
}

/// Puts the divisor first and leaves out what is of its accelerator.
void choose_divisor(const PlanReport& report, ServiceRatios& ratios) {
  const auto& kinds = report.solved.set->racks;
  auto& racks = ratios.racks;
  const auto owned = std::find_if(racks.begin(), racks.end(), [&](const RatedRack& rated) {
    return kinds[rated.rack].stock->owned > 0;
  });
  if (owned != racks.end()) {
    std::rotate(racks.begin(), owned, std::next(owned));
  }
  if (!racks.empty()) {
    const auto& accelerator = kinds[racks.front().rack].system->accelerator;
    racks.erase(std::remove_if(std::next(racks.begin()), racks.end(),
                               [&](const RatedRack& rated) {
                                 return kinds[rated.rack].system->accelerator == accelerator;
                               }),
                racks.end());
  }
}

void add_rows(const PlanReport& report, const ServiceRatios& ratios, Table& table) {
  const auto& service = report.solved.site->services[ratios.service];
  std::set<double> interactivities{kRoundInteractivities.begin(), kRoundInteractivities.end()};
  interactivities.insert(in_tokens_per_second(service.slo.min_interactivity));
  const auto& divisor = ratios.racks.front();
  for (std::size_t i = 1; i < ratios.racks.size(); ++i) {
    for (const double at : interactivities) {
      if (const auto ratio = ratio_at(ratios.racks[i], divisor, tokens_per_second(at))) {
        table.add({service.id, ratios.racks[i].name, divisor.name, significant(at),
                   significant(ratio->per_gpu, 3), significant(ratio->per_provisioned_mw, 3),
                   std::string{to_string(ratio->tag)},
                   ratio->is_between_deployments ? "a line between deployments"
                                                 : "rows of one deployment on each side"});
      }
    }
  }
}

}  // namespace

std::optional<Ratio> ratio_at(const RatedRack& rack, const RatedRack& divisor, TokensPerSecond at) {
  const auto over = rack.line.pooled_at(at);
  const auto under = divisor.line.pooled_at(at);
  if (!over || !under) {
    return std::nullopt;
  }
  const double per_gpu = over->total_per_gpu / under->total_per_gpu;
  return Ratio{per_gpu, per_gpu * (divisor.provisioned / rack.provisioned),
               weaker(over->tag, under->tag),
               over->is_between_deployments || under->is_between_deployments};
}

std::vector<ServiceRatios> service_ratios(const PlanReport& report, const RackNames& names) {
  std::vector<ServiceRatios> all;
  for (std::size_t s = 0; s < report.solved.site->services.size(); ++s) {
    all.push_back(ratios_of(report, names, s));
    choose_divisor(report, all.back());
  }
  return all;
}

std::vector<Table> ratio_tables(const PlanReport& report) {
  if (report.points.empty()) {
    return {};
  }
  Table table{"ratios",
              "Accelerators at equal interactivity",
              "Total tokens/s of one over another on the pooled lines of all measured rows. Per "
              "provisioned MW: at the meter, every GPU at its cap in the warmest hour, as the rack "
              "kinds stand in this site.",
              {{"service"},
               {"system"},
               {"over"},
               {"tok/s per user", kRight},
               {"per GPU", kRight},
               {"per provisioned MW", kRight},
               {"tag"},
               {"rests on", kProse}},
              {}};
  for (const auto& ratios : service_ratios(report, RackNames{*report.solved.set})) {
    if (ratios.racks.size() < 2) {
      continue;
    }
    add_rows(report, ratios, table);
    for (const auto& name : ratios.unmeasured) {
      table.add({report.solved.site->services[ratios.service].id, name, ratios.racks.front().name,
                 "", "unknown", "unknown", "", "no measured rows of this model and workload"});
    }
  }
  if (table.rows.empty()) {
    return {};
  }
  return {table};
}

}  // namespace perwatt::report
