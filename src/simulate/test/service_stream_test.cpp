#include <algorithm>

#include "error_of.hpp"
#include "service_support.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/error.hpp"
#include "perwatt/simulate/request_stream.hpp"

namespace perwatt::simulate {
namespace {

using testing::HasSubstr;

std::vector<Request> take(RequestStream stream, std::size_t most) {
  std::vector<Request> requests;
  while (requests.size() < most) {
    const auto request = stream.next();
    if (!request) {
      break;
    }
    requests.push_back(*request);
  }
  return requests;
}

TEST(RequestStream, ArrivalsAreThoseOfTheProcess) {
  ArrivalPlan plan = poisson_arrivals(4, 500, 17);
  const auto requests =
      take(RequestStream::of_arrivals(plan, {constant_tokens(7), constant_tokens(3)}), 1000);
  ASSERT_EQ(requests.size(), 500U);
  ArrivalProcess process{plan};
  for (const Request& request : requests) {
    EXPECT_EQ(request.arrival, Instant{} + *process.next()->offset);
    EXPECT_EQ(request.input_tokens, 7);
    EXPECT_EQ(request.output_tokens, 3);
  }
}

TEST(RequestStream, BurstsComeAtOnce) {
  ArrivalPlan plan = poisson_arrivals(2, 9, 1);
  plan.pattern = ArrivalPattern::bursts;
  plan.burst_size = 4;
  const auto requests =
      take(RequestStream::of_arrivals(plan, {constant_tokens(1), constant_tokens(1)}), 100);
  EXPECT_EQ(requests[3].arrival, Instant{});
  EXPECT_EQ(requests[4].arrival, at_seconds(2));
  EXPECT_EQ(requests[8].arrival, at_seconds(4));
}

TEST(RequestStream, TheSeedIsAllThatCounts) {
  const TokenLaws laws{{TokenLaw::Kind::lognormal, tokens(500), 1.2}, exponential_tokens(80)};
  const auto one = take(RequestStream::of_arrivals(poisson_arrivals(4, 300, 2), laws), 300);
  const auto same = take(RequestStream::of_arrivals(poisson_arrivals(4, 300, 2), laws), 300);
  const auto other = take(RequestStream::of_arrivals(poisson_arrivals(4, 300, 3), laws), 300);
  const auto faster = take(RequestStream::of_arrivals(poisson_arrivals(8, 300, 2), laws), 300);
  EXPECT_EQ(one, same);
  EXPECT_NE(one, other);
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].input_tokens, faster[i].input_tokens);
    EXPECT_EQ(one[i].output_tokens, faster[i].output_tokens);
  }
}

TEST(RequestStream, LengthsHaveTheMomentsTheyState) {
  std::mt19937_64 generator{5};
  for (const TokenLaw& law : {exponential_tokens(2.5), exponential_tokens(300), constant_tokens(12),
                              TokenLaw{TokenLaw::Kind::lognormal, tokens(400), 0.6}}) {
    std::vector<double> draws;
    for (int i = 0; i < 60000; ++i) {
      draws.push_back(static_cast<double>(draw_tokens(law, generator)));
      ASSERT_GE(draws.back(), 1);
    }
    const Estimate found = estimate(draws);
    EXPECT_NEAR(found.mean, in_tokens(law.mean()), 3 * found.standard_error);
    const double deviation = found.standard_error * std::sqrt(60000.0);
    EXPECT_NEAR(deviation * deviation / (found.mean * found.mean), law.squared_variation(),
                0.04 * law.squared_variation());
  }
}

DailyRate day() {
  DailyRate rate;
  rate.points = {{seconds(0), 0}, {seconds(40), 10}, {seconds(60), 10}, {seconds(80), 2}};
  rate.period = seconds(100);
  return rate;
}

