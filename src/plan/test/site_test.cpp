#include "perwatt/plan/site.hpp"

#include <string>

#include "error_of.hpp"
#include "shipped_catalog.hpp"
#include <gtest/gtest.h>

namespace perwatt::plan {
namespace {

constexpr const char* kGood = R"(
[site]
envelope = "100MW"
[prices]
table = "2026-08"
energy_usd_per_kwh = 0.08
[[service]]
id = "chat"
model = "dsr1"
isl_tokens = 1024
osl_tokens = 1024
min_interactivity = "50tok/s"
max_ttft = "1500ms"
demand_output_tokens_per_s = 1000
price_usd_per_million_output_tokens = 2
[[rack]]
system = "hgx-h200-air"
owned = 4
[[load]]
name = "storage"
power = "200kW"
cooling_plant = "liquid"
)";

Site parse(const std::string& text) {
  return parse_site(text, "dir/site.toml", shipped_catalog());
}

std::string replaced(const std::string& from, const std::string& to) {
  std::string text = kGood;
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Site, ReadsUnitsNamesAndDefaults) {
  const auto site = parse(kGood);
  EXPECT_EQ(site.name, "site");
  EXPECT_EQ(site.envelope, megawatts(100));
  EXPECT_EQ(site.services[0].model, "deepseek-r1");
  EXPECT_EQ(*site.services[0].slo.max_ttft, seconds(1.5));
  EXPECT_EQ(site.services[0].input_price, UsdPerToken{});
  EXPECT_EQ(site.racks[0].cooling_plant, "air");
  EXPECT_EQ(site.loads[0].cooling_plant, "liquid");
  EXPECT_TRUE(site.availability_is_assumed);
}

TEST(Site, TakesListPricesFromTheCatalog) {
  const auto site = parse(replaced("price_usd_per_million_output_tokens = 2\n", ""));
  EXPECT_GT(site.services[0].output_price, UsdPerToken{});
  EXPECT_NE(site.services[0].price_source, "site file");
}

TEST(Site, BaselineIsRelativeToTheSiteFile) {
  EXPECT_EQ(parse(std::string{kGood} + "[baseline]\nsite = \"old.toml\"\n").baseline.site,
            "dir/old.toml");
  EXPECT_EQ(parse(std::string{kGood} + "[baseline]\nsite = \"self\"\n").baseline.site, "self");
}

TEST(Site, WithoutPurchasesKeepsOwnedRacksOnly) {
  auto site = parse(std::string{kGood} + "[[rack]]\nsystem = \"gb300-nvl72\"\nmax_buy = 3\n");
  site = as_it_stands(site);
  ASSERT_EQ(site.racks.size(), 1U);
  EXPECT_EQ(site.racks[0].system, "hgx-h200-air");
}

struct Malformed {
  const char* from;
  const char* to;
  const char* expected;  // part of the message
};

class MalformedSite : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedSite, NamesPlaceAndRemedy) {
  const auto& param = GetParam();
  const auto message = error_of([&] { static_cast<void>(parse(replaced(param.from, param.to))); });
  EXPECT_NE(message.find("dir/site.toml:"), std::string::npos) << message;
  EXPECT_NE(message.find(param.expected), std::string::npos) << message;
  EXPECT_NE(message.find("; "), std::string::npos) << message;
}

INSTANTIATE_TEST_SUITE_P(
    Keys, MalformedSite,
    testing::Values(
        Malformed{"\"100MW\"", "100", "site.envelope: is 100 without a unit"},
        Malformed{"\"100MW\"", "\"0MW\"", "site.envelope: is 0"},
        Malformed{"envelope", "envelop", "site.envelope: is missing"},
        Malformed{"\"2026-08\"", "\"2026-99\"", "no price table is called '2026-99'"},
        Malformed{"\"dsr1\"", "\"deepsek-r1\"", "did you mean 'deepseek-r1'?"},
        Malformed{"\"50tok/s\"", "\"50tokens\"", "unknown unit 'tokens'"},
        Malformed{"osl_tokens = 1024", "osl_tokens = 0", "service[1].osl_tokens: is 0"},
        Malformed{"owned = 4", "owned = 0", "neither owned nor max_buy"},
        Malformed{"owned = 4", "owned = -1", "rack[1].owned: is -1"},
        Malformed{"id = \"chat\"", "id = \"\"", "service[1].id: is an empty string"},
        Malformed{"1000\n", "1000\ncommitted_output_tokens_per_s = 2000\n", "above the demand"},
        Malformed{"\"1500ms\"", "\"0s\"", "max_ttft: is 0"},
        Malformed{"isl_tokens = 1024", "isl_tokens = 1024\ntask = \"gpqa\"", "beside isl_tokens"}));

}  // namespace
}  // namespace perwatt::plan
