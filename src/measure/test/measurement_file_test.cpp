#include "perwatt/measure/measurement_file.hpp"

#include "error_of.hpp"
#include "sample_measurement.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace perwatt::measure {
namespace {

using ::testing::HasSubstr;

std::string parse_error(const nlohmann::json& json) {
  return error_of([&] { (void)parse_measurement(json.dump(), "m.json"); });
}

TEST(measurement_file, writes_and_reads_every_part) {
  const auto m = sample_measurement();
  const auto text = format_measurement(m);
  const auto read = parse_measurement(text, "m.json");
  EXPECT_EQ(format_measurement(read), text);
  EXPECT_EQ(read.requests.failed_by_outcome.at("http_error"), 2);
  EXPECT_EQ(read.latencies.ttft->p99, m.latencies.ttft->p99);
  EXPECT_EQ(read.energy.front().account.findings.front().reason, EnergyReason::accuracy_unknown);
  EXPECT_EQ(read.tenants.front().energy, m.tenants.front().energy);
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json["joules_per_output_token"]["value"], 2.4);
  EXPECT_EQ(json["energy_joules"]["total"], 288'000.0);
  EXPECT_EQ(json["energy_joules"]["boundary"], "gpu");
  EXPECT_EQ(json["schema_version"], kSchemaVersion);
}

TEST(measurement_file, the_unknown_is_null_and_stays_unknown) {
  auto m = sample_measurement();
  m.imported_from = "InferenceX";
  m.unknown = {true, true, true, true, true, true};
  m.latencies.ttft->p90.reset();
  m.latencies.ttft->count = 0;
  m.input_rate.reset();
  const auto text = format_measurement(m);
  const auto json = nlohmann::json::parse(text);
  for (const auto* path :
       {"/window_seconds", "/whole_run_seconds", "/requests/sent", "/requests/ok",
        "/requests/failed", "/tokens/input", "/tokens/output", "/tokens/good",
        "/input_tokens_per_s", "/goodput_tokens_per_s", "/good_request_ratio", "/mean_concurrency",
        "/client/valid", "/client/lag_p99_seconds", "/ttft_seconds/p90", "/ttft_seconds/count"}) {
    EXPECT_TRUE(json[nlohmann::json::json_pointer{path}].is_null()) << path;
  }
  const auto read = parse_measurement(text, "m.json");
  EXPECT_TRUE(read.unknown.window && read.unknown.requests && read.unknown.tokens);
  EXPECT_TRUE(read.unknown.goodput && read.unknown.mean_concurrency && read.unknown.client);
  EXPECT_EQ(read.imported_from, "InferenceX");
  EXPECT_EQ(format_measurement(read), text);
}

TEST(measurement_file, says_what_is_wrong_and_where) {
  const auto good = nlohmann::json::parse(format_measurement(sample_measurement()));
  auto json = good;
  json["schema_version"] = 99;
  EXPECT_THAT(parse_error(json), HasSubstr("m.json: schema_version"));
  json = good;
  json["ttft_seconds"]["p50"] = -1;
  EXPECT_THAT(parse_error(json), HasSubstr("m.json: ttft_seconds: p50"));
  json = good;
  json["tokens"].erase("output_source");
  EXPECT_THAT(parse_error(json), HasSubstr("output_source"));
  json = good;
  json["reasons"] = "client_lag";
  EXPECT_THAT(parse_error(json), HasSubstr("a list of texts"));
  json = good;
  json["energy_boundaries"][0]["findings"][0]["code"] = "gremlins";
  EXPECT_THAT(parse_error(json), HasSubstr("findings[0]: code"));
  EXPECT_THAT(error_of([] { (void)parse_measurement("[1]", "m.json"); }),
              HasSubstr("no JSON object"));
}

}  // namespace
}  // namespace perwatt::measure
