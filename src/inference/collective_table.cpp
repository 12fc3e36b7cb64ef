// Reads the measured collectives.
#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <utility>

#include "curve_table.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/inference/collectives.hpp"

namespace perwatt::inference {

namespace {

constexpr std::array<std::string_view, 4> kOperations = {"all_reduce", "all_gather",
                                                         "reduce_scatter", "all_to_all"};
constexpr std::array<std::string_view, 2> kPhases = {"dispatch", "combine"};
constexpr double kBytesPerGigabyte = 1e9;
constexpr double kMostCollectiveGpus = 1e6;

Collective collective_of(std::string_view name) {
  return static_cast<Collective>(std::find(kOperations.begin(), kOperations.end(), name) -
                                 kOperations.begin());
}

int gpus_of(const CurveTable& table, const CsvRow& row) {
  const double gpus = table.size(row, "gpus");
  if (gpus < 2 || gpus > kMostCollectiveGpus ||
      gpus != static_cast<double>(static_cast<int>(gpus))) {
    throw_bad_input("a collective of this many GPUs", table.where(row, "gpus"),
                    "give a whole number from 2");
  }
  return static_cast<int>(gpus);
}

double figure_of(const catalog::Accelerator& accelerator, std::string_view name,
                 const std::string& where) {
  const auto* figure = accelerator.find(name);
  if (figure == nullptr) {
    throw_bad_input("the catalog has no " + std::string{name} + " of '" + accelerator.id + "'",
                    where, "add it to the catalog or remove the line");
  }
  return figure->value;
}

std::vector<TransferPoint> points_of(const CurveTable& table, const CsvRow& row) {
  const auto curve = table.curve(row);
  std::vector<TransferPoint> points;
  points.reserve(curve.size());
  for (const auto& point : curve) {
    points.push_back({point.place, point.latency});
  }
  return points;
}

std::vector<CollectiveTable::FamilyEntry> read_families(const std::filesystem::path& file,
                                                        const catalog::Catalog& catalog) {
  CurveTable table{read_file(file), file.string()};

  struct Collected {
    int domain = 0;
    double link = 0;
    std::vector<CollectiveFamily::Curve> curves;
  };

  std::map<std::tuple<std::string, std::string, Collective>, Collected> families;
  for (const auto& row : table.rows()) {
    const auto where = table.where(row, "accelerator");
    const auto& accelerator = catalog.accelerator(table.name(row, "accelerator"), where);
    const auto op = collective_of(table.one_of(row, "operation", kOperations));
    table.check_new(row);
    auto& family = families[{accelerator.id, table.name(row, "library"), op}];
    family.domain = static_cast<int>(figure_of(accelerator, "scale_up_size_gpus", where));
    family.link = kBytesPerGigabyte * figure_of(accelerator, "scale_up_bandwidth_gb_per_s", where);
    family.curves.push_back({gpus_of(table, row), points_of(table, row), {}});
  }
  std::vector<CollectiveTable::FamilyEntry> result;
  result.reserve(families.size());
  for (auto& [key, family] : families) {
    result.push_back(
        {std::get<0>(key), std::get<1>(key),
         CollectiveFamily{std::get<2>(key), family.domain, family.link, std::move(family.curves)}});
  }
  return result;
}

std::vector<CollectiveTable::ExchangeEntry> read_exchanges(const std::filesystem::path& file,
                                                           const catalog::Catalog& catalog) {
  CurveTable table{read_file(file), file.string()};
  std::map<std::array<std::string, 4>, std::vector<ExpertExchangeFamily::Curve>> families;
  for (const auto& row : table.rows()) {
    const auto where = table.where(row, "accelerator");
    const auto& accelerator = catalog.accelerator(table.name(row, "accelerator"), where);
    table.check_new(row);
    ExpertExchange shape{gpus_of(table, row), 0, table.size(row, "hidden"), table.size(row, "topk"),
                         table.size(row, "experts")};
    families[{accelerator.id, table.name(row, "library"), table.text(row, "dtype"),
              table.one_of(row, "phase", kPhases)}]
        .push_back({shape, points_of(table, row)});
  }
  std::vector<CollectiveTable::ExchangeEntry> result;
  result.reserve(families.size());
  for (auto& [key, curves] : families) {
    const bool sends_per_expert = key[1].ends_with("_ll");
    result.push_back({key[0], key[1], key[2], key[3],
                      ExpertExchangeFamily{sends_per_expert, std::move(curves)}});
  }
  return result;
}

}  // namespace

CollectiveTable CollectiveTable::load(const std::filesystem::path& folder,
                                      const catalog::Catalog& catalog) {
  CollectiveTable table;
  table.families_ = read_families(folder / "collectives.csv", catalog);
  table.exchanges_ = read_exchanges(folder / "expert_exchange.csv", catalog);
  return table;
}

const CollectiveFamily* CollectiveTable::find(std::string_view accelerator,
                                              std::string_view library, Collective op) const {
  const auto found = std::find_if(families_.begin(), families_.end(), [&](const auto& entry) {
    return entry.family.op() == op && entry.accelerator == accelerator && entry.library == library;
  });
  return found == families_.end() ? nullptr : &found->family;
}

const ExpertExchangeFamily* CollectiveTable::find_exchange(std::string_view accelerator,
                                                           std::string_view library,
                                                           std::string_view dtype,
                                                           std::string_view phase) const {
  const auto found = std::find_if(exchanges_.begin(), exchanges_.end(), [&](const auto& entry) {
    return entry.accelerator == accelerator && entry.library == library && entry.dtype == dtype &&
           entry.phase == phase;
  });
  return found == exchanges_.end() ? nullptr : &found->family;
}

}  // namespace perwatt::inference
