// Meters of one device, and which scope makes a boundary.
#include <string>
#include <vector>

#include "energy_traces.hpp"
#include <gtest/gtest.h>

namespace perwatt::measure {
namespace {

using Traces = std::vector<device::MeterTrace>;

constexpr const char* kUuid = "GPU-5fd4f087-86f3-7a43-b711-4771313afc50";
constexpr const char* kOtherUuid = "GPU-5fd4f087-86f3-7a43-b711-4771313afc51";

device::MeterTrace steady(const std::string& source, const std::string& host,
                          const std::string& device, device::Scope scope, double level) {
  auto meter = gpu_meter(0, source);
  meter.id = source + " " + host + "/" + device;
  meter.host = host;
  meter.device = device;
  meter.scope = scope;
  meter.most_power.reset();
  return trace_of(constant_power(level), meter, -2, 62);
}

device::MeterTrace gpu(const std::string& source, const std::string& host,
                       const std::string& device) {
  return steady(source, host, device, device::Scope::gpu, 500);
}

BoundaryEnergy energy_of(Boundary boundary, const Traces& traces) {
  return energy_at(boundary, traces, window_of(0, 60), {});
}

TEST(EnergyOverlap, OneGpuByNvmlAndDcgmCountsOnceByItsUuid) {
  const std::string lower = "gpu-5fd4f087-86f3-7a43-b711-4771313afc50";
  const Traces traces{gpu("nvml", "", std::string{"gpu 0, "} + kUuid + ", NVIDIA H100"),
                      gpu("dcgm:http://h:9400", "h", "gpu 0, " + lower)};
  const auto energy = energy_of(Boundary::gpu, traces);
  EXPECT_TRUE(energy.valid) << text_of(energy);
  EXPECT_NEAR(energy.energy->in_base(), 30'000, 1);
  EXPECT_EQ(energy.meters, 1);
  EXPECT_TRUE(has(energy, EnergyReason::overlapping_meters, false)) << text_of(energy);
}

TEST(EnergyOverlap, TheMeterThatWorksIsKept) {
  Traces traces{gpu("nvml", "", kUuid), gpu("dcgm:http://h:9400", "h", kUuid)};
  drop_readings(traces[0], 20, 99);
  const auto energy = energy_of(Boundary::gpu, traces);
  EXPECT_TRUE(energy.valid) << text_of(energy);
  EXPECT_NEAR(energy.energy->in_base(), 30'000, 1);
}

TEST(EnergyOverlap, MigRowsOfOneBoardCountOnce) {
  Traces traces;
  for (int slice = 0; slice < 3; ++slice) {
    auto trace =
        gpu("dcgm:http://h:9400", "h", std::string{kUuid} + " MIG " + std::to_string(slice));
    traces.push_back(trace);
  }
  const auto energy = energy_of(Boundary::gpu, traces);
  EXPECT_NEAR(energy.energy->in_base(), 30'000, 1);
  EXPECT_EQ(energy.meters, 1);
}

TEST(EnergyOverlap, DifferentUuidsAreDifferentDevices) {
  const auto energy = energy_of(
      Boundary::gpu, {gpu("nvml", "", kUuid), gpu("dcgm:http://h:9400", "h", kOtherUuid)});
  EXPECT_TRUE(energy.valid) << text_of(energy);
  EXPECT_EQ(energy.meters, 2);
}

TEST(EnergyOverlap, WhatCannotBeToldApartIsRefused) {
  const auto energy =
      energy_of(Boundary::gpu, {gpu("nvml", "", "gpu 0"), gpu("amd:http://h:5000", "h", "gpu 0")});
  EXPECT_FALSE(energy.valid);
  EXPECT_TRUE(has(energy, EnergyReason::overlapping_meters, true)) << text_of(energy);
}

TEST(EnergyOverlap, TwoExportersOnTwoHostsAreTwoFleets) {
  const auto energy = energy_of(Boundary::gpu, {gpu("amd:http://a:5000", "a", "gpu 0"),
                                                gpu("amd:http://b:5000", "b", "gpu 0")});
  EXPECT_TRUE(energy.valid) << text_of(energy);
  EXPECT_NEAR(energy.energy->in_base(), 60'000, 1);
}

TEST(EnergyOverlap, OneNodeByTwoSourcesIsRefused) {
  const auto energy = energy_of(
      Boundary::it, {steady("redfish:https://bmc", "n1", "chassis", device::Scope::node, 900),
                     steady("pdu:http://pdu", "n1", "outlet 3", device::Scope::node, 950)});
  EXPECT_FALSE(energy.valid);
  EXPECT_TRUE(has(energy, EnergyReason::overlapping_meters, true)) << text_of(energy);
}

TEST(EnergyOverlap, TwoOutletsOfOneNodeFromOneSourceAdd) {
  const auto energy = energy_of(
      Boundary::it, {steady("pdu:http://pdu", "n1", "outlet 3", device::Scope::node, 450),
                     steady("pdu:http://pdu", "n1", "outlet 4", device::Scope::node, 450)});
  EXPECT_TRUE(energy.valid) << text_of(energy);
  EXPECT_NEAR(energy.energy->in_base(), 54'000, 1);
}

TEST(EnergyBoundary, PackagesAndMemoryNeverMakeItPower) {
  const auto energy =
      energy_of(Boundary::it, {steady("rapl", "n1", "package-0", device::Scope::cpu_package, 200),
                               steady("rapl", "n1", "dram", device::Scope::memory, 40),
                               gpu("nvml", "n1", kUuid)});
  EXPECT_FALSE(energy.valid);
  EXPECT_TRUE(has(energy, EnergyReason::no_meter, true)) << text_of(energy);
  EXPECT_FALSE(energy.energy);
}

TEST(EnergyBoundary, NodesAreUsedWhereTheRackSeesTheSame) {
  const auto energy = energy_of(
      Boundary::it, {steady("redfish:https://bmc", "n1", "chassis", device::Scope::node, 1000),
                     steady("pdu:http://pdu", "r1", "rack", device::Scope::rack, 1010)});
  EXPECT_NEAR(energy.energy->in_base(), 60'000, 1);
  EXPECT_TRUE(has(energy, EnergyReason::overlapping_meters, false)) << text_of(energy);
}

TEST(EnergyBoundary, ARackThatCoversMoreIsUsedAndSaid) {
  const auto energy = energy_of(
      Boundary::it, {steady("redfish:https://bmc", "n1", "chassis", device::Scope::node, 1000),
                     steady("pdu:http://pdu", "r1", "rack", device::Scope::rack, 1080)});
  EXPECT_NEAR(energy.energy->in_base(), 64'800, 1);
  EXPECT_TRUE(has(energy, EnergyReason::overlapping_meters, false)) << text_of(energy);
}

TEST(EnergyBoundary, ARackStandsInForNodesThatAreNotWhole) {
  Traces traces{steady("redfish:https://bmc", "n1", "chassis", device::Scope::node, 1000),
                steady("pdu:http://pdu", "r1", "rack", device::Scope::rack, 1010)};
  drop_readings(traces[0], 20, 99);
  const auto energy = energy_of(Boundary::it, traces);
  EXPECT_TRUE(energy.valid) << text_of(energy);
  EXPECT_NEAR(energy.energy->in_base(), 60'600, 1);
}

TEST(EnergyBoundary, FacilityIsTheSiteMeterAlone) {
  const Traces traces{steady("pdu:http://pdu", "r1", "rack", device::Scope::rack, 1010),
                      steady("modbus:10.0.0.1", "", "feed A", device::Scope::site, 900),
                      steady("modbus:10.0.0.2", "", "feed B", device::Scope::site, 800)};
  const auto energy = energy_of(Boundary::facility, traces);
  EXPECT_TRUE(energy.valid) << text_of(energy);
  EXPECT_NEAR(energy.energy->in_base(), 102'000, 1);
}

TEST(EnergyBoundary, NamesAreThoseOfTheJson) {
  EXPECT_EQ(to_string(Boundary::gpu), "gpu");
  EXPECT_EQ(to_string(Boundary::it), "it");
  EXPECT_EQ(to_string(Boundary::facility), "facility");
  EXPECT_EQ(to_string(EnergyMethod::power_integral), "power_integral");
  EXPECT_EQ(to_string(EnergyReason::no_meter), "no_meter");
  EXPECT_EQ(to_string(EnergyReason::accuracy_unknown), "accuracy_unknown");
  EXPECT_EQ(to_string(EnergyReason::clock_jump), "clock_jump");
}

}  // namespace
}  // namespace perwatt::measure
