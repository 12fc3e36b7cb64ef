#include "perwatt/measure/load_results.hpp"

#include "measurement_testing.hpp"
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace perwatt::measure {
namespace {

/// A request due at `intended`, sent `wait` later, answered by `count` tokens, the first 100 ms
/// after it was sent and one each 10 ms.
RequestRecord answered(std::int64_t intended, std::int64_t wait, std::int64_t count) {
  RequestRecord record;
  record.intended = at_ms(intended);
  record.sent = at_ms(intended + wait);
  record.first_content = at_ms(intended + wait + 100);
  record.last_content = at_ms(intended + wait + 100 + 10 * (count - 1));
  record.end = *record.last_content;
  record.outcome = RequestOutcome::ok;
  record.output_tokens = count;
  record.content_chunks = count;
  record.content_chunks_in_window = count;
  record.output_source = TokenSource::usage;
  record.input_tokens = 50;
  record.longest_gap = seconds(0.01);
  return record;
}

LoadRun run_of(std::vector<RequestRecord> records) {
  LoadRun run;
  run.records = std::move(records);
  run.window = {at_ms(0), at_ms(10'000)};
  run.begin = at_ms(0);
  run.end = at_ms(10'000);
  return run;
}

Measurement results_of(const LoadRun& run, const Slo& slo = {}) {
  Measurement m;
  m.slo = slo;
  add_load_results(run, {}, m);
  return m;
}

TEST(LoadResults, CountsAndRatesOfTheWindow) {
  const auto m = results_of(run_of({answered(0, 0, 10), answered(1000, 0, 20)}));
  EXPECT_TRUE(m.valid);
  EXPECT_EQ(m.requests.sent, 2);
  EXPECT_EQ(m.requests.ok, 2);
  EXPECT_EQ(m.tokens.output, 30);
  EXPECT_EQ(m.tokens.input, 100);
  EXPECT_EQ(m.tokens.good, 30);
  EXPECT_DOUBLE_EQ(in_tokens_per_second(m.output_rate), 3);
  ASSERT_TRUE(m.latencies.tpot);
  EXPECT_NEAR(in_seconds(m.latencies.tpot->p50), 0.01, 0.01 * m.latencies.relative_error_ratio);
}

TEST(LoadResults, GoodputCountsTheWaitFromTheIntendedTime) {
  // Both answer within 100 ms of being sent; the second was sent 150 ms late.
  const auto run = run_of({answered(0, 0, 10), answered(1000, 150, 20)});
  const auto m = results_of(run, {seconds(0.2), std::nullopt, std::nullopt, std::nullopt});
  EXPECT_EQ(m.tokens.good, 10);
  EXPECT_DOUBLE_EQ(m.good_request_ratio, 0.5);
  EXPECT_NEAR(in_seconds(*m.latencies.ttft->max), 0.1, 1e-9);
  EXPECT_NEAR(in_seconds(*m.latencies.ttft_from_intended->max), 0.25, 1e-9);
}

TEST(LoadResults, EveryLimitCountsAndUnknownIsNotMet) {
  auto record = answered(0, 0, 10);
  const auto is_good_with = [&](const Slo& slo) { return is_good(record, slo); };
  EXPECT_TRUE(is_good_with({}));
  EXPECT_FALSE(is_good_with({seconds(0.09), {}, {}, {}}));
  EXPECT_FALSE(is_good_with({{}, seconds(0.009), {}, {}}));
  EXPECT_FALSE(is_good_with({{}, {}, seconds(0.009), {}}));
  EXPECT_FALSE(is_good_with({{}, {}, {}, seconds(0.18)}));
  EXPECT_TRUE(is_good_with({seconds(0.1), seconds(0.011), seconds(0.01), seconds(0.19)}));
  record.first_content.reset();
  EXPECT_FALSE(is_good_with({seconds(1), {}, {}, {}}));
  record = answered(0, 0, 1);  // one token: no time between tokens
  EXPECT_TRUE(is_good_with({{}, seconds(0.001), seconds(0.001), {}}));
}

TEST(LoadResults, TokensOfFailedRequestsCountAsOutputAndNotAsGood) {
  auto cut = answered(0, 0, 10);
  cut.outcome = RequestOutcome::truncated;
  const auto m = results_of(run_of({cut, answered(500, 0, 5), answered(600, 0, 5)}));
  EXPECT_EQ(m.tokens.output, 20);
  EXPECT_EQ(m.tokens.good, 10);
  EXPECT_EQ(m.requests.failed, 1);
  EXPECT_EQ(m.requests.failed_by_outcome.at("truncated"), 1);
  EXPECT_TRUE(has_reason(m, "failed_requests"));
  EXPECT_TRUE(m.valid);
}

TEST(LoadResults, PartsOfAnswersOutsideTheWindowAreNotItsTokens) {
  auto early = answered(-500, 0, 10);
  early.content_chunks_in_window = 4;
  early.output_tokens = 20;  // two tokens a chunk
  const auto m = results_of(run_of({early, answered(500, 0, 5)}));
  EXPECT_EQ(m.requests.sent, 1);  // the other was due before the window
  EXPECT_EQ(m.tokens.output, 8 + 5);
}

RC_GTEST_PROP(LoadResults, TokensPerSecondAddUpToTheWindows, ()) {
  LoadRun run = run_of({});
  const auto count = *rc::gen::inRange(1, 30);
  run.chunks_per_second.assign(10, 0);
  for (int i = 0; i < count; ++i) {
    const auto tokens_of_answer = *rc::gen::inRange<std::int64_t>(1, 50);
    auto record = answered(i * 100, 0, tokens_of_answer);
    record.content_chunks_in_window = *rc::gen::inRange<std::int64_t>(1, tokens_of_answer + 1);
    run.chunks_per_second[static_cast<std::size_t>(i % 10)] += record.content_chunks_in_window;
    run.records.push_back(record);
  }
  Tokens sum;
  for (const auto tokens_of_second : output_tokens_per_second(run)) {
    sum += tokens_of_second;
  }
  const auto m = results_of(run);
  RC_ASSERT(std::abs(in_tokens(sum) - static_cast<double>(m.tokens.output)) <= 0.51);
}

TEST(LoadResults, AnUnfinishedRunIsNotValid) {
  auto run = run_of({answered(0, 0, 10)});
  run.end_reason = RunEnd::server_lost;
  run.end_detail = "gone";
  EXPECT_FALSE(results_of(run).valid);
  run = run_of({});
  EXPECT_TRUE(has_reason(results_of(run), "no_requests"));
  EXPECT_FALSE(results_of(run).valid);
  auto cancelled = answered(0, 0, 10);
  cancelled.outcome = RequestOutcome::cancelled;
  const auto m = results_of(run_of({answered(0, 0, 10), cancelled}));
  EXPECT_TRUE(has_reason(m, "unfinished_requests"));
  EXPECT_FALSE(m.valid);
}

TEST(LoadResults, ALateClientMakesTheRunInvalid) {
  auto run = run_of({answered(0, 0, 10)});
  for (int i = 0; i < 100; ++i) {
    run.lag.add(seconds(0.02));
  }
  const auto m = results_of(run);
  EXPECT_FALSE(m.valid);
  EXPECT_FALSE(m.client.valid);
  EXPECT_TRUE(has_reason(m, "client_lag"));
}

TEST(LoadResults, WhatTheReaderMustKnowIsNoted) {
  auto run = run_of({answered(0, 0, 10)});
  run.records[0].output_source = TokenSource::chunks;
  run.records[0].cached_input_tokens = 40;
  Measurement m;
  m.osl_tokens = 100;
  add_load_results(run, {}, m);
  EXPECT_TRUE(has_reason(m, "no_usage"));
  EXPECT_TRUE(has_reason(m, "cached_prompts"));
  run.records[0].output_source = TokenSource::usage;
  m = {};
  m.osl_tokens = 100;
  add_load_results(run, {}, m);
  EXPECT_TRUE(has_reason(m, "short_answers"));
  EXPECT_TRUE(m.valid);
}

}  // namespace
}  // namespace perwatt::measure
