#include "perwatt/agent/lease.hpp"

#include <gtest/gtest.h>

namespace perwatt::agent {
namespace {

Instant at(double time_seconds) {
  return Instant{} + seconds(time_seconds);
}

constexpr LeaseLimits kLimits{watts(100), watts(700), watts(300), seconds(2)};

device::LeaseGrant grant(device::GrantId id, const device::LeaseAsk& ask, double cap_watts,
                         double duration_seconds) {
  return {id, ask, watts(cap_watts), seconds(duration_seconds)};
}

TEST(Lease, CountsFromTheAskAndFallsBackAlone) {
  Lease lease{kLimits, 1, at(0)};
  EXPECT_EQ(lease.cap(at(0)), watts(300));
  const auto ask = lease.ask(at(10));
  EXPECT_EQ(lease.take(grant(1, ask, 600, 5), at(13)), Answer::accepted);
  EXPECT_EQ(lease.cap(at(14.9)), watts(600));
  EXPECT_EQ(lease.cap(at(15)), watts(300));  // 5 s since the ask, not since the grant
}

TEST(Lease, TellsWhenItsCapChangesByItself) {
  Lease lease{kLimits, 1, at(0)};
  EXPECT_FALSE(lease.expires());
  const auto first = lease.ask(at(10));
  EXPECT_EQ(lease.take(grant(1, first, 600, 5), at(11)), Answer::accepted);
  EXPECT_EQ(lease.expires(), at(15));
  const auto second = lease.ask(at(12));
  EXPECT_EQ(lease.take(grant(2, second, 600, 5), at(13)), Answer::accepted);
  EXPECT_EQ(lease.expires(), at(17));
  EXPECT_EQ(lease.cap(at(17)), watts(300));
  EXPECT_FALSE(lease.expires());
}

TEST(Lease, ALateGrantIsVoid) {
  Lease lease{kLimits, 1, at(0)};
  const auto ask = lease.ask(at(10));
  EXPECT_EQ(lease.take(grant(1, ask, 600, 5), at(15)), Answer::late);
  EXPECT_EQ(lease.cap(at(15)), watts(300));
}

TEST(Lease, OnlyTheNewestGrantOfThisEpochCounts) {
  Lease lease{kLimits, 2, at(0)};
  const auto first = lease.ask(at(1));
  const auto second = lease.ask(at(2));
  EXPECT_EQ(lease.take(grant(7, second, 500, 10), at(3)), Answer::accepted);
  EXPECT_EQ(lease.take(grant(6, first, 700, 10), at(4)), Answer::old);
  EXPECT_EQ(lease.take(grant(7, second, 700, 10), at(4)), Answer::old);
  EXPECT_EQ(lease.take(grant(8, {1, 2}, 700, 10), at(4)), Answer::unknown_ask);
  EXPECT_EQ(lease.take(grant(8, {2, 3}, 700, 10), at(4)), Answer::unknown_ask);
  EXPECT_EQ(lease.take(grant(8, {2, 0}, 700, 10), at(4)), Answer::unknown_ask);
  EXPECT_EQ(lease.cap(at(4)), watts(500));
  for (std::size_t i = 0; i < Lease::kAsks; ++i) {
    static_cast<void>(lease.ask(at(5)));
  }
  EXPECT_EQ(lease.take(grant(9, second, 700, 10), at(5)), Answer::unknown_ask);
}

TEST(Lease, RefusesCapsThatTheDeviceDoesNotTake) {
  Lease lease{kLimits, 1, at(0)};
  const auto ask = lease.ask(at(0));
  EXPECT_EQ(lease.take(grant(1, ask, 99, 5), at(0)), Answer::out_of_bounds);
  EXPECT_EQ(lease.take(grant(1, ask, 701, 5), at(0)), Answer::out_of_bounds);
  EXPECT_EQ(lease.take(grant(1, ask, 500, 0), at(0)), Answer::out_of_bounds);
  EXPECT_EQ(lease.take(grant(1, ask, 500, 5), at(0)), Answer::accepted);
}

TEST(Lease, SettlesOnlySomeTimeAfterALowerAndWhenReadBack) {
  Lease lease{kLimits, 1, at(0)};
  EXPECT_FALSE(lease.report(at(1), watts(300)).is_settled);  // what stood before is not known
  EXPECT_TRUE(lease.report(at(2), watts(300)).is_settled);
  EXPECT_FALSE(lease.report(at(2), watts(301)).is_settled);  // another cap is in force
  const auto ask = lease.ask(at(3));
  ASSERT_EQ(lease.take(grant(1, ask, 600, 4), at(3)), Answer::accepted);
  EXPECT_TRUE(lease.report(at(3), watts(600)).is_settled);
  EXPECT_FALSE(lease.report(at(3), watts(600)).is_lapsed);
  const auto lapsed = lease.report(at(7), watts(300));
  EXPECT_TRUE(lapsed.is_lapsed);
  EXPECT_EQ(lapsed.accepted, 1U);
  EXPECT_FALSE(lapsed.is_settled);
  EXPECT_TRUE(lease.report(at(9), watts(300)).is_settled);
}

}  // namespace
}  // namespace perwatt::agent
