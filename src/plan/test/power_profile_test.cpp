#include "perwatt/plan/power_profile.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "error_of.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/catalog/catalog.hpp"
#include "perwatt/plan/excursion.hpp"
#include "perwatt/plan/scenarios.hpp"

namespace perwatt::plan {
namespace {

namespace fs = std::filesystem;
using inference::Serving;
using testing::HasSubstr;

const PowerProfiles& shipped() {
  static const auto kProfiles = load_power_profiles(PERWATT_TEST_DATA_DIR "/power");
  return kProfiles;
}

const std::string kProfileHeader =
    "id,accelerator,mode,samples,samples_effective,mean_gpu_correlation,mean_gpu_power_watts,"
    "q0_ratio,q0.5_ratio,q0.9_ratio,q1_ratio,tag,source\n";
const std::string kShape =
    "gb300-aggregated,gb300,aggregated,100,20,0.9,500,0.6,1.02,1.2,1.5,derived,test\n";
const std::string kWindowHeader =
    "accelerator,model,engine,concurrency,mean_gpu_power_watts,p75_ratio,p90_ratio,window_s,tag,"
    "source\n";
const std::string kFleetHeader =
    "id,accelerator,unit,reference_power_watts,reference,mean_power_watts,q0_ratio,q1_ratio,tag,"
    "source\n";

/// A folder with the three files; gone with the test.
class PowerFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::path{testing::TempDir()} /
        (std::string{"power_"} + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder_);
  }

  void TearDown() override { fs::remove_all(folder_); }

  PowerProfiles load(const std::string& profiles, const std::string& windows = "",
                     const std::string& fleets = "") {
    std::ofstream{folder_ / "profiles.csv"} << kProfileHeader << profiles;
    std::ofstream{folder_ / "windows.csv"} << kWindowHeader << windows;
    std::ofstream{folder_ / "fleets.csv"} << kFleetHeader << fleets;
    return load_power_profiles(folder_);
  }

  fs::path folder_;
};

TEST(QuantileFunction, IsLinearBetweenItsKnots) {
  const QuantileFunction ratio{{0, 0.5, 1}, {0.5, 1, 2}};
  EXPECT_DOUBLE_EQ(ratio.at(-1), 0.5);
  EXPECT_DOUBLE_EQ(ratio.at(0), 0.5);
  EXPECT_DOUBLE_EQ(ratio.at(0.25), 0.75);
  EXPECT_DOUBLE_EQ(ratio.at(0.75), 1.5);
  EXPECT_DOUBLE_EQ(ratio.at(2), 2);
  EXPECT_DOUBLE_EQ(ratio.mean(), 0.5 * 0.75 + 0.5 * 1.5);
  const auto wider = ratio.spread_about_one(3);
  EXPECT_DOUBLE_EQ(wider.at(0), 0);  // not -0.5
  EXPECT_DOUBLE_EQ(wider.at(1), 4);
  EXPECT_THROW((QuantileFunction{{0, 1}, {2, 1}}), Error);
  EXPECT_THROW((QuantileFunction{{0, 0, 1}, {1, 1, 1}}), Error);
  EXPECT_THROW((QuantileFunction{{0.1, 1}, {1, 1}}), Error);
}

TEST(ShippedProfiles, CountAboutThreeHundredIndependentSamples) {
  double effective = 0;
  int runs = 0;
  for (const auto& profile : shipped().profiles) {
    if (profile.id != "gb300-aggregated" && profile.id != "gb300-disaggregated") {
      effective += profile.samples_effective;
      ++runs;
    }
    EXPECT_GT(profile.ratio.at(1), 1.05) << profile.id;
    EXPECT_TRUE(profile.gpu_correlation.has_value()) << profile.id;
    EXPECT_FALSE(profile.source.empty()) << profile.id;
  }
  EXPECT_EQ(runs, 14);
  EXPECT_NEAR(effective, 308, 0.05 * 308);
  // The pools hold the samples of their runs.
  EXPECT_NEAR(shipped().find("gb300-aggregated")->samples_effective +
                  shipped().find("gb300-disaggregated")->samples_effective,
              effective, 0.2);
}

TEST(ShippedProfiles, NameAcceleratorsOfTheCatalog) {
  const auto catalog = catalog::Catalog::load({PERWATT_TEST_DATA_DIR "/catalog"});
  for (const auto& profile : shipped().profiles) {
    EXPECT_NE(catalog.find_accelerator(profile.accelerator), nullptr) << profile.id;
  }
  for (const auto& window : shipped().windows) {
    EXPECT_NE(catalog.find_accelerator(window.accelerator), nullptr) << window.accelerator;
  }
  EXPECT_EQ(shipped().windows.size(), 16U);
  EXPECT_EQ(shipped().fleets.size(), 3U);
}

