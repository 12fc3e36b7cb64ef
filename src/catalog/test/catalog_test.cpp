#include "perwatt/catalog/catalog.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "error_of.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::catalog {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// ---- small catalogs of the test ---------------------------------------------------------------

/// One entry of each kind; line 1 is "[[source]]".
constexpr const char* kSmall = R"([[source]]
id = "src"
title = "A table"
publisher = "Somebody"
date = "2026-01"

[[psu_curve]]
id = "psu"
source = "src"
tag = "published"
load_ratio = [0.1, 1]
efficiency_ratio = [0.9, 0.95]

[[accelerator]]
id = "gpu"
aliases = ["gpu-alias"]
vendor = "V"
architecture = "A"
tdp_watts = { value = 500, source = "src", tag = "measured" }
idle_watts = { value = 50, source = "src", tag = "measured" }

[[cooling_plant]]
id = "plant"
medium = "air"
pue = { value = 1.3, source = "src", tag = "measured" }
distribution_loss_ratio = { value = 0.1, source = "src", tag = "measured" }

[[system]]
id = "chassis"
accelerator = "gpu-alias"
cooling_plant = "plant"
gpus_per_node = 8
nodes_per_rack = 4
chain = "chassis"
psu_curve = "psu"
fixed_dc_watts = { value = 1000, source = "src", tag = "measured" }
fan_nameplate_watts = { value = 500, source = "src", tag = "measured" }
fan_min_pwm_ratio = { value = 0.2, source = "src", tag = "measured" }
fan_max_pwm_ratio = { value = 0.8, source = "src", tag = "measured" }
fan_full_load_watts = { value = 5000, source = "src", tag = "measured" }
psu_share_capacity_watts = { value = 12000, source = "src", tag = "measured" }
psu_modeled_capacity_watts = { value = 9000, source = "src", tag = "measured" }
network_watts = { value = 400, source = "src", tag = "measured" }
lifetime_years = { value = 5, source = "src", tag = "assumed" }

[[system]]
id = "rack"
accelerator = "gpu"
cooling_plant = "plant"
gpus_per_node = 4
nodes_per_rack = 1
chain = "rack-scale"
psu_curve = "psu"
compute_trays = 2
boards_per_tray = 1
gpus_per_board = 2
tray_fans = 4
switch_trays = 1
power_shelves = 2
psus_per_shelf = 3
converter_load_ratio = [0, 1]
converter_loss_watts = [10, 100]
converter_source = "src"
cpu_watts = { value = 100, source = "src", tag = "derived" }
cpu_max_watts = { value = 300, source = "src", tag = "derived" }
tray_aux_watts = { value = 100, source = "src", tag = "derived" }
board_air_heat_watts = { value = 5, source = "src", tag = "derived" }
tray_fan_rated_watts = { value = 30, source = "src", tag = "derived" }
fan_min_speed_ratio = { value = 0.4, source = "src", tag = "derived" }
fan_max_speed_ratio = { value = 0.7, source = "src", tag = "derived" }
tray_design_air_heat_watts = { value = 500, source = "src", tag = "derived" }
tray_converter_capacity_watts = { value = 3000, source = "src", tag = "derived" }
switch_tray_watts = { value = 400, source = "src", tag = "derived" }
psu_capacity_watts = { value = 5500, source = "src", tag = "derived" }
shelf_controller_watts = { value = 10, source = "src", tag = "derived" }
network_watts = { value = 300, source = "src", tag = "derived" }

[[model]]
id = "llm"
vendor = "V"
kind = "moe"
active_parameters_billions = { value = 37, source = "src", tag = "published" }

[[model.quality]]
benchmark = "MMLU"
score = 85
date = "2026-01"
source = "src"

[[price_table]]
id = "prices"
date = "2026-01"
source = "src"
tag = "published"
electricity_usd_per_kwh = { value = 0.09, source = "src", tag = "assumed" }

[[price_table.accelerator]]
accelerator = "gpu"
rental_usd_per_gpu_hour = 2.5

[[token_price]]
model = "llm"
date = "2026-01"
source = "src"
input_usd_per_million = 1
output_usd_per_million = 4

[[energy_price]]
id = "grid"
region = "R"
usd_per_kwh = 0.1
date = "2026-01"
source = "src"

