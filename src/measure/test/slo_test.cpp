#include "perwatt/measure/slo.hpp"

#include <gtest/gtest.h>

#include "perwatt/base/error.hpp"

namespace perwatt::measure {
namespace {

TEST(Slo, ReadsTheWordsOfOtherTools) {
  const auto slo = parse_slo("ttft:200ms, tpot:50ms  e2el:2s", "--goodput");
  EXPECT_EQ(slo.ttft, seconds(0.2));
  EXPECT_EQ(slo.tpot, seconds(0.05));
  EXPECT_EQ(slo.e2e, seconds(2));
  EXPECT_FALSE(slo.itl);
  const auto aiperf = parse_slo("time_to_first_token:200ms inter_token_latency:50ms", "--goodput");
  EXPECT_EQ(aiperf.ttft, slo.ttft);
  EXPECT_EQ(aiperf.tpot, slo.tpot);
  EXPECT_EQ(to_string(slo), "ttft 0.2 s, tpot 0.05 s, e2e 2 s");
  EXPECT_EQ(to_string(parse_slo("", "--goodput")), "");
}

TEST(Slo, RefusesWhatIsNoLimit) {
  for (const auto* text : {"ttft:200", "ttft", "latency:1s", "ttft:0s", "ttft:1s ttft:2s",
                           "ttft:-1s", "e2e:1s e2el:1s", ":1s"}) {
    EXPECT_THROW((void)parse_slo(text, "--goodput"), Error) << text;
  }
}

}  // namespace
}  // namespace perwatt::measure
