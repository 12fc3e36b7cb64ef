#include "perwatt/allocate/problem_file.hpp"

#include <string>

#include "error_of.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::allocate {
namespace {

using ::testing::HasSubstr;

std::string problem_of(const std::string& nodes, const std::string& devices) {
  return R"({"policy": "value", "nodes": [)" + nodes + R"(], "devices": [)" + devices + "]}";
}

constexpr const char* kRoot = R"({"id": "root", "parent": null, "limit_watts": 10})";
constexpr const char* kDevice = R"({"id": "gpu", "parent": "root", "curve": [[1, 0], [2, 3]]})";

std::string fault_of(const std::string& nodes, const std::string& devices) {
  return error_of([&] { static_cast<void>(read_problem(problem_of(nodes, devices), "p.json")); });
}

TEST(ReadProblem, NodesMayStandInAnyOrder) {
  const auto named = read_problem(
      problem_of(R"({"id": 7, "parent": "root"},)" + std::string{kRoot}, kDevice), "p.json");
  ASSERT_EQ(named.nodes.size(), 2U);
  EXPECT_EQ(named.nodes[0].text, "root");
  EXPECT_EQ(named.nodes[1].text, "7");
  EXPECT_TRUE(named.nodes[1].is_number);
  EXPECT_EQ(named.problem.curve(DeviceIndex{0}).size(), 2U);
}

TEST(ReadProblem, WhatIsNoTreeNamesTheNode) {
  EXPECT_THAT(
      fault_of(R"({"id": "a", "parent": "b"}, {"id": "b", "parent": "a"},)" + std::string{kRoot},
               ""),
      HasSubstr("node 'a' does not hang on the root"));
  EXPECT_THAT(fault_of(std::string{kRoot} + R"(, {"id": "b", "parent": null})", ""),
              HasSubstr("'root' and 'b' both have no parent"));
  EXPECT_THAT(fault_of(std::string{kRoot} + R"(, {"id": "b", "parent": "c"})", ""),
              HasSubstr("'b' hangs on 'c', which is no node"));
  EXPECT_THAT(fault_of(R"({"id": "a", "parent": "a"})", ""), HasSubstr("no node is the root"));
  EXPECT_THAT(fault_of(std::string{kRoot} + "," + kRoot, ""),
              HasSubstr("two nodes are called 'root'"));
  EXPECT_THAT(fault_of("", ""), HasSubstr("no node is the root"));
  EXPECT_THAT(fault_of(R"({"id": "root", "limit_watts": -1})", ""), HasSubstr("limit_watts"));
}

TEST(ReadProblem, LimitsAcrossBranches) {
  const auto text = [](const std::string& shares) {
    return R"({"policy": "value", "nodes": [)" + std::string{kRoot} + R"(], "devices": [)" +
           kDevice + R"(], "cross_limits": [{"id": "B", "limit_watts": 5, "shares": [)" + shares +
           "]}]}";
  };
  const auto named = read_problem(text(R"({"device": "gpu", "ratio": 0.5})"), "p.json");
  ASSERT_EQ(named.problem.cross_limits().size(), 1U);
  EXPECT_EQ(named.cross_limits[0].text, "B");
  EXPECT_EQ(named.problem.cross_limits()[0].limit, watts(5));
  EXPECT_EQ(named.problem.cross_limits()[0].shares[0].ratio, 0.5);
  const auto fault = [&](const std::string& shares) {
    return error_of([&] { static_cast<void>(read_problem(text(shares), "p.json")); });
  };
  EXPECT_THAT(fault(R"({"device": "tpu"})"), HasSubstr("'B' counts 'tpu', which is no device"));
  EXPECT_THAT(fault(R"({"device": "gpu"}, {"device": "gpu"})"), HasSubstr("counts 'gpu' twice"));
  EXPECT_THAT(fault(R"({"device": "gpu", "ratio": 1e-12})"), HasSubstr("from 1e-9 to 1e9"));
  EXPECT_THAT(fault(R"({"device": "gpu", "ratio": -1})"), HasSubstr("ratio"));
}

TEST(ReadProblem, WhatIsNoCurveNamesTheDevice) {
  const auto curve = [](const std::string& points) {
    return fault_of(kRoot, R"({"id": "gpu", "parent": "root", "curve": )" + points + "}");
  };
  EXPECT_THAT(curve("[[0, 0], [1, 1], [2, 3]]"), HasSubstr("device 'gpu': value must be concave"));
  EXPECT_THAT(curve("[]"), HasSubstr("device 'gpu'"));
  EXPECT_THAT(curve("[[1, 0], [1, 1]]"), HasSubstr("watts must rise"));
  EXPECT_THAT(curve("[[-1, 0]]"), HasSubstr("watts must be 0 or more"));
  EXPECT_THAT(curve("[[1]]"), HasSubstr("a list of [watts, value]"));
  EXPECT_THAT(curve("[[0, 0], [1e-300, 1e300]]"), HasSubstr("1e15 at most"));
  EXPECT_THAT(fault_of(kRoot, R"({"id": "gpu", "parent": "x", "curve": [[0, 0]]})"),
              HasSubstr("'gpu' hangs on 'x'"));
  EXPECT_THAT(fault_of(kRoot, std::string{kDevice} + "," + kDevice),
              HasSubstr("two devices are called 'gpu'"));
  EXPECT_THAT(
      fault_of(kRoot,
               R"({"id": "gpu", "parent": "root", "guarantee_group": "g", "curve": [[0, 0]]})"),
      HasSubstr("guarantee 'g' of device 'gpu' is not there"));
}

TEST(ReadProblem, ManyPrioritiesBesideGroupsAreRefused) {
  std::string devices;
  for (int i = 0; i < 40; ++i) {
    devices += std::string{i == 0 ? "" : ","} + R"({"id": )" + std::to_string(i) +
               R"(, "parent": "root", "curve": [[0, 0]], "same_cap_group": "g", "priority": )" +
               std::to_string(i) + "}";
  }
  const std::string problem = R"({"policy": "priority", "nodes": [)" + std::string{kRoot} +
                              R"(], "devices": [)" + devices + "]}";
  EXPECT_THAT(error_of([&] { static_cast<void>(read_problem(problem, "p.json")); }),
              HasSubstr("40 priorities"));
}

}  // namespace
}  // namespace perwatt::allocate
