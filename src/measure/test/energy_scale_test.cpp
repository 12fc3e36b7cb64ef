#include "perwatt/measure/energy_scale.hpp"

#include <cmath>
#include <string>

#include "shipped_catalog.hpp"
#include <gtest/gtest.h>

#include "perwatt/base/error.hpp"

namespace perwatt::measure {
namespace {

BoundaryEnergy gpus_at(double power, int gpus, double length, double half_width_ratio) {
  BoundaryEnergy energy;
  energy.boundary = Boundary::gpu;
  energy.valid = true;
  energy.energy = Joules::from_base(power * gpus * length);
  energy.half_width = *energy.energy * half_width_ratio;
  energy.meters = gpus;
  return energy;
}

facility::PowerChain chain_of(const std::string& system) {
  return {shipped_catalog(), shipped_catalog().system(system, "")};
}

facility::CoolingPlant plant_of(const std::string& plant) {
  return facility::CoolingPlant{shipped_catalog().cooling_plant(plant, "")};
}

constexpr const char* kSystem = "hgx-h100-air";
constexpr const char* kPhysicalPlant = "liquid-dry";

TEST(ScaleToFacility, GoesThroughTheChainAndThePue) {
  const auto chain = chain_of(kSystem);
  const auto scaled =
      scale_to_facility(gpus_at(600, 8, 60, 0.01), seconds(60), chain, plant_of("air"), {});
  ASSERT_TRUE(scaled);
  EXPECT_EQ(scaled->tag, Tag::modelled);
  EXPECT_EQ(scaled->it.boundary, Boundary::it);
  EXPECT_EQ(scaled->facility.boundary, Boundary::facility);
  const double it = in_watts(chain.it_per_gpu(watts(600)).value) * 8 * 60;
  EXPECT_NEAR(scaled->it.energy->in_base(), it, 1e-6 * it);
  EXPECT_NEAR(scaled->facility.energy->in_base(), 1.3 * it, 1e-6 * it);
}

TEST(ScaleToFacility, HalfWidthHoldsTheMetersAndTheChain) {
  const auto chain = chain_of(kSystem);
  const auto exact =
      scale_to_facility(gpus_at(600, 8, 60, 0.0), seconds(60), chain, plant_of("air"), {});
  const auto wide =
      scale_to_facility(gpus_at(600, 8, 60, 0.1), seconds(60), chain, plant_of("air"), {});
  ASSERT_TRUE(exact && wide);
  EXPECT_NEAR(exact->facility.half_width / *exact->facility.energy, 0.05, 1e-9);
  const double slope = (in_watts(chain.it_per_gpu(watts(660)).value) -
                        in_watts(chain.it_per_gpu(watts(540)).value)) /
                       120;
  EXPECT_NEAR(wide->it.half_width.in_base(),
              std::hypot(0.05 * wide->it.energy->in_base(), slope * 60 * 8 * 60), 1.0);
}

TEST(ScaleToFacility, TheMeanOfALoadThatSwingsStandsForIt) {
  const auto chain = chain_of(kSystem);
  const double low = in_watts(chain.it_per_gpu(watts(200)).value);
  const double high = in_watts(chain.it_per_gpu(watts(700)).value);
  const double mean = in_watts(chain.it_per_gpu(watts(450)).value);
  EXPECT_NEAR(mean / (0.5 * (low + high)), 1.0, 0.01);
}

TEST(ScaleToFacility, APlantWithPhysicsNeedsItsOperation) {
  const auto chain = chain_of(kSystem);
  const auto plant = plant_of(kPhysicalPlant);
  const auto gpu = gpus_at(600, 8, 60, 0.01);
  EXPECT_THROW(static_cast<void>(scale_to_facility(gpu, seconds(60), chain, plant, {})), Error);
  PlantOperation operation{{celsius(15), celsius(10)}, 1.0};
  const auto full = scale_to_facility(gpu, seconds(60), chain, plant, operation);
  operation.load_ratio = 0.3;
  const auto part = scale_to_facility(gpu, seconds(60), chain, plant, operation);
  ASSERT_TRUE(full && part);
  EXPECT_GT(*full->facility.energy, *full->it.energy);
  EXPECT_NE(full->facility.energy, part->facility.energy);
  EXPECT_EQ(full->it.energy, part->it.energy);
  operation.load_ratio = 0.0;
  EXPECT_THROW(static_cast<void>(scale_to_facility(gpu, seconds(60), chain, plant, operation)),
               Error);
}

TEST(ScaleToFacility, OnlyFromAValidGpuEnergy) {
  const auto chain = chain_of(kSystem);
  auto gpu = gpus_at(600, 8, 60, 0.01);
  gpu.valid = false;
  EXPECT_FALSE(scale_to_facility(gpu, seconds(60), chain, plant_of("air"), {}));
  gpu.valid = true;
  gpu.boundary = Boundary::it;
  EXPECT_FALSE(scale_to_facility(gpu, seconds(60), chain, plant_of("air"), {}));
}

}  // namespace
}  // namespace perwatt::measure
