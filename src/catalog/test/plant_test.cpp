// Cooling plants as physics.
#include <filesystem>
#include <ostream>
#include <string>

#include "error_of.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "perwatt/base/file.hpp"
#include "perwatt/catalog/catalog.hpp"

namespace perwatt::catalog {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::HasSubstr;

const fs::path kCatalog = fs::path{PERWATT_TEST_DATA_DIR} / "catalog";

/// The shipped catalog with the physical plants edited; in an own folder.
Catalog edited(const std::string& from, const std::string& to) {
  const auto folder = fs::temp_directory_path() / ("perwatt_plants_" + std::to_string(::getpid()));
  fs::create_directories(folder);
  auto text = read_file(kCatalog / "cooling_physics.toml");
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  write_file(folder / "mine.toml", text);

  struct Remove {
    fs::path folder;

    ~Remove() { fs::remove_all(folder); }
  } remove{folder};

  return Catalog::load({kCatalog, folder});
}

TEST(PhysicalPlants, AreReadInTheirUnits) {
  const auto catalog = Catalog::load({kCatalog});
  const auto& plant = catalog.cooling_plant("liquid-dry", "");
  ASSERT_TRUE(plant.physics);
  EXPECT_EQ(plant.physics->supply, celsius(40));
  EXPECT_EQ(plant.physics->supply_max, celsius(45));
  EXPECT_EQ(plant.physics->rejection, Rejection::dry);
  EXPECT_EQ(plant.physics->approach_kelvin, 10);
  EXPECT_EQ(plant.physics->chiller->carnot_ratio, 0.5);
  EXPECT_EQ(plant.pue.tag, Tag::assumed);
  EXPECT_FALSE(catalog.cooling_plant("liquid-dry-only", "").physics->chiller);
  EXPECT_TRUE(catalog.cooling_plant("air-chiller", "").physics->chiller);
  EXPECT_EQ(catalog.cooling_plant("liquid-evaporative", "").physics->rejection,
            Rejection::evaporative);
}

TEST(PhysicalPlants, TheConstantOnesAreAsTheyWere) {
  const auto catalog = Catalog::load({kCatalog});
  EXPECT_EQ(catalog.cooling_plant("air", "").pue.value, 1.3);
  EXPECT_EQ(catalog.cooling_plant("liquid", "").pue.value, 1.1);
  EXPECT_FALSE(catalog.cooling_plant("air", "").physics);
}

struct BadPlant {
  std::string name;
  std::string from;
  std::string to;
  std::string what;

  friend std::ostream& operator<<(std::ostream& out, const BadPlant& plant) {
    return out << plant.name;
  }
};

class RefusedPlant : public ::testing::TestWithParam<BadPlant> {};

TEST_P(RefusedPlant, SaysWhereAndWhat) {
  EXPECT_THAT(error_of([] { static_cast<void>(edited(GetParam().from, GetParam().to)); }),
              AllOf(HasSubstr("mine.toml:"), HasSubstr(GetParam().what), HasSubstr("; ")));
}

// The first plant of the file is air-chiller, the second air-economiser.
INSTANTIATE_TEST_SUITE_P(
    Plants, RefusedPlant,
    ::testing::Values(
        BadPlant{"rejection", "rejection = \"dry\"", "rejection = \"river\"", "'river'"},
        BadPlant{
            "both", "rejection = \"chiller\"",
            "rejection = \"chiller\"\npue = { value = 1.2, source = \"engineering-assumptions\", "
            "tag = \"assumed\" }",
            "pue: stands beside rejection"},
        BadPlant{"neither", "rejection = \"chiller\"\n", "", "belongs to a physical plant"},
        BadPlant{"chiller_flag_missing", "has_chiller = true\n", "", "has_chiller: is missing"},
        BadPlant{"chiller_without_chiller", "rejection = \"chiller\"",
                 "rejection = \"chiller\"\nhas_chiller = false", "has_chiller: is false"},
        BadPlant{"figures_of_no_chiller", "has_chiller = true", "has_chiller = false",
                 "chiller_carnot_ratio: means nothing here"},
        BadPlant{"missing_figure", "pump_exponent", "pump_exponant", "did you mean"},
        BadPlant{"supply_range", "supply_celsius = { value = 15", "supply_celsius = { value = 25",
                 "supply_celsius: is 25"},
        BadPlant{"boiling", "supply_max_celsius = { value = 20",
                 "supply_max_celsius = { value = 200", "supply_max_celsius: is 200"},
        BadPlant{"exponent", "pump_exponent = { value = 2.7", "pump_exponent = { value = 0.5",
                 "pump_exponent: is 0.5"},
        BadPlant{"ups_load", "ups_design_load_ratio = { value = 0.45",
                 "ups_design_load_ratio = { value = 0", "ups_design_load_ratio: is 0"},
        BadPlant{"no_approach", "approach_kelvin = { value = 10", "approach_kelvin = { value = 0",
                 "approach_kelvin: is 0"},
        BadPlant{"hall_fans_of_liquid", "medium = \"air\"", "medium = \"liquid\"",
                 "hall_fan_power_ratio: means nothing here"},
        BadPlant{"one_cycle", "cycles_of_concentration = { value = 5",
                 "cycles_of_concentration = { value = 1", "cycles_of_concentration: is 1"},
        BadPlant{"water_of_dry", "rejection = \"evaporative\"", "rejection = \"dry\"",
                 "cycles_of_concentration: means nothing here"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace perwatt::catalog