// The integral of the rate: 200 to 40 s, 400 to 60 s, 520 to 80 s, 540 to 100 s.
TEST(RequestStream, ADailyRateIsItsIntegral) {
  const auto requests =
      take(RequestStream::of_daily_rate(day(), ArrivalPattern::constant, 1,
                                        {constant_tokens(1), constant_tokens(1)}, 0),
           1080);
  EXPECT_NEAR(in_seconds(requests[199].arrival - Instant{}), 40, 1e-6);
  EXPECT_NEAR(in_seconds(requests[49].arrival - Instant{}), 20, 1e-6);
  EXPECT_NEAR(in_seconds(requests[399].arrival - Instant{}), 60, 1e-6);
  EXPECT_NEAR(in_seconds(requests[519].arrival - Instant{}), 80, 1e-6);
  EXPECT_NEAR(in_seconds(requests[539].arrival - Instant{}), 100, 1e-6);
  EXPECT_NEAR(in_seconds(requests[739].arrival - Instant{}), 140, 1e-6);
  for (std::size_t i = 1; i < requests.size(); ++i) {
    EXPECT_LE(requests[i - 1].arrival, requests[i].arrival);
  }
}

TEST(RequestStream, ADayMayStartInTheMiddle) {
  DailyRate rate = day();
  rate.starts_at = seconds(60);
  const auto requests =
      take(RequestStream::of_daily_rate(rate, ArrivalPattern::constant, 1,
                                        {constant_tokens(1), constant_tokens(1)}, 0),
           140);
  EXPECT_NEAR(in_seconds(requests[119].arrival - Instant{}), 20, 1e-6);
  EXPECT_NEAR(in_seconds(requests[139].arrival - Instant{}), 40, 1e-6);
}

// Of a Poisson process the count of an interval is Poisson with the integral as its mean.
TEST(RequestStream, ADailyPoissonProcessHasItsCounts) {
  std::vector<double> counts;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    auto stream = RequestStream::of_daily_rate(day(), ArrivalPattern::poisson, 1,
                                               {constant_tokens(1), constant_tokens(1)}, seed);
    double count = 0;
    while (stream.next()->arrival < at_seconds(40)) {
      ++count;
    }
    counts.push_back(count);
  }
  const Estimate found = estimate(counts);
  EXPECT_NEAR(found.mean, 200, 3 * std::sqrt(200.0 / 200));
  EXPECT_NEAR(found.standard_error * found.standard_error * 200, 200, 60);
}

TEST(RequestStream, RatesAndLawsOutOfRangeAreRefused) {
  const TokenLaws laws{constant_tokens(1), constant_tokens(1)};
  const auto daily = [&](DailyRate rate) {
    return error_of(
        [&] { RequestStream::of_daily_rate(rate, ArrivalPattern::poisson, 1, laws, 0); });
  };
  DailyRate rate = day();
  rate.points[0].at = seconds(1);
  EXPECT_THAT(daily(rate), HasSubstr("first point"));
  rate = day();
  rate.points[2].at = seconds(90);
  EXPECT_THAT(daily(rate), HasSubstr("90 s"));
  rate = day();
  rate.points[1].rate_per_second = -1;
  EXPECT_THAT(daily(rate), HasSubstr("-1 requests/s"));
  rate = day();
  rate.starts_at = seconds(100);
  EXPECT_THAT(daily(rate), HasSubstr("100 s"));
  rate.points = {{seconds(0), 0}};
  EXPECT_THAT(daily(rate), HasSubstr("0 requests/s all day"));
  EXPECT_THAT(error_of([] {
                RequestStream::of_arrivals(poisson_arrivals(1, 1, 1),
                                           {constant_tokens(0.5), constant_tokens(1)});
              }),
              HasSubstr("0.5 input tokens"));
}

constexpr const char* kTrace =
    "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
    "2023-11-16 23:59:59.5000000,374,44\r\n"
    "2023-11-17 00:00:00.0000001,396,0\r\n"
    "2023-11-17 00:00:02.5,5,7";

