// RAPL and hwmon over fake trees of sysfs.
#include <string>

#include "source_testing.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace perwatt::device {
namespace {

using test::everything;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class FakeSysfs : public ::testing::Test {
 protected:
  void zone(const std::string& path, const std::string& name, const std::string& energy) {
    const auto folder = "class/powercap/" + path + "/";
    tree_.write(folder + "name", name + "\n");
    tree_.write(folder + "energy_uj", energy + "\n");
    tree_.write(folder + "max_energy_range_uj", "262143328850\n");
  }

  void two_packages() {
    zone("intel-rapl:0", "package-0", "1000000");
    zone("intel-rapl:0:0", "dram", "500000");
    zone("intel-rapl:0:1", "core", "900000");
    zone("intel-rapl:1", "package-1", "2000000");
    zone("intel-rapl:2", "psys", "9000000");
    zone("intel-rapl-mmio:0", "package-0", "1000000");
    tree_.write("class/powercap/intel-rapl/enabled", "1\n");
  }

  std::unique_ptr<PowerSource> source(const std::string& text) {
    auto options = test::quick_options();
    options.sysfs_root = tree_.path();
    return test::source(text, options);
  }

  static std::vector<std::string> ids(const std::vector<Meter>& meters) {
    std::vector<std::string> ids;
    for (const auto& meter : meters) {
      ids.push_back(meter.id);
    }
    return ids;
  }

  test::ScratchFolder tree_;
};

TEST_F(FakeSysfs, RaplMetersPackagesAndMemoryAndNeverPsysWithThem) {
  two_packages();
  const auto rapl = source("rapl");
  const auto meters = rapl->open();
  ASSERT_TRUE(meters.ok()) << meters.reason();
  EXPECT_THAT(ids(meters.value()),
              ElementsAre("rapl intel-rapl:0 package-0", "rapl intel-rapl:1 package-1",
                          "rapl intel-rapl:0:0 dram"));
  EXPECT_EQ(meters.value()[0].scope, Scope::cpu_package);
  EXPECT_EQ(meters.value()[2].scope, Scope::memory);
  rapl->sample();
  EXPECT_EQ(everything(*rapl)[0].readings[0].counter, Joules::from_base(1.0));

  const auto psys = source("rapl:psys?scope=site");
  const auto platform = psys->open();
  ASSERT_TRUE(platform.ok()) << platform.reason();
  EXPECT_THAT(ids(platform.value()), ElementsAre("rapl:psys?scope=site intel-rapl:2 psys"));
  EXPECT_EQ(platform.value()[0].scope, Scope::site);
  psys->sample();
  EXPECT_EQ(everything(*psys)[0].readings[0].counter, Joules::from_base(9.0));
}

TEST_F(FakeSysfs, RaplPassesAWrapOnWithItsPlace) {
  zone("intel-rapl:0", "package-0", "262143328000");
  const auto rapl = source("rapl");
  const auto meters = rapl->open();
  ASSERT_TRUE(meters.ok()) << meters.reason();
  EXPECT_NEAR(meters.value()[0].counter_wraps_at->in_base(), 262143.32885, 1e-6);
  rapl->sample();
  zone("intel-rapl:0", "package-0", "150");
  rapl->sample();
  const auto trace = everything(*rapl)[0];
  ASSERT_THAT(trace.readings, SizeIs(2));
  EXPECT_GT(*trace.readings[0].counter, *trace.readings[1].counter);
  EXPECT_NEAR((*trace.readings[1].counter - *trace.readings[0].counter +
               *meters.value()[0].counter_wraps_at)
                  .in_base(),
              0.001, 1e-6);
}

TEST_F(FakeSysfs, RaplTellsTheRemedyWhereTheCounterMayNotBeRead) {
  two_packages();
  ASSERT_EQ(::chmod(tree_.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod((tree_.path() / "class/powercap/intel-rapl:1/energy_uj").c_str(), 0400), 0);
  constexpr uid_t kNobody = 65534;
  const bool is_root = ::geteuid() == 0;
  if (is_root) {
    ASSERT_EQ(::seteuid(kNobody), 0);
  } else {
    ASSERT_EQ(::chmod((tree_.path() / "class/powercap/intel-rapl:1/energy_uj").c_str(), 0), 0);
  }
  const auto opened = source("rapl")->open();
  if (is_root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.reason(), HasSubstr("intel-rapl:1/energy_uj"));
  EXPECT_THAT(opened.reason(), HasSubstr("chmod a+r"));
}

TEST_F(FakeSysfs, RaplFailsWhereACounterVanishesOrHoldsNonsense) {
  two_packages();
  const auto rapl = source("rapl");
  ASSERT_TRUE(rapl->open().ok());
  std::filesystem::remove(tree_.path() / "class/powercap/intel-rapl:0/energy_uj");
  tree_.write("class/powercap/intel-rapl:1/energy_uj", "-1\n");
  rapl->sample();
  const auto traces = everything(*rapl);
  EXPECT_THAT(traces[0].failures.at(0).reason, HasSubstr("No such file"));
  EXPECT_THAT(traces[1].failures.at(0).reason, HasSubstr("'-1'"));
  EXPECT_THAT(traces[2].readings, SizeIs(1));
}

TEST_F(FakeSysfs, WithoutZonesAndChipsOpenTellsWhatWasLookedFor) {
  EXPECT_THAT(source("rapl")->open().reason(), HasSubstr("no intel-rapl zone"));
  EXPECT_THAT(source("hwmon")->open().reason(), HasSubstr("chips there: none"));
  tree_.write("class/hwmon/hwmon0/name", "coretemp\n");
  EXPECT_THAT(source("hwmon")->open().reason(), HasSubstr("chips there: coretemp"));
}

TEST_F(FakeSysfs, HwmonMetersOneChannelOfEachKnownChip) {
  tree_.write("class/hwmon/hwmon2/name", "amdgpu\n");
  tree_.write("class/hwmon/hwmon2/power1_average", "91000000\n");
  tree_.write("class/hwmon/hwmon2/power1_input", "95000000\n");
  tree_.write("class/hwmon/hwmon2/power1_label", "PPT\n");
  tree_.write("class/hwmon/hwmon2/power1_cap", "300000000\n");
  tree_.write("class/hwmon/hwmon10/name", "xe\n");
  tree_.write("class/hwmon/hwmon10/energy1_input", "5000000\n");
  tree_.write("class/hwmon/hwmon10/energy1_label", "card\n");
  tree_.write("class/hwmon/hwmon10/energy2_input", "4000000\n");
  tree_.write("class/hwmon/hwmon10/energy2_label", "pkg\n");
  tree_.write("class/hwmon/hwmon3/name", "ina3221\n");
  tree_.write("class/hwmon/hwmon3/power1_input", "1000000\n");
  tree_.write("class/hwmon/hwmon4/name", "power_meter\n");
  tree_.write("class/hwmon/hwmon4/power1_average", "450000000\n");
  const auto hwmon = source("hwmon");
  const auto meters = hwmon->open();
  ASSERT_TRUE(meters.ok()) << meters.reason();
  EXPECT_THAT(
      ids(meters.value()),
      ElementsAre("hwmon hwmon2 amdgpu PPT", "hwmon hwmon4 power_meter", "hwmon hwmon10 xe card"));
  EXPECT_EQ(meters.value()[1].scope, Scope::node);
  hwmon->sample();
  const auto traces = everything(*hwmon);
  EXPECT_EQ(traces[0].readings[0].power, watts(91));
  EXPECT_EQ(traces[2].readings[0].counter, Joules::from_base(5));
}

TEST_F(FakeSysfs, HwmonChannelsOfAnUnknownChipAreChosenByLabel) {
  tree_.write("class/hwmon/hwmon0/name", "amd_energy\n");
  tree_.write("class/hwmon/hwmon0/energy1_input", "1000000\n");
  tree_.write("class/hwmon/hwmon0/energy1_label", "Ecore000\n");
  tree_.write("class/hwmon/hwmon0/energy2_input", "7000000\n");
  tree_.write("class/hwmon/hwmon0/energy2_label", "Esocket0\n");
  EXPECT_THAT(source("hwmon:amd_energy?scope=cpu_package")->open().reason(),
              HasSubstr("Ecore000, Esocket0; choose one with label=LABEL"));
  EXPECT_THAT(source("hwmon:amd_energy?scope=cpu_package&label=no")->open().reason(),
              HasSubstr("none 'no'"));
  const auto socket = source("hwmon:amd_energy?scope=cpu_package&label=Esocket0");
  const auto meters = socket->open();
  ASSERT_TRUE(meters.ok()) << meters.reason();
  EXPECT_EQ(meters.value()[0].scope, Scope::cpu_package);
  socket->sample();
  tree_.write("class/hwmon/hwmon0/energy2_input", "\n");
  socket->sample();
  const auto trace = everything(*socket)[0];
  EXPECT_EQ(trace.readings.at(0).counter, Joules::from_base(7));
  EXPECT_THAT(trace.failures, SizeIs(1));
}

}  // namespace
}  // namespace perwatt::device
