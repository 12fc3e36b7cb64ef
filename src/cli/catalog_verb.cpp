// perwatt catalog list|show: what is known, and where each figure is from.
#include <algorithm>

#include "json_values.hpp"
#include "table.hpp"
#include "verbs.hpp"
#include <fmt/format.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/catalog/quality.hpp"

namespace perwatt::cli {

namespace {

struct CatalogOptions {
  DataOptions data;
  std::string id;
  bool json = false;
};

struct Listed {
  const char* kind;
  const catalog::Entry* entry;
  const catalog::Model* model = nullptr;  // the entry, where it is one
};

std::vector<Listed> all_entries(const catalog::Catalog& catalog) {
  std::vector<Listed> entries;
  const auto take = [&](const char* kind, const auto& list) {
    for (const auto& entry : list) {
      entries.push_back({kind, &entry});
    }
  };
  take("accelerator", catalog.accelerators());
  take("system", catalog.systems());
  take("cooling plant", catalog.cooling_plants());
  for (const auto& model : catalog.models()) {
    entries.push_back({"model", &model, &model});
  }
  return entries;
}

Json figure_json(const catalog::Sourced<double>& figure) {
  Json json{{"value", figure.value}, {"tag", to_string(figure.tag)}, {"source", figure.source}};
  if (!figure.note.empty()) {
    json["note"] = figure.note;
  }
  return json;
}

Json quality_json(const catalog::Model& model) {
  Json scores = Json::array();
  for (const auto& score : model.quality) {
    const auto precision = catalog::precision_of(model, score);
    Json json{{"benchmark", score.benchmark},
              {"score_percent", score.score_percent},
              {"precision", precision ? Json(*precision) : Json(nullptr)},
              {"tag", to_string(score.tag)},
              {"date", score.date},
              {"source", score.source}};
    if (!score.note.empty()) {
      json["note"] = score.note;
    }
    scores.push_back(std::move(json));
  }
  return scores;
}

const char* rejection_name(catalog::Rejection rejection) {
  switch (rejection) {
    case catalog::Rejection::dry:
      return "dry";
    case catalog::Rejection::evaporative:
      return "evaporative";
    case catalog::Rejection::chiller:
      break;
  }
  return "chiller";
}

/// The plant that an entry is when it is a physical one, else null.
const catalog::CoolingPlant* physical_plant(const catalog::Catalog& catalog,
                                            const catalog::Entry& entry) {
  for (const auto& plant : catalog.cooling_plants()) {
    if (&plant == &entry && plant.physics) {
      return &plant;
    }
  }
  return nullptr;
}

Json entry_json(const catalog::Catalog& catalog, const Listed& listed) {
  Json json{{"kind", listed.kind},
            {"id", listed.entry->id},
            {"name", listed.entry->name},
            {"aliases", listed.entry->aliases}};
  if (!listed.entry->note.empty()) {
    json["note"] = listed.entry->note;
  }
  if (const auto* plant = physical_plant(catalog, *listed.entry)) {
    json["medium"] = plant->medium;
    json["rejection"] = rejection_name(plant->physics->rejection);
    json["has_chiller"] = plant->physics->chiller.has_value();
  }
  for (const auto& figure : listed.entry->figures) {
    json["figures"][figure.name] = figure_json(figure.figure);
  }
  if (listed.model != nullptr) {
    const auto& native = listed.model->native_precision;
    json["native_precision"] = native ? Json(*native) : Json(nullptr);
    json["quality"] = quality_json(*listed.model);
  }
  return json;
}

Json climate_json(const catalog::Climate& climate) {
  const auto summary = catalog::summary_of(climate);
  return {{"kind", "climate"},
          {"id", climate.id},
          {"name", climate.name},
          {"source", climate.source},
          {"classes", climate.classes.size()},
          {"hours", summary.hours},
          {"mean_dry_bulb_c", in_celsius(summary.mean_dry_bulb)},
          {"max_dry_bulb_c", in_celsius(summary.max_dry_bulb)},
          {"coldest_class_dry_bulb_c", in_celsius(summary.coldest_class_dry_bulb)},
          {"mean_wet_bulb_c", in_celsius(summary.mean_wet_bulb)},
          {"max_wet_bulb_c", in_celsius(summary.max_wet_bulb)}};
}

Json price_table_json(const catalog::PriceTable& table) {
  Json json{{"kind", "price table"},
            {"id", table.id},
            {"date", table.date},
            {"source", table.source},
            {"tag", to_string(table.tag)}};
  json["electricity_usd_per_kwh"] = in_usd_per_kwh(table.electricity.value);
  const auto hourly = [](const std::optional<UsdPerSecond>& price) {
    return price ? Json(in_usd_per_hour(*price)) : Json(nullptr);
  };
  for (const auto& [id, price] : table.accelerators) {
    json["accelerators"][id] = {
        {"tco_hyperscaler_usd_per_gpu_hour", hourly(price.tco_hyperscaler)},
        {"tco_neocloud_usd_per_gpu_hour", hourly(price.tco_neocloud)},
        {"rental_usd_per_gpu_hour", hourly(price.rental)},
        {"allin_facility_kw_per_gpu",
         price.allin_facility ? Json(in_kilowatts(*price.allin_facility)) : Json(nullptr)}};
  }
  return json;
}

void list(const CatalogOptions& options) {
  const auto catalog = load_catalog(options.data);
  const auto entries = all_entries(catalog);
  if (options.json) {
    Json json = Json::array();
    for (const auto& listed : entries) {
      json.push_back(entry_json(catalog, listed));
    }
    for (const auto& table : catalog.price_tables()) {
      json.push_back(price_table_json(table));
    }
    for (const auto& climate : catalog.climates()) {
      json.push_back(climate_json(climate));
    }
    fmt::print("{}\n", json.dump(2));
    return;
  }
  TextTable table{{"kind", "id", "name", "figures"}, {0, 1, 2}};
  for (const auto& listed : entries) {
    table.add({listed.kind, listed.entry->id, listed.entry->name,
               std::to_string(listed.entry->figures.size())});
  }
  for (const auto& prices : catalog.price_tables()) {
    table.add({"price table", prices.id, "accelerator hours of " + prices.date,
               std::to_string(prices.accelerators.size())});
  }
  for (const auto& climate : catalog.climates()) {
    table.add({"climate", climate.id, climate.name, std::to_string(climate.classes.size())});
  }
  fmt::print("{}", table.text());
}

std::string source_text(const catalog::Catalog& catalog, const std::string& id) {
  const auto& source = catalog.source(id);
  return source.title + ", " + source.publisher + ", " + source.date +
         (source.url.empty() ? "" : ", " + source.url);
}

void print_entry(const catalog::Catalog& catalog, const Listed& listed) {
  const auto& entry = *listed.entry;
  fmt::print("{} {}: {}\n", listed.kind, entry.id, entry.name);
  if (!entry.aliases.empty()) {
    fmt::print("also called {}\n", join(entry.aliases, ", "));
  }
  fmt::print("defined at {}\n{}", entry.defined_at,
             entry.note.empty() ? "" : "note: " + entry.note + "\n");
  if (const auto* plant = physical_plant(catalog, entry)) {
    fmt::print("medium {}, rejection {}, {}\n", plant->medium,
               rejection_name(plant->physics->rejection),
               plant->physics->chiller ? "with chiller" : "no chiller");
  }
  fmt::print("\n");
  TextTable table{{"figure", "value", "tag", "source"}, {0, 2, 3}};
  std::vector<std::string> sources;
  std::vector<std::string> notes;
  for (const auto& figure : entry.figures) {
    table.add({figure.name, significant(figure.figure.value, 7),
               std::string{to_string(figure.figure.tag)}, figure.figure.source});
    if (std::find(sources.begin(), sources.end(), figure.figure.source) == sources.end()) {
      sources.push_back(figure.figure.source);
    }
    if (!figure.figure.note.empty()) {
      notes.push_back(figure.name + ": " + figure.figure.note);
    }
  }
  fmt::print("{}", table.text());
  fmt::print("\nsources\n");
  for (const auto& id : sources) {
    fmt::print("  {}: {}\n", id, source_text(catalog, id));
  }
  for (const auto& note : notes) {
    fmt::print("{}  {}\n", &note == &notes.front() ? "\nnotes\n" : "", note);
  }
}

void print_quality(const catalog::Catalog& catalog, const catalog::Model& model) {
  fmt::print("\nreleased in {}\n", model.native_precision.value_or("an unknown precision"));
  if (model.quality.empty()) {
    return;
  }
  TextTable table{{"quality score", "weights", "%", "tag", "date", "source"}, {0, 1, 3, 4, 5}};
  std::vector<std::string> sources;
  std::string notes;
  for (const auto& score : model.quality) {
    const std::string precision{catalog::precision_of(model, score).value_or("unknown")};
    table.add({score.benchmark, precision, shortest(score.score_percent),
               std::string{to_string(score.tag)}, score.date, score.source});
    if (std::find(sources.begin(), sources.end(), score.source) == sources.end()) {
      sources.push_back(score.source);
    }
    if (!score.note.empty()) {
      notes += "  " + score.benchmark + " at " + precision + ", " + score.source + ": " +
               score.note + "\n";
    }
  }
  fmt::print("\n{}\nsources of the scores\n", table.text());
  for (const auto& id : sources) {
    fmt::print("  {}: {}\n", id, source_text(catalog, id));
  }
  fmt::print("{}{}", notes.empty() ? "" : "\nnotes on the scores\n", notes);
}

void print_prices(const catalog::Catalog& catalog, const catalog::PriceTable& prices) {
  fmt::print("price table {} of {}: {}\n\n", prices.id, prices.date,
             source_text(catalog, prices.source));
  TextTable table{{"accelerator", "hyperscaler USD/GPU-h", "neocloud USD/GPU-h", "rental USD/GPU-h",
                   "all-in facility kW/GPU"}};
  const auto hourly = [](const std::optional<UsdPerSecond>& price) {
    return or_dash(price ? std::optional{in_usd_per_hour(*price)} : std::nullopt);
  };
  for (const auto& [id, price] : prices.accelerators) {
    table.add({id, hourly(price.tco_hyperscaler), hourly(price.tco_neocloud), hourly(price.rental),
               or_dash(price.allin_facility ? std::optional{in_kilowatts(*price.allin_facility)}
                                            : std::nullopt)});
  }
  fmt::print("{}\nelectricity inside the hourly price: {} USD/kWh ({}, {})\n", table.text(),
             shortest(in_usd_per_kwh(prices.electricity.value)), to_string(prices.electricity.tag),
             prices.electricity.source);
}

void print_climate(const catalog::Climate& climate) {
  const auto summary = catalog::summary_of(climate);
  fmt::print("climate {}: {}\ndefined at {}\nsource: {}\n\n{} hours in {} classes\n", climate.id,
             climate.name, climate.defined_at, climate.source, shortest(summary.hours),
             climate.classes.size());
  TextTable table{{"°C", "mean", "maximum", "coldest class"}};
  const auto degrees = [](Celsius t) { return fmt::format("{:.1f}", in_celsius(t)); };
  table.add({"dry bulb", degrees(summary.mean_dry_bulb), degrees(summary.max_dry_bulb),
             degrees(summary.coldest_class_dry_bulb)});
  table.add({"wet bulb", degrees(summary.mean_wet_bulb), degrees(summary.max_wet_bulb), "–"});
  fmt::print("{}", table.text());
}

void show(const CatalogOptions& options) {
  const auto catalog = load_catalog(options.data);
  const auto wanted = lower_case(options.id);
  std::vector<std::string> known;
  for (const auto& listed : all_entries(catalog)) {
    bool is_it = listed.entry->id == wanted;
    for (const auto& alias : listed.entry->aliases) {
      is_it = is_it || lower_case(alias) == wanted;
    }
    if (is_it) {
      if (options.json) {
        fmt::print("{}\n", entry_json(catalog, listed).dump(2));
        return;
      }
      print_entry(catalog, listed);
      if (listed.model != nullptr) {
        print_quality(catalog, *listed.model);
      }
      return;
    }
    known.push_back(listed.entry->id);
  }
  for (const auto& prices : catalog.price_tables()) {
    if (prices.id == options.id) {
      if (options.json) {
        fmt::print("{}\n", price_table_json(prices).dump(2));
      } else {
        print_prices(catalog, prices);
      }
      return;
    }
    known.push_back(prices.id);
  }
  for (const auto& climate : catalog.climates()) {
    if (climate.id == wanted) {
      if (options.json) {
        fmt::print("{}\n", climate_json(climate).dump(2));
      } else {
        print_climate(climate);
      }
      return;
    }
    known.push_back(climate.id);
  }
  throw_bad_input("the catalog has no entry '" + printable(options.id) + "'", "catalog show",
                  suggestion(options.id, known) + " (perwatt catalog list shows all)");
}

}  // namespace

void add_catalog_verb(CLI::App& app) {
  auto options = std::make_shared<CatalogOptions>();
  auto* verb = app.add_subcommand(
      "catalog",
      "List and show hardware, models, cooling, climates and prices, each figure with its source");
  verb->require_subcommand(1);
  verb->footer(
      "Examples:\n"
      "  perwatt catalog list\n"
      "  perwatt catalog show h200\n"
      "  perwatt catalog show 2026-08 --json");
  auto* list_verb = verb->add_subcommand("list", "One line per entry");
  auto* show_verb = verb->add_subcommand("show", "All figures of one entry");
  show_verb->add_option("ID", options->id, "Id or alias of an entry, a climate or a price table")
      ->required();
  for (auto* sub : {list_verb, show_verb}) {
    add_catalog_option(*sub, options->data);
    sub->add_flag("--json", options->json, "Print JSON");
  }
  list_verb->callback([options] { list(*options); });
  show_verb->callback([options] { show(*options); });
}

}  // namespace perwatt::cli