TEST(RequestTrace, ReadsTheAzureFormat) {
  const RequestTrace trace = parse_azure_trace(kTrace, "t.csv");
  ASSERT_EQ(trace.size(), 3U);
  EXPECT_EQ(trace[0], (Request{Instant{}, 374, 44}));
  EXPECT_EQ(trace[1], (Request{Instant::from_nanoseconds(500'000'100), 396, 1}));
  EXPECT_EQ(trace[2], (Request{at_seconds(3), 5, 7}));
}

TEST(RequestTrace, ReadsZonesAndMoreColumns) {
  const RequestTrace trace = parse_azure_trace(
      "TIMESTAMP,NumImages,ContextTokens,GeneratedTokens\n"
      "2024-02-29 00:00:00+00:00,1,10,2\n"
      "2024-03-01T00:00:00.25Z,2,11,3\n",
      "t.csv");
  EXPECT_EQ(trace[1], (Request{at_seconds(86400.25), 11, 3}));
}

std::string trace_error(const std::string& rows) {
  return error_of([&] {
    static_cast<void>(
        parse_azure_trace("TIMESTAMP,ContextTokens,GeneratedTokens\n" + rows, "t.csv"));
  });
}

TEST(RequestTrace, BadRowsNameTheirLineAndTheRemedy) {
  const std::string good = "2023-11-16 18:15:46.6805900,374,44\n";
  for (const char* bad :
       {"yesterday", "2023-13-16 18:15:46", "2023-11-16 24:15:46", "2023-11-16 18:15:46.",
        "2023-11-16 18:15:46.1234567890", "2023-11-16 18:15:46 PM", "2023-11-16 18:15",
        "2023-11-1x 18:15:46", "1923-11-16 18:15:46"}) {
    const std::string error = trace_error(good + bad + ",1,1\n");
    EXPECT_THAT(error, HasSubstr("t.csv:3: TIMESTAMP")) << bad;
    EXPECT_THAT(error, HasSubstr("write it as")) << bad;
  }
  EXPECT_THAT(trace_error(good + "2023-11-16 18:15:47,1.5,1\n"),
              HasSubstr("t.csv:3: ContextTokens"));
  EXPECT_THAT(trace_error(good + "2023-11-16 18:15:47,1,-2\n"),
              HasSubstr("t.csv:3: GeneratedTokens"));
  EXPECT_THAT(trace_error(good + "2023-11-16 18:15:46.6805899,1,1\n"),
              HasSubstr("sort the rows by TIMESTAMP"));
  EXPECT_THAT(trace_error(good + "2023-11-16 18:15:47,1\n"), HasSubstr("t.csv:3"));
  EXPECT_THAT(trace_error(""), HasSubstr("no request"));
  EXPECT_THAT(
      error_of([] { static_cast<void>(parse_azure_trace("TIMESTAMP,ContextTokens\n", "t.csv")); }),
      HasSubstr("GeneratedTokens"));
}

TEST(RequestTrace, IsScaledAndLooped) {
  const RequestTrace trace = parse_azure_trace(kTrace, "t.csv");
  TraceUse use;
  EXPECT_EQ(take(RequestStream::of_trace(trace, use), 10), trace);
  use.rate_ratio = 2;
  use.is_looped = true;
  use.output = constant_tokens(9);
  const auto requests = take(RequestStream::of_trace(trace, use), 7);
  // Three gaps of 1.5 s on average: a round takes 4.5 s as recorded.
  EXPECT_EQ(requests[2].arrival, at_seconds(1.5));
  EXPECT_EQ(requests[3].arrival, at_seconds(2.25));
  EXPECT_EQ(requests[3].input_tokens, 374);
  EXPECT_EQ(requests[6].arrival, at_seconds(4.5));
  EXPECT_EQ(requests[6].output_tokens, 9);
  use.rate_ratio = 0;
  EXPECT_THROW(RequestStream::of_trace(trace, use), Error);
  EXPECT_THROW(RequestStream::of_trace({}, {}), Error);
  EXPECT_THROW(RequestStream::of_trace({trace[0]}, {1, true, {}, {}, 0}), Error);
}

}  // namespace
}  // namespace perwatt::simulate
