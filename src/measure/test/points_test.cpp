#include "perwatt/measure/points.hpp"

#include <filesystem>

#include "error_of.hpp"
#include "sample_measurement.hpp"
#include "shipped_catalog.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/file.hpp"
#include "perwatt/inference/point_table.hpp"
#include "perwatt/measure/import_results.hpp"

namespace perwatt::measure {
namespace {

using ::testing::HasSubstr;

DeploymentStatement stated() {
  DeploymentStatement deployment;
  deployment.accelerator = "h100";
  deployment.precision = "fp8";
  deployment.engine = "vllm";
  deployment.layout.num_gpus = 8;
  deployment.layout.decode_tp = 8;
  return deployment;
}

inference::MeasuredPoint point_of(const Measurement& m, const DeploymentStatement& deployment) {
  return to_point(m, deployment, shipped_catalog());
}

std::string refusal(const Measurement& m, const DeploymentStatement& deployment) {
  return error_of([&] { (void)point_of(m, deployment); });
}

TEST(points, rates_are_per_gpu_and_power_is_of_the_boards) {
  const auto point = point_of(sample_measurement(), stated());
  EXPECT_EQ(point.source, "perwatt-measure");
  EXPECT_EQ(point.model, "llama-3.3-70b");
  EXPECT_DOUBLE_EQ(in_tokens_per_second(*point.output_per_gpu), 250);
  EXPECT_DOUBLE_EQ(in_tokens_per_second(*point.total_per_gpu), 500);
  EXPECT_DOUBLE_EQ(in_tokens_per_second(*point.interactivity), 62.5);  // 1 / 16 ms
  EXPECT_TRUE(point.interactivity_is_derived);
  EXPECT_DOUBLE_EQ(in_seconds(*point.ttft_median), 0.2);
  EXPECT_DOUBLE_EQ(in_seconds(*point.ttft_p99), 0.8);
  EXPECT_DOUBLE_EQ(in_seconds(*point.tpot_p99), 0.064);
  EXPECT_DOUBLE_EQ(in_watts(*point.gpu_power), 600);
  EXPECT_DOUBLE_EQ(in_joules_per_token(*point.joules_per_output_token), 2.4);
  EXPECT_EQ(point.concurrency, 32);
  EXPECT_EQ(point.date, "2026-11-20");
}

TEST(points, power_of_another_boundary_is_never_gpu_power) {
  auto m = sample_measurement();
  m.energy.front().account.boundary = Boundary::it;
  const auto point = point_of(m, stated());
  EXPECT_FALSE(point.gpu_power);
  EXPECT_FALSE(point.joules_per_output_token);
  m = sample_measurement();
  m.energy.front().tag = Tag::modelled;
  EXPECT_FALSE(point_of(m, stated()).gpu_power);
}

TEST(points, what_is_not_valid_is_refused_unless_the_user_insists) {
  auto m = sample_measurement();
  m.valid = false;
  m.reasons = {"client_lag: this client was late itself"};
  auto deployment = stated();
  EXPECT_THAT(refusal(m, deployment), HasSubstr("client_lag"));
  deployment.take_invalid = true;
  EXPECT_TRUE(point_of(m, deployment).gpu_power);

  m = sample_measurement();
  m.power_valid = false;
  m.energy.front().account.valid = false;
  EXPECT_THAT(refusal(m, stated()), HasSubstr("power of the run is not valid"));
  const auto point = point_of(m, deployment);  // the rates, without the power
  EXPECT_TRUE(point.output_per_gpu);
  EXPECT_FALSE(point.gpu_power);
  EXPECT_FALSE(point.joules_per_total_token);
}

TEST(points, what_is_not_known_is_asked_for) {
  const auto m = sample_measurement();
  auto deployment = stated();
  deployment.accelerator = "h1000";
  EXPECT_THAT(refusal(m, deployment), HasSubstr("did you mean 'h100'"));
  deployment = stated();
  deployment.model = "llama-3.3-70";
  EXPECT_THAT(refusal(m, deployment), HasSubstr("did you mean 'llama-3.3-70b'"));
  deployment = stated();
  deployment.layout.num_gpus = 0;
  EXPECT_THAT(refusal(m, deployment), HasSubstr("number of GPUs"));
  deployment = stated();
  deployment.precision = "int4";
  EXPECT_THAT(refusal(m, deployment), HasSubstr("int4"));
  auto no_lengths = m;
  no_lengths.osl_tokens.reset();
  EXPECT_THAT(refusal(no_lengths, stated()), HasSubstr("name the task"));
}

TEST(points, meters_of_other_gpus_are_not_spread_over_the_deployment) {
  auto deployment = stated();
  deployment.layout.num_gpus = 4;
  EXPECT_THAT(refusal(sample_measurement(), deployment), HasSubstr("8 GPUs were metered"));
}

TEST(points, figures_that_contradict_each_other_are_refused) {
  auto m = sample_measurement();
  m.energy.front().joules_per_output_token->value = 4.8;
  EXPECT_THAT(refusal(m, stated()), HasSubstr("joules_per_output_token"));
}

TEST(points, an_open_loop_run_has_its_mean_concurrency_not_its_cap) {
  auto m = sample_measurement();
  m.request_rate_per_second = 2;
  m.concurrency = 4000;
  EXPECT_EQ(point_of(m, stated()).concurrency, 32);
}

TEST(points, appended_points_are_read_back_and_replace_their_like) {
  const auto file = std::filesystem::path{testing::TempDir()} / "measured_points_test.csv";
  std::filesystem::remove(file);
  const auto first = point_of(sample_measurement(), stated());
  auto other_measurement = sample_measurement();
  other_measurement.concurrency = 64;
  const auto other = point_of(other_measurement, stated());
  const auto& catalog = shipped_catalog();
  EXPECT_EQ(append_points(file, {first}, catalog).added, 1U);
  EXPECT_EQ(append_points(file, {other}, catalog).added, 1U);
  auto again = first;
  again.ttft_median = seconds(0.3);
  const auto appended = append_points(file, {again}, catalog);
  EXPECT_EQ(appended.added, 0U);
  EXPECT_EQ(appended.replaced, 1U);
  const auto table = inference::parse_points(read_file(file), "p.csv", catalog);
  EXPECT_TRUE(table.rejected.empty());
  ASSERT_EQ(table.points.size(), 2U);
  EXPECT_DOUBLE_EQ(in_seconds(*table.points.front().ttft_median), 0.3);
  EXPECT_EQ(inference::format_points(table.points), read_file(file));
  std::filesystem::remove(file);
}

TEST(points, an_imported_result_brings_its_own_deployment) {
  const std::vector<ResultFile> files{
      {"agg.json", read_file(PERWATT_SOURCE_DIR "/tests/data/results/inferencex_agg.json")}};
  const auto runs = import_results(files, {});
  const auto point = point_of(runs.front().measurement, *runs.front().deployment);
  EXPECT_EQ(point.model, "deepseek-r1");
  EXPECT_DOUBLE_EQ(in_tokens_per_second(*point.output_per_gpu), 200);
  EXPECT_DOUBLE_EQ(in_tokens_per_second(*point.total_per_gpu), 400);
  EXPECT_DOUBLE_EQ(in_watts(*point.gpu_power), 500);
  EXPECT_DOUBLE_EQ(in_joules_per_token(*point.joules_per_output_token), 2.5);
  EXPECT_EQ(point.layout.num_gpus, 8);
}

}  // namespace
}  // namespace perwatt::measure
