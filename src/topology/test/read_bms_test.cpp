#include "perwatt/topology/read_bms.hpp"

#include "error_of.hpp"
#include "same_tree.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::topology {
namespace {

using testing::HasSubstr;

std::string metadata(const std::string& point, const std::string& id, const std::string& serves,
                     const std::string& unit) {
  return R"({"topic": "BMS/v1/PUB/Metadata/PowerMeter/)" + point + "/" + id +
         R"(", "payload": {"objectName": "m", "objectId": ")" + id + R"(", "servesId": [)" +
         serves + R"(], "engUnit": ")" + unit + "\"}}\n";
}

std::string value(const std::string& point, const std::string& id, const std::string& number,
                  int quality = 1, int time = 0) {
  return R"({"topic": "BMS/v1/PUB/Value/PowerMeter/)" + point + "/" + id +
         R"(", "payload": {"value": )" + number + R"(, "timestamp": )" + std::to_string(time) +
         R"(, "quality": )" + std::to_string(quality) + "}}\n";
}

std::string refusal(const std::string& text) {
  return error_of([&] { (void)read_bms(text, "bms.jsonl"); });
}

TEST(ReadBms, TakesTheLastTrustedLimitAndThePowerFactor) {
  const auto site = read_bms(
      metadata("CurrentLimit", "m1", "", "A") + value("CurrentLimit", "m1", "100", 1, 5) +
          value("CurrentLimit", "m1", "999", 0, 9) + value("CurrentLimit", "m1", "50", 1, 2) +
          metadata("Voltage", "m1", "", "kV") + value("Voltage", "m1", "0.4") +
          metadata("PowerFactor", "m1", "", "") + value("PowerFactor", "m1", "0.9"),
      "bms.jsonl");
  EXPECT_NEAR(in_watts(site.tree.node({0}).limits.at(0).power), 100 * 400 * 1.7320508 * 0.9, 0.01);
}

TEST(ReadBms, SaysWhatIsMissing) {
  EXPECT_THAT(refusal(""), HasSubstr("there is no metadata of a PowerMeter"));
  EXPECT_THAT(refusal("x\n"), HasSubstr("bms.jsonl:1: is no JSON"));
  EXPECT_THAT(refusal("[]\n"), HasSubstr("is no JSON object"));
  EXPECT_THAT(refusal(R"({"topic": "a/b", "payload": {}})"), HasSubstr("'a/b' is no topic"));
  EXPECT_THAT(refusal(metadata("CurrentLimit", "m1", "", "A") + value("CurrentLimit", "m1", "5")),
              HasSubstr("bms.jsonl:1: meter 'm1' has a CurrentLimit in A, but no Voltage"));
  EXPECT_THAT(
      refusal(metadata("CurrentLimit", "m1", "", "kW") + value("CurrentLimit", "m1", "5", 0)),
      HasSubstr("the CurrentLimit of meter 'm1' has no value of quality 1"));
  EXPECT_THAT(refusal(metadata("CurrentLimit", "m1", "", "hp") + value("CurrentLimit", "m1", "5")),
              HasSubstr("is in 'hp'"));
  EXPECT_THAT(refusal(metadata("ActivePower", "m1", "", "BTU")), HasSubstr("is in 'BTU'"));
  EXPECT_THAT(refusal(metadata("ActivePower", "m1", "\"m9\"", "kW")),
              HasSubstr("meter 'm1' serves 'm9', which no message describes"));
  EXPECT_THAT(refusal(metadata("ActivePower", "m1", "\"m1\"", "kW")), HasSubstr("a cycle"));
  EXPECT_THAT(refusal(metadata("ActivePower", "m1", "", "kW") + metadata("Voltage", "m2", "", "V")),
              HasSubstr("two roots, 'm1' and 'm2'"));
  EXPECT_THAT(refusal(R"({"topic": "BMS/v1/PUB/Metadata/Rack/RackPower/r", "payload": )"
                      R"({"rackLocationId": "r", "engUnit": "kW"}})"),
              HasSubstr("rack 'r' is an orphan: no meter serves it"));
  EXPECT_THAT(refusal(metadata("ActivePower", "m1", "", "kW") +
                      R"({"topic": "BMS/v1/PUB/Metadata/Rack/RackPower/r", "payload": )"
                      R"({"rackLocationId": "m1", "engUnit": "kW"}})"),
              HasSubstr("'m1' is a PowerMeter and a Rack"));
  EXPECT_THAT(refusal(metadata("CurrentLimit", "m1", "", "kW") + value("CurrentLimit", "m1", "-5")),
              HasSubstr("'m1' has a limit of -5000 W"));
}

TEST(ReadBms, ALongChainIsNoTrouble) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) {
    text += metadata("ActivePower", "m" + std::to_string(i),
                     i + 1 < 20'000 ? "\"m" + std::to_string(i + 1) + "\"" : "", "kW");
  }
  EXPECT_EQ(read_bms(text, "bms.jsonl").tree.depth(), 20'000U);
}

}  // namespace
}  // namespace perwatt::topology
