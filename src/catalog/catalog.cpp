#include "perwatt/catalog/catalog.hpp"

#include <algorithm>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::catalog {

namespace {

template <class T>
const T* find_by_name(const std::vector<T>& entries,
                      const std::map<std::string, std::size_t, std::less<>>& names,
                      std::string_view name) {
  const auto at = names.find(lower_case(name));
  return at == names.end() ? nullptr : &entries[at->second];
}

template <class T>
const T& require_by_name(const std::vector<T>& entries,
                         const std::map<std::string, std::size_t, std::less<>>& names,
                         std::string_view name, std::string_view where, std::string_view kind) {
  if (const T* entry = find_by_name(entries, names, name)) {
    return *entry;
  }
  std::vector<std::string> known;
  known.reserve(names.size());
  for (const auto& entry : entries) {
    known.push_back(entry.id);
  }
  throw_bad_input("no " + std::string{kind} + " is called '" + printable(name) + "'",
                  std::string{where},
                  suggestion(name, known) + " (perwatt catalog list shows all)");
}

}  // namespace

bool is_precision(std::string_view text) {
  return std::find(kPrecisions.begin(), kPrecisions.end(), text) != kPrecisions.end();
}

const Sourced<double>* Entry::find(std::string_view figure_name) const {
  for (const auto& figure : figures) {
    if (figure.name == figure_name) {
      return &figure.figure;
    }
  }
  return nullptr;
}

std::optional<double> Accelerator::peak_flops(std::string_view precision) const {
  const bool four_bit = precision == "fp4" || precision == "mxfp4" || precision == "nvfp4";
  if (four_bit && dense_fp4_flops) {
    return dense_fp4_flops;
  }
  if ((four_bit || precision == "fp8") && dense_fp8_flops) {
    return dense_fp8_flops;
  }
  return dense_bf16_flops;
}

const Accelerator* Catalog::find_accelerator(std::string_view name) const {
  return find_by_name(accelerators_, accelerator_names_, name);
}

const Model* Catalog::find_model(std::string_view name) const {
  return find_by_name(models_, model_names_, name);
}

const Accelerator& Catalog::accelerator(std::string_view name, std::string_view where) const {
  return require_by_name(accelerators_, accelerator_names_, name, where, "accelerator");
}

const System& Catalog::system(std::string_view name, std::string_view where) const {
  return require_by_name(systems_, system_names_, name, where, "system");
}

const Model& Catalog::model(std::string_view name, std::string_view where) const {
  return require_by_name(models_, model_names_, name, where, "model");
}

const CoolingPlant& Catalog::cooling_plant(std::string_view name, std::string_view where) const {
  return require_by_name(plants_, plant_names_, name, where, "cooling plant");
}

const PriceTable& Catalog::price_table(std::string_view name, std::string_view where) const {
  std::vector<std::string> known;
  for (const auto& table : price_tables_) {
    if (lower_case(table.id) == lower_case(name)) {
      return table;
    }
    known.push_back(table.id);
  }
  throw_bad_input("no price table is called '" + printable(name) + "'", std::string{where},
                  suggestion(name, known));
}

const Climate& Catalog::climate(std::string_view name, std::string_view where) const {
  std::vector<std::string> known;
  for (const auto& climate : climates_) {
    if (climate.id == lower_case(name)) {
      return climate;
    }
    known.push_back(climate.id);
  }
  throw_bad_input("no climate is called '" + printable(name) + "'", std::string{where},
                  known.empty()
                      ? "add a climate file to a catalog folder with perwatt import weather"
                      : suggestion(name, known) + " (perwatt import weather makes others)");
}

const PsuCurve& Catalog::psu_curve(std::string_view id) const {
  return psu_curves_.find(id)->second;  // checked by the loader
}

const Source& Catalog::source(std::string_view id) const {
  return sources_.find(id)->second;  // checked by the loader
}

const TokenPrice* Catalog::token_price(std::string_view model_id) const {
  const TokenPrice* newest = nullptr;
  for (const auto& price : token_prices_) {
    if (price.model == model_id && (newest == nullptr || price.date > newest->date)) {
      newest = &price;
    }
  }
  return newest;
}

std::string newest_hourly_table(const Catalog& catalog) {
  const PriceTable* best = nullptr;
  for (const auto& table : catalog.price_tables()) {
    if (best == nullptr || table.accelerators.size() > best->accelerators.size() ||
        (table.accelerators.size() == best->accelerators.size() && table.date > best->date)) {
      best = &table;
    }
  }
  return best == nullptr ? std::string{} : best->id;
}

}  // namespace perwatt::catalog