TEST(ShippedProfiles, KnowTheAcmeFleets) {
  // A100 fleets: median 96 to 102 W, 90th percentile 395 to 404 W of 400 W TDP.
  for (const auto& fleet : shipped().fleets) {
    if (fleet.unit == "gpu") {
      EXPECT_NEAR(in_watts(fleet.ratio.at(0.5) * fleet.reference_power), 99, 3.5) << fleet.id;
      EXPECT_NEAR(in_watts(fleet.ratio.at(0.9) * fleet.reference_power), 399.5, 5) << fleet.id;
    } else {
      EXPECT_NEAR(in_watts(fleet.ratio.at(0.9) * fleet.reference_power), 4851, 1) << fleet.id;
    }
  }
}

TEST(ProfileForAccelerator, IsTheOwnPoolWhereThereIsOne) {
  const auto own = shipped().for_accelerator("gb300", Serving::disaggregated);
  EXPECT_EQ(own.id, "gb300-disaggregated");
  EXPECT_EQ(own.tag, Tag::derived);
}

TEST(ProfileForAccelerator, MeetsTheLargestMeasuredPercentile) {
  const auto& shape = *shipped().find("gb300-aggregated");
  const auto amd = shipped().for_accelerator("mi355x", Serving::aggregated);
  EXPECT_EQ(amd.tag, Tag::modelled);
  EXPECT_EQ(amd.accelerator, "mi355x");
  EXPECT_NEAR(amd.ratio.at(0.9), 1.1937, 1e-9);
  EXPECT_NEAR(amd.samples_effective, 84.71, 1e-9);  // that window's seconds: fewer than the shape's
  EXPECT_FALSE(amd.gpu_correlation.has_value());
  const auto b200 = shipped().for_accelerator("b200", Serving::aggregated);
  EXPECT_NEAR(b200.ratio.at(0.9), 1.0856, 1e-9);
  EXPECT_LT(b200.ratio.at(0.99), shape.ratio.at(0.99));
  EXPECT_LE(b200.samples_effective, shape.samples_effective);
}

TEST(ProfileForAccelerator, IsAssumedWithoutAnyMeasurement) {
  const auto h100 = shipped().for_accelerator("h100", Serving::aggregated);
  EXPECT_EQ(h100.tag, Tag::assumed);
  EXPECT_EQ(h100.ratio.at(0.99), shipped().find("gb300-aggregated")->ratio.at(0.99));
  EXPECT_THAT(h100.source, HasSubstr("no trace of h100"));
}

TEST(ShippedProfiles, ReserveEnoughForTheRunThatWasLeftOut) {
  // The rule from all other runs of the mode, judged on the quantiles of the run left out.
  constexpr double kProbability = 0.1;
  constexpr int kScenariosPerSample = 100;
  for (const auto& held_out : shipped().profiles) {
    if (held_out.source.starts_with("the ")) {
      continue;  // a pool
    }
    std::vector<double> ratios;
    double samples = 0;
    for (const auto& run : shipped().profiles) {
      if (run.serving != held_out.serving || run.id == held_out.id ||
          run.source.starts_with("the ")) {
        continue;
      }
      const int count = static_cast<int>(run.samples_effective * kScenariosPerSample);
      for (int k = 0; k < count; ++k) {
        ratios.push_back(run.ratio.at((k + 0.5) / count));
      }
      samples += run.samples_effective;
    }
    const auto share = tail_share(samples, kProbability);
    ASSERT_TRUE(share.has_value()) << held_out.id;
    const std::vector<double> load = {1.0};
    const double reserve =
        ExcursionLimit{ScenarioSet::from_samples(1, ratios, samples), *share}.tail_mean(load, load);
    EXPECT_LE(held_out.ratio.at(1 - kProbability), reserve) << held_out.id;
  }
}

