#include "perwatt/report/topology_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/topology/read_topology.hpp"

namespace perwatt::report {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kHostileTree = R"(
[[topology.node]]
id = "<script>alert(1)</script>"
kind = "utility"
limits = [{ power = "10kW", what = "demand", window = "15min" }]
[[topology.node]]
id = "rack"
parent = "<script>alert(1)</script>"
count = 40
[[topology.node]]
id = "odd"
parent = "rack-40"
[[topology.device]]
id = "gpu"
parent = "rack"
max = "400W"
vendor = "A&B"
)";

TopologyReport report_of(const topology::PowerTree& tree) {
  TopologyReport report;
  report.tree = &tree;
  report.draws.nodes.resize(tree.nodes().size());
  report.draws.devices.resize(tree.devices().size());
  report.source = "site.toml";
  report.version = "0";
  return report;
}

TEST(TopologyReport, ShowsAlikeSiblingsOnceAndEscapes) {
  const auto tree = topology::read_topology(kHostileTree, "site.toml");
  const auto html = topology_html(report_of(tree));
  EXPECT_THAT(html, HasSubstr("rack-1 … rack-39 (39 alike)"));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(1)"));
  EXPECT_THAT(html, Not(HasSubstr("<script>alert(1)")));
  EXPECT_THAT(html, HasSubstr("A&amp;B"));
  EXPECT_THAT(html, HasSubstr("10 kW demand over 15 min"));
  EXPECT_THAT(html, HasSubstr("160 %"));
  EXPECT_THAT(html, Not(HasSubstr("USD")));
}

TEST(TopologyReport, ShowsTheSplitAndSaysWhatItCut) {
  const auto tree = topology::read_topology(kHostileTree, "site.toml");
  auto report = report_of(tree);
  allocate::SiteSplit split;
  split.value = 1234;
  split.bound = 1250;
  split.settings.value = 1225;
  split.value_unit = "<b>tok/s";
  split.supply.assign(tree.nodes().size(), watts(777));
  split.device_power.assign(tree.devices().size(), watts(333));
  split.prices.resize(tree.nodes().size());
  split.prices[0] = {0.125, std::nullopt};
  report.split = &split;
  const auto html = topology_html(report, 3);
  EXPECT_THAT(html, HasSubstr("makes 1,234 &lt;b&gt;tok/s"));
  EXPECT_THAT(html, HasSubstr("2 % below the bound"));
  EXPECT_THAT(html, HasSubstr("777 W"));
  EXPECT_THAT(html, HasSubstr("333 W"));
  EXPECT_THAT(html, HasSubstr(">125<"));
  EXPECT_THAT(html, HasSubstr("infeasible"));
  EXPECT_THAT(html, HasSubstr("3 more lines"));
  split.status = allocate::Status::infeasible;
  split.supply.clear();
  EXPECT_THAT(topology_html(report, 3), HasSubstr("No split of watts"));
}

}  // namespace
}  // namespace perwatt::report