[finance]
cost_of_capital_ratio = { value = 0.1, source = "src", tag = "assumed" }
facility_capex_usd_per_it_watt = { value = 10, source = "src", tag = "assumed" }
facility_lifetime_years = { value = 15, source = "src", tag = "assumed" }
server_lifetime_years = { value = 6, source = "src", tag = "assumed" }
opex_ratio_per_year = { value = 0.03, source = "src", tag = "assumed" }
)";

/// A folder that is gone when the test ends.
class Folder {
 public:
  Folder() {
    static int count = 0;
    path_ = fs::temp_directory_path() /
            ("perwatt_catalog_test_" + std::to_string(::getpid()) + "_" + std::to_string(++count));
    fs::create_directories(path_);
  }

  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  ~Folder() { fs::remove_all(path_); }

  Folder& with(const std::string& name, const std::string& text) {
    write_file(path_ / name, text);
    return *this;
  }

  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// kSmall with the first `from` replaced.
std::string small_with(const std::string& from, const std::string& to) {
  std::string text = kSmall;
  const auto place = text.find(from);
  EXPECT_NE(place, std::string::npos) << from;
  return place == std::string::npos ? text : text.replace(place, from.size(), to);
}

Catalog load_text(const std::string& text) {
  Folder folder;
  folder.with("all.toml", text);
  return Catalog::load({folder.path()});
}

Catalog load_with_override(const std::string& text) {
  Folder base;
  Folder own;
  base.with("all.toml", kSmall);
  own.with("own.toml", text);
  return Catalog::load({base.path(), own.path()});
}

TEST(Catalog, ASmallCatalogLoads) {
  const auto catalog = load_text(kSmall);
  EXPECT_EQ(catalog.system("chassis", "").accelerator, "gpu");  // the alias became the id
  EXPECT_EQ(catalog.system("rack", "").chain.index(), 1U);
  EXPECT_EQ(catalog.accelerator("gpu", "").name, "gpu");  // no name: the id
  EXPECT_THAT(catalog.accelerator("gpu", "").defined_at, HasSubstr("all.toml:15: accelerator[1]"));
  EXPECT_DOUBLE_EQ(in_usd_per_million_tokens(catalog.token_price("llm")->output), 4);
  EXPECT_EQ(catalog.token_price("llm")->cached_input, std::nullopt);
  EXPECT_EQ(catalog.finance().server_lifetime_years.value, 6);
}

TEST(Catalog, AChainIsAsStrongAsItsWeakestFigure) {
  EXPECT_EQ(
      load_text(small_with("network_watts = { value = 400, source = \"src\", tag = \"measured\"",
                           "network_watts = { value = 400, source = \"src\", tag = \"assumed\""))
          .system("chassis", "")
          .chain_tag,
      Tag::assumed);
}

// Defect: chain_tag starts at published, so a chain of measured figures is called published; the
// tag of the PSU curve plays no part.
TEST(Catalog, AChainOfMeasuredFiguresAndAMeasuredPsuCurveIsMeasured) {
  const auto catalog =
      load_text(small_with("tag = \"published\"\nload", "tag = \"measured\"\nload"));
  EXPECT_EQ(catalog.system("chassis", "").chain_tag, Tag::measured);
  EXPECT_EQ(catalog.system("rack", "").chain_tag, Tag::derived);
}

TEST(Catalog, ALaterFolderReplacesAnEntryWhole) {
  const auto catalog = load_with_override(R"([[accelerator]]
id = "gpu"
aliases = ["gpu-alias"]
vendor = "W"
architecture = "B"
tdp_watts = { value = 600, source = "src", tag = "assumed" }
)");
  ASSERT_EQ(catalog.accelerators().size(), 1U);
  EXPECT_EQ(catalog.accelerator("gpu", "").tdp.value, watts(600));
  EXPECT_FALSE(catalog.accelerator("gpu", "").idle);  // whole: nothing of the old one stays
  EXPECT_THAT(catalog.accelerator("gpu", "").defined_at, HasSubstr("own.toml:2"));
}

TEST(Catalog, ReplacingAnEntryDropsTheAliasesOthersUse) {
  // "chassis" names the accelerator by the alias that the new entry no longer has.
  EXPECT_THAT(error_of([] {
                static_cast<void>(load_with_override(
                    "[[accelerator]]\nid = \"gpu\"\nvendor = \"W\"\narchitecture = \"B\"\n"
                    "tdp_watts = { value = 600, source = \"src\", tag = \"assumed\" }\n"));
              }),
              HasSubstr("gpu-alias"));
}

TEST(Catalog, ALaterFolderExtends) {
  const auto catalog = load_with_override(R"([[model]]
id = "mine"
aliases = ["Mine/Model-7B"]
vendor = "Me"
kind = "dense"
)");
  EXPECT_EQ(catalog.models().size(), 2U);
  EXPECT_EQ(catalog.model("mine/model-7b", "").id, "mine");
  EXPECT_EQ(catalog.find_model("mine")->active_parameters, std::nullopt);
}

TEST(Catalog, ALaterFolderReplacesPricesOfTheSameDate) {
  const auto catalog = load_with_override(R"([[energy_price]]
id = "grid"
region = "R"
usd_per_kwh = 0.2
date = "2026-01"
source = "src"
)");
  ASSERT_EQ(catalog.energy_prices().size(), 1U);
  EXPECT_DOUBLE_EQ(in_usd_per_kwh(catalog.energy_prices()[0].price), 0.2);
}

// Defect: a token price of the same model and date is appended, and the older one is found.
TEST(Catalog, ALaterFolderReplacesATokenPriceOfTheSameDate) {
  const auto catalog = load_with_override(R"([[token_price]]
model = "llm"
date = "2026-01"
source = "src"
input_usd_per_million = 10
output_usd_per_million = 40
)");
  EXPECT_EQ(catalog.token_prices().size(), 1U);
  EXPECT_DOUBLE_EQ(in_usd_per_million_tokens(catalog.token_price("llm")->output), 40);
}

struct Malformed {
  const char* name;
  const char* from;
  const char* to;
  int line;  // of the message
  const char* key;
  const char* shown;
};

void PrintTo(const Malformed& c, std::ostream* out) {
  *out << c.name;
}

class MalformedCatalog : public ::testing::TestWithParam<Malformed> {};

TEST_P(MalformedCatalog, IsRefusedWithFileLineKeyValueAndRemedy) {
  const auto& c = GetParam();
  const auto message = error_of([&] { static_cast<void>(load_text(small_with(c.from, c.to))); });
  EXPECT_THAT(message, AllOf(HasSubstr("all.toml:" + std::to_string(c.line) + ": "),
                             HasSubstr(c.key), HasSubstr(c.shown), HasSubstr("; ")));
}

const std::vector<Malformed> kMalformed = {
    {"syntax", "id = \"src\"", "id = src", 2, "", "TOML syntax"},
    {"unknown_kind", "[[psu_curve]]", "[[psu_kurve]]", 7, "psu_kurve", "did you mean 'psu_curve'?"},
    {"missing_id", "id = \"gpu\"\n", "", 14, "accelerator[1].id", "is missing"},
    {"upper_case_id", "id = \"gpu\"", "id = \"GPU\"", 15, "accelerator[1].id", "lower case"},
    {"blank_in_id", "id = \"gpu\"", "id = \"g pu\"", 15, "accelerator[1].id", "blanks"},
    {"missing_vendor", "vendor = \"V\"\narchitecture", "architecture", 14, "accelerator[1].vendor",
     "is missing"},
    {"missing_figure", "tdp_watts = { value = 500, source = \"src\", tag = \"measured\" }\n", "",
     14, "accelerator[1].tdp_watts", "value = "},
    {"bare_figure", "tdp_watts = { value = 500, source = \"src\", tag = \"measured\" }",
     "tdp_watts = 500", 19, "accelerator[1].tdp_watts", "is 500 where a table"},
    {"zero_tdp", "value = 500,", "value = 0,", 19, "accelerator[1].tdp_watts", "is 0"},
    {"negative_tdp", "value = 500,", "value = -500,", 19, "accelerator[1].tdp_watts.value",
     "is -500"},
    {"nan_tdp", "value = 500,", "value = nan,", 19, "tdp_watts.value", "nan"},
    {"text_tdp", "value = 500,", "value = \"500W\",", 19, "tdp_watts.value", "'500W'"},
    {"figure_without_source", "value = 500, source = \"src\",", "value = 500,", 19,
     "tdp_watts.source", "is missing"},
    {"figure_without_tag", "value = 500, source = \"src\", tag = \"measured\"",
     "value = 500, source = \"src\"", 19, "tdp_watts.tag", "is missing"},
    {"unknown_tag", "value = 500, source = \"src\", tag = \"measured\"",
     "value = 500, source = \"src\", tag = \"guessed\"", 19, "tdp_watts.tag", "'guessed'"},
    {"unknown_figure_key", "value = 500, source", "value = 500, sourc = 1, source", 19,
     "tdp_watts.sourc", "did you mean 'source'?"},
    {"unknown_figure", "idle_watts", "idel_watts", 20, "accelerator[1].idel_watts",
     "did you mean 'idle_watts'?"},
    {"undeclared_source", "value = 500, source = \"src\"", "value = 500, source = \"scr\"", 19,
     "tdp_watts.source", "'scr'"},
    {"alias_no_array", "aliases = [\"gpu-alias\"]", "aliases = \"gpu-alias\"", 16,
     "accelerator[1].aliases", "array of strings"},
    {"psu_axis_falls", "load_ratio = [0.1, 1]", "load_ratio = [1, 0.1]", 11,
     "psu_curve[1].load_ratio", "above the one before"},
    {"psu_axis_repeats", "load_ratio = [0.1, 1]", "load_ratio = [1, 1]", 11,
     "psu_curve[1].load_ratio", "above the one before"},
    {"psu_one_point", "load_ratio = [0.1, 1]", "load_ratio = [1]", 11, "psu_curve[1].load_ratio",
     "at least two"},
    {"psu_lengths", "efficiency_ratio = [0.9, 0.95]", "efficiency_ratio = [0.9]", 12,
     "psu_curve[1].efficiency_ratio", "has 1 numbers"},
    {"psu_efficiency_zero", "efficiency_ratio = [0.9, 0.95]", "efficiency_ratio = [0, 0.95]", 12,
     "psu_curve[1].efficiency_ratio", "holds 0"},
    {"psu_efficiency_above_one", "efficiency_ratio = [0.9, 0.95]", "efficiency_ratio = [0.9, 95]",
     12, "psu_curve[1].efficiency_ratio", "holds 95"},
    {"medium", "medium = \"air\"", "medium = \"oil\"", 24, "cooling_plant[1].medium", "'oil'"},
    {"pue_below_one", "value = 1.3,", "value = 0.9,", 25, "cooling_plant[1].pue", "is 0.9"},
    {"pue_percent", "value = 1.3,", "value = 130,", 25, "cooling_plant[1].pue", "is 130"},
    {"loss_above_pue", "value = 1.3,", "value = 1.05,", 26, "cooling_plant[1].distribution_loss",
     "is 0.1"},
    {"chain", "chain = \"chassis\"", "chain = \"sled\"", 34, "system[1].chain", "'sled'"},
    {"dangling_accelerator", "accelerator = \"gpu-alias\"", "accelerator = \"gpu-alais\"", 30,
     "system[1].accelerator", "'gpu-alais'"},
    {"dangling_plant", "cooling_plant = \"plant\"", "cooling_plant = \"plnt\"", 31,
     "system[1].cooling_plant", "'plnt'"},
    {"dangling_psu", "psu_curve = \"psu\"", "psu_curve = \"pso\"", 35, "system[1].psu_curve",
     "'pso'"},
    {"dangling_price", "[[price_table.accelerator]]\naccelerator = \"gpu\"",
     "[[price_table.accelerator]]\naccelerator = \"gpx\"", 98, "price_table[1].accelerator[1]",
     "'gpx'"},
    {"dangling_token_price", "model = \"llm\"", "model = \"lml\"", 102, "token_price[1].model",
     "'lml'"},
    {"gpus_per_node_zero", "gpus_per_node = 8", "gpus_per_node = 0", 32, "system[1].gpus_per_node",
     "is 0"},
    {"gpus_per_node_text", "gpus_per_node = 8", "gpus_per_node = \"8\"", 32,
     "system[1].gpus_per_node", "'8'"},
    {"fan_full_load_zero", "value = 5000,", "value = 0,", 40, "system[1].fan_full_load_watts",
     "is 0"},
    {"fans_swapped", "fan_min_pwm_ratio = { value = 0.2", "fan_min_pwm_ratio = { value = 0.9", 38,
     "system[1].fan_min_pwm_ratio", "swap"},
    {"fan_ratio_above_one", "fan_max_pwm_ratio = { value = 0.8", "fan_max_pwm_ratio = { value = 80",
     39, "system[1].fan_max_pwm_ratio", "is 80"},
    {"rack_gpu_count", "gpus_per_node = 4", "gpus_per_node = 5", 50, "system[2].gpus_per_node",
     "trays x boards x GPUs is 4"},
    {"rack_converter", "converter_loss_watts = [10, 100]", "converter_loss_watts = [10]", 62,
     "system[2].converter_loss_watts", "has 1 numbers"},
    {"rack_fans_swapped", "fan_min_speed_ratio = { value = 0.4",
     "fan_min_speed_ratio = { value = 0.8", 69, "system[2].fan_min_speed_ratio", "swap"},
    {"rack_psu_zero", "psu_capacity_watts = { value = 5500", "psu_capacity_watts = { value = 0", 74,
     "system[2].psu_capacity_watts", "is 0"},
    {"rack_missing_figure",
     "cpu_max_watts = { value = 300, source = \"src\", tag = \"derived\" }\n", "", 46,
     "system[2].cpu_max_watts", "is missing"},
    {"model_kind", "kind = \"moe\"", "kind = \"sparse\"", 81, "model[1].kind", "'sparse'"},
    {"score_above_100", "score = 85", "score = 850", 86, "model[1].quality[1].score", "is 850"},
    {"score_precision", "score = 85\n", "score = 85\nprecision = \"int3\"\n", 87,
     "model[1].quality[1].precision", "is 'int3'; use bf16, fp8, fp4 or mxfp4"},
    {"score_precision_upper_case", "score = 85\n", "score = 85\nprecision = \"FP8\"\n", 87,
     "model[1].quality[1].precision", "is 'FP8'"},
    {"score_tag", "score = 85\n", "score = 85\ntag = \"recalled\"\n", 87, "model[1].quality[1].tag",
     "is 'recalled'"},
    {"score_twice", "source = \"src\"\n\n[[price_table]]",
     "source = \"src\"\n\n[[model.quality]]\nbenchmark = \"MMLU\"\nscore = 80\ndate = "
     "\"2026-01\"\nsource = \"src\"\n\n[[price_table]]",
     91, "model[1].quality[2].benchmark", "'MMLU' is there twice"},
    {"native_precision", "kind = \"moe\"", "kind = \"moe\"\nnative_precision = \"int4\"", 82,
     "model[1].native_precision", "is 'int4'"},
    {"score_source", "date = \"2026-01\"\nsource = \"src\"\n\n[[price_table]]",
     "date = \"2026-01\"\nsource = \"nix\"\n\n[[price_table]]", 88, "model[1].quality[1].source",
     "'nix'"},
    {"price_unknown_key", "rental_usd_per_gpu_hour", "rental_usd_per_hour", 99,
     "price_table[1].accelerator[1].rental_usd_per_hour", "did you mean"},
    {"price_negative", "rental_usd_per_gpu_hour = 2.5", "rental_usd_per_gpu_hour = -2.5", 99,
     "rental_usd_per_gpu_hour", "is -2.5"},
    {"token_price_missing", "output_usd_per_million = 4\n", "", 101,
     "token_price[1].output_usd_per_million", "is missing"},
    {"energy_price_text", "usd_per_kwh = 0.1\n", "usd_per_kwh = \"10ct\"\n", 111,
     "energy_price[1].usd_per_kwh", "'10ct'"},
    {"finance_lifetime_zero", "facility_lifetime_years = { value = 15",
     "facility_lifetime_years = { value = 0", 118, "finance.facility_lifetime_years.value", "is 0"},
    {"finance_rate_percent", "cost_of_capital_ratio = { value = 0.1",
     "cost_of_capital_ratio = { value = 10", 116, "finance.cost_of_capital_ratio.value", "is 10"},
    {"finance_missing_key",
     "opex_ratio_per_year = { value = 0.03, source = \"src\", tag = "
     "\"assumed\" }\n",
     "", 115, "finance.opex_ratio_per_year", "is missing"},
};

INSTANTIATE_TEST_SUITE_P(All, MalformedCatalog, ::testing::ValuesIn(kMalformed),
                         [](const auto& param_info) { return param_info.param.name; });

TEST(Catalog, AnAliasInUseTwiceIsRefusedAtTheSecond) {
  EXPECT_THAT(error_of([] {
                static_cast<void>(load_with_override(
                    "[[accelerator]]\nid = \"other\"\naliases = [\"GPU-Alias\"]\nvendor = \"V\"\n"
                    "architecture = \"A\"\n"
                    "tdp_watts = { value = 600, source = \"src\", tag = \"assumed\" }\n"));
              }),
              AllOf(HasSubstr("own.toml:2: "), HasSubstr("'GPU-Alias'"), HasSubstr("'gpu'")));
}

TEST(Catalog, AFolderThatIsNoneOrHoldsNothingIsRefused) {
  Folder empty;
  EXPECT_THAT(error_of([&] { static_cast<void>(Catalog::load({empty.path()})); }),
              AllOf(StartsWith(empty.path().string()), HasSubstr("no .toml")));
  EXPECT_THAT(error_of([] { static_cast<void>(Catalog::load({"/nonexistent/perwatt"})); }),
              AllOf(StartsWith("/nonexistent/perwatt"), HasSubstr("not a folder")));
}

/// Input that the loader takes and should not: each was loaded without an error.
struct Accepted {
  const char* name;
  const char* from;
  const char* to;
};

void PrintTo(const Accepted& c, std::ostream* out) {
  *out << c.name;
}

class AcceptedCatalog : public ::testing::TestWithParam<Accepted> {};

// Defects, one per case.
TEST_P(AcceptedCatalog, IsRefused) {
  EXPECT_THROW(static_cast<void>(load_text(small_with(GetParam().from, GetParam().to))), Error);
}

const std::vector<Accepted> kAccepted = {
    // std::clamp(tdp x share, idle, tdp) in gpu_power.cpp is undefined with idle > tdp
    {"idle_above_tdp", "value = 50,", "value = 5000,"},
    // divides in the annuity: servers cost inf USD/s
    {"system_lifetime_zero", "lifetime_years = { value = 5,", "lifetime_years = { value = 0,"},
    // the same id twice in one file: the first is dropped in silence
    {"same_id_twice", "[[cooling_plant]]",
     "[[accelerator]]\nid = \"gpu\"\naliases = [\"gpu-alias\"]\nvendor = \"V\"\n"
     "architecture = \"A\"\ntdp_watts = { value = 1, source = \"src\", tag = \"measured\" "
     "}\n\n[[cooling_plant]]"},
    // an accelerator twice in one price table, once by its alias: one of them is dropped
    {"price_twice", "[[token_price]]",
     "[[price_table.accelerator]]\naccelerator = \"gpu-alias\"\nrental_usd_per_gpu_hour = 9\n\n"
     "[[token_price]]"},
    // IT power falls while DC power rises: node_at() no longer rises strictly with the GPU power
    {"efficiency_jumps", "load_ratio = [0.1, 1]\nefficiency_ratio = [0.9, 0.95]",
     "load_ratio = [0.40, 0.41]\nefficiency_ratio = [0.5, 1]"},
    {"date", "date = \"2026-01\"", "date = \"last year\""},
};

INSTANTIATE_TEST_SUITE_P(All, AcceptedCatalog, ::testing::ValuesIn(kAccepted),
                         [](const auto& param_info) { return param_info.param.name; });

// Defect: without [finance] the assumptions are all 0 and annuity_ratio_per_year(0, 0) is inf.
TEST(Catalog, ACatalogWithoutFinanceIsRefused) {
  const std::string whole = kSmall;
  EXPECT_THROW(static_cast<void>(load_text(whole.substr(0, whole.find("[finance]")))), Error);
}

RC_GTEST_PROP(CatalogProperty, AnyCutOfACatalogIsReadOrRefusedWithAnError, ()) {
  const std::string whole = kSmall;
  const auto first = *rc::gen::inRange<std::size_t>(0, whole.size());
  const auto length = *rc::gen::inRange<std::size_t>(0, 200);
  try {
    static_cast<void>(
        load_text(whole.substr(0, first) + whole.substr(std::min(whole.size(), first + length))));
  } catch (const Error& error) {
    RC_ASSERT(error.code() == ErrorCode::bad_input);
  }
}

}  // namespace
}  // namespace perwatt::catalog