TEST(ProfileForAccelerator, SupportsAProbabilityAndAReserveAboveIt) {
  // All nodes as one, 10 % of the time: what a MW of mean draw must reserve.
  // docs/model/provisioning.md
  constexpr double kProbability = 0.1;
  for (const std::string accelerator : {"gb300", "b200", "b300", "mi355x", "h100"}) {
    for (const auto serving : {Serving::aggregated, Serving::disaggregated}) {
      const auto profile = shipped().for_accelerator(accelerator, serving);
      const auto set = draw_scenarios(std::vector{profile}, {}, 10'000, 1);
      const auto share = tail_share(set.samples_effective(), kProbability);
      ASSERT_TRUE(share.has_value()) << profile.id;
      const std::vector<double> load = {1.0};
      const double reserve = ExcursionLimit{set, *share}.tail_mean(load, load);
      EXPECT_GT(reserve, profile.ratio.at(1 - kProbability)) << profile.id;
      EXPECT_LT(reserve, profile.ratio.at(1)) << profile.id;
      EXPECT_FALSE(tail_share(set.samples_effective(), 0.01)) << profile.id;
      RecordProperty(profile.id + "_reserve_thousandths", static_cast<int>(1000 * reserve + 0.5));
      RecordProperty(profile.id + "_tail_count",
                     static_cast<int>(*tail_count(set.samples_effective(), kProbability)));
    }
  }
}

TEST_F(PowerFolder, ReadsAGoodTable) {
  const auto loaded = load(kShape, "b200,m,sglang,4,400,1,1.1,10,derived,test\n",
                           "acme,a100,gpu,400,TDP,150,0.1,1.5,derived,test\n");
  const auto& profile = *loaded.find("gb300-aggregated");
  EXPECT_EQ(profile.serving, Serving::aggregated);
  EXPECT_EQ(profile.gpu_correlation, 0.9);
  EXPECT_EQ(profile.mean_gpu_power, watts(500));
  EXPECT_EQ(loaded.find("other"), nullptr);
  const auto b200 = loaded.for_accelerator("b200", Serving::aggregated);
  EXPECT_DOUBLE_EQ(b200.ratio.at(1), 1.25);  // half the spread of the shape
  EXPECT_EQ(b200.samples_effective, 10);
}

TEST_F(PowerFolder, NamesLineValueAndRemedy) {
  const auto error = [&](const std::string& profiles, const std::string& windows = "",
                         const std::string& fleets = "") {
    return error_of([&] { (void)load(profiles, windows, fleets); });
  };
  EXPECT_THAT(error(kShape + kShape), HasSubstr("profiles.csv:3: id: 'gb300-aggregated' stands in "
                                                "an earlier row too; give each row an id"));
  EXPECT_THAT(error("x,gb300,aggregated,100,20,0.9,500,0.6,1.02,0.9,1.5,derived,t\n"),
              HasSubstr("profiles.csv:2: q0.9_ratio: is 0.9, below the quantile before it"));
  EXPECT_THAT(error("x,gb300,aggregated,100,20,0.9,500,0.5,1.2,1.3,1.5,derived,t\n"),
              HasSubstr("instead of 1; divide the draw by its mean"));
  EXPECT_THAT(error("x,gb300,aggregated,100,200,0.9,500,0.6,1.02,1.2,1.5,derived,t\n"),
              HasSubstr("samples_effective: is '200'; give a number between 1 and 100"));
  EXPECT_THAT(error("x,gb300,aggregated,100,20,1.9,500,0.6,1.02,1.2,1.5,derived,t\n"),
              HasSubstr("mean_gpu_correlation: is '1.9'; give a number between -1 and 1"));
  EXPECT_THAT(error("x,gb300,both,100,20,0.9,500,0.6,1.02,1.2,1.5,derived,t\n"),
              HasSubstr("mode: is 'both'; use aggregated or disaggregated"));
  EXPECT_THAT(error("x,gb300,aggregated,100,20,0.9,500,0.6,1.02,1.2,1.5,guessed,t\n"),
              HasSubstr("tag: is 'guessed'; write measured"));
  EXPECT_THAT(error("x,gb300,aggregated,100,20,0.9,500,0.6,1.02,1.2,,derived,t\n"),
              HasSubstr("q1_ratio: is ''; give a number between 0 and 100"));
  EXPECT_THAT(error("x,gb300,aggregated,100,20,0.9,500,0.6,1.02,1.2,1.5,derived,\n"),
              HasSubstr("source: is empty"));
  EXPECT_THAT(error("x,gb300,aggregated,100,20,0.9,500,0.6,1.02,1.2,1.5,derived,t\n"),
              HasSubstr("no row 'gb300-aggregated'"));
  EXPECT_THAT(error(kShape, "b200,m,sglang,4,400,1,0.9,10,derived,t\n"),
              HasSubstr("windows.csv:2: p90_ratio: is '0.9'; give a number between 1 and 100"));
  EXPECT_THAT(error(kShape, "b200,m,sglang,4,400,1.2,1.1,10,derived,t\n"),
              HasSubstr("windows.csv:2: p75_ratio: is '1.2'; give a number between 0 and 1.1"));
  EXPECT_THAT(error(kShape, "", "acme,a100,rack,400,TDP,150,0.1,1.5,derived,t\n"),
              HasSubstr("fleets.csv:2: unit: is 'rack'; use gpu or server"));
}

TEST_F(PowerFolder, RefusesQuantileColumnsOutOfOrder) {
  (void)load(kShape);
  const auto with_columns = [&](const std::string& columns) {
    std::ofstream{folder_ / "fleets.csv"}
        << "id,accelerator,unit,reference_power_watts,reference,mean_power_watts," << columns
        << ",tag,source\n";
    return error_of([&] { (void)load_power_profiles(folder_); });
  };
  EXPECT_THAT(with_columns("q1_ratio,q0_ratio"), HasSubstr("'q0_ratio' is out of order"));
  EXPECT_THAT(with_columns("q0_ratio,qx_ratio"), HasSubstr("'qx_ratio' is out of order"));
  EXPECT_THAT(with_columns("q0_ratio,q0.9_ratio"), HasSubstr("do not reach from"));
  fs::remove(folder_ / "windows.csv");
  EXPECT_THAT(error_of([&] { (void)load_power_profiles(folder_); }), HasSubstr("windows.csv"));
}

}  // namespace
}  // namespace perwatt::plan
