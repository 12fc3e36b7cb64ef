#include <algorithm>
#include <iterator>
#include <set>
#include <system_error>
#include <utility>

#include "entry_reader.hpp"

#include "perwatt/base/config.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/catalog/quality.hpp"

namespace perwatt::catalog {

namespace fs = std::filesystem;

namespace {

/// Names a file may use. A name outside its list is an error, not a figure nobody reads.
const std::vector<std::string> kAcceleratorFigures = {"tdp_watts",
                                                      "power_min_watts",
                                                      "power_max_watts",
                                                      "idle_watts",
                                                      "memory_gb",
                                                      "memory_bandwidth_tb_per_s",
                                                      "dense_fp64_tflops",
                                                      "dense_fp64_tensor_tflops",
                                                      "dense_tf32_tflops",
                                                      "dense_bf16_tflops",
                                                      "dense_fp8_tflops",
                                                      "dense_int8_tops",
                                                      "dense_fp4_tflops",
                                                      "scale_up_size_gpus",
                                                      "scale_up_bandwidth_gb_per_s",
                                                      "scale_out_gbit_per_s"};
const std::vector<std::string> kModelFigures = {"total_parameters_billions",
                                                "active_parameters_billions"};

}  // namespace

class Loader {
 public:
  void load_folder(const fs::path& folder) {
    std::error_code status;
    if (!fs::is_directory(folder, status)) {
      throw_bad_input("is not a folder", folder.string(),
                      "name a folder of catalog TOML files or climate CSV files");
    }
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator{folder, status}) {
      if (entry.path().extension() == ".toml" || entry.path().extension() == ".csv") {
        files.push_back(entry.path());
      }
    }
    if (files.empty()) {
      throw_bad_input("holds no .toml or .csv file", folder.string(),
                      "name a folder of catalog files");
    }
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
      if (file.extension() == ".csv") {
        replace_or_add(catalog_.climates_, parse_climate(read_file(file), file.string()));
      } else {
        load_document(ConfigTable::parse(read_file(file), file.string()));
      }
    }
  }

  Catalog finish() {
    index(catalog_.accelerators_, catalog_.accelerator_names_);
    index(catalog_.systems_, catalog_.system_names_);
    index(catalog_.plants_, catalog_.plant_names_);
    index(catalog_.models_, catalog_.model_names_);
    check_references();
    use_ids();
    if (!has_finance_) {
      throw_bad_input("no file has a [finance] table", "catalog",
                      "add one, or load the shipped catalog below yours");
    }
    return std::move(catalog_);
  }

 private:
  // ---- one document -------------------------------------------------------------------------

  void load_document(const ConfigTable& document) {
    for (const auto* kind : {"source", "psu_curve", "accelerator", "system", "cooling_plant",
                             "model", "price_table", "energy_price"}) {
      refuse_repeated_ids(document, kind);
    }
    for (const auto& table : document.tables("source")) {
      read_source(table);
    }
    for (const auto& table : document.tables("psu_curve")) {
      read_psu_curve(table);
    }
    for (const auto& table : document.tables("accelerator")) {
      replace_or_add(catalog_.accelerators_, read_accelerator(table));
    }
    for (const auto& table : document.tables("system")) {
      replace_or_add(catalog_.systems_, read_system(table, reader_));
    }
    for (const auto& table : document.tables("cooling_plant")) {
      replace_or_add(catalog_.plants_, read_plant(table, reader_));
    }
    for (const auto& table : document.tables("model")) {
      replace_or_add(catalog_.models_, read_model(table));
    }
    for (const auto& table : document.tables("price_table")) {
      replace_or_add(catalog_.price_tables_, read_price_table(table));
    }
    for (const auto& table : document.tables("token_price")) {
      read_token_price(table);
    }
    for (const auto& table : document.tables("energy_price")) {
      read_energy_price(table);
    }
    if (const auto finance = document.optional_table("finance")) {
      read_finance(*finance);
    }
    document.reject_unknown_keys();
  }

  /// Another file may replace an entry; within one file a second one of the same id is a slip.
  static void refuse_repeated_ids(const ConfigTable& document, const char* kind) {
    std::set<std::string> seen;
    for (const auto& table : document.tables(kind)) {
      const auto id = table.text("id");
      if (!seen.insert(id).second) {
        table.fail("id", "'" + printable(id) + "' is there twice in this file",
                   "remove one or give it an id of its own");
      }
    }
  }

  template <class T>
  static void replace_or_add(std::vector<T>& entries, T entry) {
    for (auto& existing : entries) {
      if (existing.id == entry.id) {
        existing = std::move(entry);
        return;
      }
    }
    entries.push_back(std::move(entry));
  }

  // ---- entries ------------------------------------------------------------------------------

  void read_source(const ConfigTable& table) {
    Source source;
    source.id = table.text("id");
    source.title = table.text("title");
    source.publisher = table.text("publisher");
    source.url = table.optional_text("url").value_or("");
    source.date = EntryReader::read_date(table);
    source.licence = table.optional_text("licence").value_or("");
    table.reject_unknown_keys();
    catalog_.sources_[source.id] = source;
  }

  void read_psu_curve(const ConfigTable& table) {
    PsuCurve curve;
    curve.id = table.text("id");
    curve.load_ratio = table.numbers("load_ratio", kRatio);
    curve.efficiency_ratio = table.numbers("efficiency_ratio", {0.01, 1.0});
    curve.tag = EntryReader::read_tag(table);
    curve.source = reader_.source_ref(table);
    curve.note = table.optional_text("note").value_or("");
    EntryReader::check_axis(table, "load_ratio", curve.load_ratio, "efficiency_ratio",
                            curve.efficiency_ratio.size());
    check_supply_rises(table, curve);
    table.reject_unknown_keys();
    catalog_.psu_curves_[curve.id] = curve;
  }

  /// More load must draw more power: load / efficiency(load) rises on a linear segment just where
  /// the segment, drawn on to load 0, is above 0.
  static void check_supply_rises(const ConfigTable& table, const PsuCurve& curve) {
    for (std::size_t i = 1; i < curve.load_ratio.size(); ++i) {
      const double slope = (curve.efficiency_ratio[i] - curve.efficiency_ratio[i - 1]) /
                           (curve.load_ratio[i] - curve.load_ratio[i - 1]);
      if (curve.efficiency_ratio[i] - slope * curve.load_ratio[i] <= 0) {
        table.fail("efficiency_ratio",
                   "jumps so steeply before load " + shortest(curve.load_ratio[i]) +
                       " that more load would draw less power",
                   "correct the curve");
      }
    }
  }

  Accelerator read_accelerator(const ConfigTable& table) {
    Accelerator accelerator;
    EntryReader::read_identity(table, accelerator);
    accelerator.vendor = table.text("vendor");
    accelerator.architecture = table.text("architecture");
    reader_.read_figures(table, accelerator, kAcceleratorFigures);
    accelerator.tdp =
        EntryReader::sourced_watts(EntryReader::require_figure(table, accelerator, "tdp_watts"));
    if (accelerator.tdp.value <= Watts{}) {
      table.fail("tdp_watts", "is 0", "give the board power limit the accelerator ships with");
    }
    if (const auto* idle = accelerator.find("idle_watts")) {
      accelerator.idle = EntryReader::sourced_watts(*idle);
      if (accelerator.idle->value > accelerator.tdp.value) {
        table.fail("idle_watts", "is " + shortest(idle->value) + ", above tdp_watts",
                   "an idle board draws less than its limit: swap or correct them");
      }
    }
    accelerator.dense_bf16_flops = EntryReader::scaled(accelerator, "dense_bf16_tflops", 1e12);
    accelerator.dense_fp8_flops = EntryReader::scaled(accelerator, "dense_fp8_tflops", 1e12);
    accelerator.dense_fp4_flops = EntryReader::scaled(accelerator, "dense_fp4_tflops", 1e12);
    accelerator.memory_bytes_per_second =
        EntryReader::scaled(accelerator, "memory_bandwidth_tb_per_s", 1e12);
    return accelerator;
  }

  Model read_model(const ConfigTable& table) {
    Model model;
    EntryReader::read_identity(table, model);
    model.vendor = table.text("vendor");
    model.kind = table.text("kind");
    if (model.kind != "dense" && model.kind != "moe" && model.kind != "hybrid") {
      table.fail("kind", "is '" + printable(model.kind) + "'", "use dense, moe or hybrid");
    }
    static_cast<void>(table.optional_text("licence"));
    model.native_precision = EntryReader::read_precision(table, "native_precision");
    for (const auto& score : table.tables("quality")) {
      read_score(score, model);
    }
    reader_.read_figures(table, model, kModelFigures);
    model.total_parameters = EntryReader::scaled(model, "total_parameters_billions", 1e9);
    model.active_parameters = EntryReader::scaled(model, "active_parameters_billions", 1e9);
    return model;
  }

  void read_score(const ConfigTable& table, Model& model) {
    QualityScore score;
    score.benchmark = table.text("benchmark");
    score.score_percent = table.number("score", {0, 100});
    score.precision = EntryReader::read_precision(table, "precision");
    if (table.has("tag")) {
      score.tag = EntryReader::read_tag(table);
    }
    score.date = EntryReader::read_date(table);
    score.source = reader_.source_ref(table);
    score.note = table.optional_text("note").value_or("");
    table.reject_unknown_keys();
    for (const auto& known : model.quality) {
      if (known.benchmark == score.benchmark && known.source == score.source &&
          precision_of(model, known) == precision_of(model, score)) {
        table.fail(
            "benchmark",
            "'" + printable(score.benchmark) + "' is there twice from one source at one precision",
            "keep one, or name the settings in the benchmark");
      }
    }
    model.quality.push_back(std::move(score));
  }

  PriceTable read_price_table(const ConfigTable& table) {
    PriceTable prices;
    prices.id = table.text("id");
    prices.date = EntryReader::read_date(table);
    prices.source = reader_.source_ref(table);
    prices.tag = EntryReader::read_tag(table);
    prices.defined_at = table.where("id");
    const auto electricity = reader_.read_figure(table, "electricity_usd_per_kwh", kNotNegative);
    prices.electricity = {usd_per_kwh(electricity.value), electricity.tag, electricity.source,
                          electricity.note};
    const auto hourly = [](const ConfigTable& row, std::string_view key) {
      const auto value = row.optional_number(key, kNotNegative);
      return value ? std::optional{usd_per_hour(*value)} : std::nullopt;
    };
    for (const auto& row : table.tables("accelerator")) {
      AcceleratorPrice price;
      const auto accelerator = row.text("accelerator");
      reader_.refer({"accelerator", accelerator, row.where("accelerator")});
      price.tco_hyperscaler = hourly(row, "tco_hyperscaler_usd_per_gpu_hour");
      price.tco_neocloud = hourly(row, "tco_neocloud_usd_per_gpu_hour");
      price.rental = hourly(row, "rental_usd_per_gpu_hour");
      if (const auto kw = row.optional_number("allin_facility_kw_per_gpu", kNotNegative)) {
        price.allin_facility = kilowatts(*kw);
      }
      static_cast<void>(row.optional_text("note"));
      row.reject_unknown_keys();
      if (!prices.accelerators.emplace(accelerator, price).second) {
        row.fail("accelerator", "'" + printable(accelerator) + "' is there twice", "remove one");
      }
    }
    static_cast<void>(table.optional_text("note"));
    table.reject_unknown_keys();
    return prices;
  }

  void read_token_price(const ConfigTable& table) {
    TokenPrice price;
    price.model = table.text("model");
    reader_.refer({"model", price.model, table.where("model")});
    price.date = EntryReader::read_date(table);
    price.source = reader_.source_ref(table);
    price.input = usd_per_million_tokens(table.number("input_usd_per_million", kNotNegative));
    if (const auto cached = table.optional_number("cached_input_usd_per_million", kNotNegative)) {
      price.cached_input = usd_per_million_tokens(*cached);
    }
    price.output = usd_per_million_tokens(table.number("output_usd_per_million", kNotNegative));
    static_cast<void>(table.optional_text("note"));
    table.reject_unknown_keys();
    for (auto& existing : catalog_.token_prices_) {
      if (existing.model == price.model && existing.date == price.date) {
        existing = price;
        return;
      }
    }
    catalog_.token_prices_.push_back(price);
  }

  void read_energy_price(const ConfigTable& table) {
    EnergyPrice price;
    price.id = table.text("id");
    price.region = table.text("region");
    price.price = usd_per_kwh(table.number("usd_per_kwh", kNotNegative));
    price.date = EntryReader::read_date(table);
    price.source = reader_.source_ref(table);
    static_cast<void>(table.optional_text("note"));
    table.reject_unknown_keys();
    replace_or_add(catalog_.energy_prices_, price);
  }

  void read_finance(const ConfigTable& table) {
    Finance& finance = catalog_.finance_;
    finance.cost_of_capital_ratio = reader_.read_figure(table, "cost_of_capital_ratio", kRatio);
    finance.facility_capex_usd_per_it_watt =
        reader_.read_figure(table, "facility_capex_usd_per_it_watt", kNotNegative);
    finance.facility_lifetime_years =
        reader_.read_figure(table, "facility_lifetime_years", kPositive);
    finance.server_lifetime_years = reader_.read_figure(table, "server_lifetime_years", kPositive);
    has_finance_ = true;
    finance.opex_ratio_per_year = reader_.read_figure(table, "opex_ratio_per_year", kRatio);
    table.reject_unknown_keys();
  }

  // ---- the whole ----------------------------------------------------------------------------

  template <class T>
  static void index(const std::vector<T>& entries,
                    std::map<std::string, std::size_t, std::less<>>& names) {
    const auto add = [&](const std::string& name, std::size_t i) {
      const auto [at, added] = names.emplace(lower_case(name), i);
      if (!added && at->second != i) {
        throw_bad_input("the name '" + printable(name) + "' already stands for '" +
                            entries[at->second].id + "'",
                        entries[i].defined_at, "use each id and alias once");
      }
    };
    for (std::size_t i = 0; i < entries.size(); ++i) {
      add(entries[i].id, i);
      for (const auto& alias : entries[i].aliases) {
        add(alias, i);
      }
    }
  }

  void check_references() const {
    for (const auto& [id, where] : reader_.source_uses()) {
      if (!catalog_.sources_.contains(id)) {
        std::vector<std::string> known;
        for (const auto& [known_id, source] : catalog_.sources_) {
          known.push_back(known_id);
        }
        throw_bad_input("the source '" + printable(id) + "' is not declared", where,
                        "add a [[source]] with this id; " + suggestion(id, known));
      }
    }
    for (const auto& reference : reader_.references()) {
      if (reference.kind == "accelerator") {
        static_cast<void>(catalog_.accelerator(reference.id, reference.where));
      } else if (reference.kind == "model") {
        static_cast<void>(catalog_.model(reference.id, reference.where));
      } else if (reference.kind == "cooling plant") {
        static_cast<void>(catalog_.cooling_plant(reference.id, reference.where));
      } else if (!catalog_.psu_curves_.contains(reference.id)) {
        throw_bad_input("the PSU curve '" + printable(reference.id) + "' is not declared",
                        reference.where, "add a [[psu_curve]] with this id");
      }
    }
  }

  /// Turns names that refer to entries by an alias into their ids.
  void use_ids() {
    for (auto& system : catalog_.systems_) {
      const auto* chassis = std::get_if<ChassisChain>(&system.chain);
      const auto& curve = chassis != nullptr ? chassis->psu_curve
                                             : std::get<RackScaleChain>(system.chain).psu_curve;
      system.chain_tag = weaker(system.chain_tag, catalog_.psu_curves_.find(curve)->second.tag);
      system.accelerator = catalog_.find_accelerator(system.accelerator)->id;
      system.cooling_plant = catalog_.cooling_plant(system.cooling_plant, system.defined_at).id;
    }
    for (auto& table : catalog_.price_tables_) {
      std::map<std::string, AcceleratorPrice, std::less<>> by_id;
      for (const auto& [name, price] : table.accelerators) {
        const auto& id = catalog_.find_accelerator(name)->id;
        if (!by_id.emplace(id, price).second) {
          throw_bad_input("price table '" + table.id + "' prices '" + id + "' twice",
                          table.defined_at, "remove one of its names");
        }
      }
      table.accelerators = std::move(by_id);
    }
    for (auto& price : catalog_.token_prices_) {
      price.model = catalog_.find_model(price.model)->id;
    }
  }

  Catalog catalog_;
  EntryReader reader_;
  bool has_finance_ = false;
};

Catalog Catalog::load(const std::vector<fs::path>& folders) {
  Loader loader;
  for (const auto& folder : folders) {
    loader.load_folder(folder);
  }
  return loader.finish();
}

}  // namespace perwatt::catalog
