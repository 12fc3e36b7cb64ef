#include <string>

#include "fake_driver.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/device/power_cap.hpp"

namespace perwatt::device {
namespace {

using test::everything;
using test::FakeDriver;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(NvmlSource, ReadsPowerAndTheCounter) {
  const FakeDriver driver{
      "gpus 2\n0 power_mw 1\n0 instant_mw 350000\n0 energy_mj 1500 2500\n"
      "0 bounds_mw 200000 700000\n1 power_mw 71250\n"};
  const auto source = test::source("nvml");
  const auto meters = source->open();
  ASSERT_TRUE(meters.ok()) << meters.reason();
  ASSERT_THAT(meters.value(), SizeIs(2));
  EXPECT_EQ(meters.value()[0].id, "nvml gpu0");
  EXPECT_EQ(meters.value()[0].uid, "GPU-fake-0");
  EXPECT_EQ(meters.value()[0].device, "gpu 0, GPU-fake-0, Fake H100");
  EXPECT_EQ(meters.value()[0].most_power, watts(875));
  source->sample();
  const auto traces = everything(*source);
  EXPECT_EQ(traces[0].readings.at(0).power, watts(350));
  EXPECT_EQ(traces[0].readings[0].counter, Joules::from_base(2.5));
  // Without field 186 the usual figure, without a counter the power alone.
  EXPECT_EQ(traces[1].readings.at(0).power, watts(71.25));
  EXPECT_FALSE(traces[1].readings[0].counter);
  EXPECT_THAT(traces[1].failures, SizeIs(0));
}

TEST(NvmlSource, PicksGpus) {
  const FakeDriver driver{"gpus 4\n3 power_mw 33000\n0 power_mw 1000\n"};
  const auto source = test::source("nvml:3,0");
  const auto meters = source->open();
  ASSERT_TRUE(meters.ok()) << meters.reason();
  ASSERT_THAT(meters.value(), SizeIs(2));
  EXPECT_EQ(meters.value()[1].uid, "GPU-fake-3");
  EXPECT_THAT(test::source("nvml:4")->open().reason(), HasSubstr("sees 4, numbered from 0"));
}

TEST(NvmlSource, AGpuThatFailsFailsAlone) {
  const FakeDriver driver{
      "gpus 3\n0 power_mw 100000\n0 energy_mj 5\n1 lost 1\n2 power_mw 90000\n2 energy_mj 7\n"};
  const auto source = test::source("nvml");
  ASSERT_THAT(source->open().value(), SizeIs(3));  // the lost one is part of the fleet
  source->sample();
  driver.write("gpus 3\n0 power_mw 100000\n1 power_mw 80000\n2 power_status 15\n");
  source->sample();
  const auto traces = everything(*source);
  EXPECT_THAT(traces[1].failures.at(0).reason, HasSubstr("GPU is lost"));
  EXPECT_EQ(traces[1].readings.at(0).power, watts(80));  // it came back
  EXPECT_THAT(traces[2].readings, SizeIs(1));
  EXPECT_THAT(traces[2].failures, SizeIs(2));  // power and counter
  // A counter that was there and is gone is told; the power is kept.
  ASSERT_THAT(traces[0].readings, SizeIs(2));
  EXPECT_FALSE(traces[0].readings[1].counter);
  EXPECT_THAT(traces[0].failures, SizeIs(1));
}

TEST(NvmlSource, AResetIsPassedOnAsAFall) {
  const FakeDriver driver{"gpus 1\n0 power_mw 1000\n0 energy_mj 100 9000 40\n"};
  const auto source = test::source("nvml");
  ASSERT_TRUE(source->open().ok());
  source->sample();
  source->sample();
  const auto trace = everything(*source)[0];
  EXPECT_EQ(trace.readings.at(0).counter, Joules::from_base(9));
  EXPECT_EQ(trace.readings.at(1).counter, Joules::from_base(0.04));
}

TEST(NvmlSource, OpenTellsWhyThereIsNothing) {
  {
    const FakeDriver driver{"gpus 0\n"};
    EXPECT_THAT(test::source("nvml")->open().reason(), HasSubstr("no GPU"));
  }
  EXPECT_THAT(test::source("nvml")->open().reason(), HasSubstr("Driver Not Loaded"));
}

TEST(NvmlCaps, AreReadAndSetAndReadBack) {
  const FakeDriver driver{test::two_boards() + "1 other_limit_mw 350000\n"};
  const auto control = nvml_cap_control();
  ASSERT_TRUE(control.ok()) << control.reason();
  const auto devices = control.value()->devices();
  ASSERT_TRUE(devices.ok()) << devices.reason();
  ASSERT_THAT(devices.value(), SizeIs(2));
  EXPECT_EQ(devices.value()[1].id, "GPU-fake-1");
  EXPECT_EQ(devices.value()[1].least, watts(200));
  EXPECT_EQ(devices.value()[1].most, watts(700));
  EXPECT_EQ(devices.value()[1].requested, watts(500));
  EXPECT_EQ(devices.value()[1].enforced, watts(350));
  EXPECT_EQ(control.value()->set_cap("GPU-fake-0", watts(450)).value(), watts(450));
  EXPECT_EQ(control.value()->set_cap("GPU-fake-1", watts(450)).value(), watts(350));
  EXPECT_EQ(driver.value("1 limit_mw"), "450000");
  EXPECT_EQ(driver.value("1 set_with_v2"), "1");
  EXPECT_EQ(driver.value("1 set_with_v1"), "");
  EXPECT_FALSE(control.value()->set_cap("GPU-fake-0", watts(100)).ok());
  EXPECT_EQ(driver.value("0 limit_mw"), "450000");
  EXPECT_THAT(control.value()->set_cap("GPU-none", watts(300)).reason(), HasSubstr("GPU-none"));
}

TEST(NvmlCaps, OldDriversAreSetTheOldWay) {
  const FakeDriver driver{test::two_boards() + "no_set_v2 1\n"};
  const auto control = nvml_cap_control();
  ASSERT_TRUE(control.ok());
  ASSERT_EQ(control.value()->set_cap("GPU-fake-0", watts(333)).value(), watts(333));
  EXPECT_EQ(driver.value("0 set_with_v1"), "1");
}

TEST(NvmlCaps, WithoutPermissionTheRemedyIsTold) {
  const FakeDriver driver{test::two_boards() + "0 set_status 4\n"};
  const auto control = nvml_cap_control();
  ASSERT_TRUE(control.ok());
  const auto set = control.value()->set_cap("GPU-fake-0", watts(333));
  ASSERT_FALSE(set.ok());
  EXPECT_THAT(set.reason(), HasSubstr("Insufficient Permissions"));
  EXPECT_THAT(set.reason(), HasSubstr("root"));
}

}  // namespace
}  // namespace perwatt::device
