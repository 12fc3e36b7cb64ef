#include "perwatt/inference/point_table.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "shipped_catalog.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::inference {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

/// Everything of a point but where it was read.
auto fields_of(const MeasuredPoint& p) {
  return std::tie(p.source, p.accelerator, p.model, p.precision, p.engine, p.spec_decode, p.serving,
                  p.layout, p.workload, p.mean_output_tokens, p.concurrency, p.mean_batch_size,
                  p.total_per_gpu, p.output_per_gpu, p.interactivity, p.ttft_median, p.ttft_p99,
                  p.tpot_median, p.tpot_p99, p.e2e_median, p.gpu_power, p.joules_per_output_token,
                  p.joules_per_total_token, p.prefill_gpu_power, p.decode_gpu_power, p.date, p.url,
                  p.output_is_derived, p.power_is_derived, p.interactivity_is_derived);
}

// ---- the shipped tables -----------------------------------------------------------------------

class ShippedPoints : public ::testing::TestWithParam<std::string> {
 protected:
  [[nodiscard]] static PointTable parse(const std::string& text) {
    return parse_points(text, GetParam(), shipped_catalog());
  }

  [[nodiscard]] static std::string text() {
    return read_file(fs::path{PERWATT_TEST_DATA_DIR} / "points" / GetParam());
  }
};

TEST_P(ShippedPoints, NoRowIsRejectedAndNoneIsLost) {
  const auto table = parse(text());
  EXPECT_EQ(table.points.size(), CsvTable::parse(text(), "").rows().size());
  for (const auto& row : table.rejected) {
    ADD_FAILURE() << row.where << " " << row.reason;
  }
}

TEST_P(ShippedPoints, WhatIsFormattedIsReadBackTheSame) {
  const auto once = parse(text()).points;
  const auto again = parse(format_points(once)).points;
  ASSERT_EQ(once.size(), again.size());
  for (std::size_t i = 0; i < once.size(); ++i) {
    ASSERT_EQ(fields_of(once[i]), fields_of(again[i])) << once[i].read_at;
  }
  EXPECT_EQ(format_points(once), format_points(again));
}

TEST_P(ShippedPoints, EveryRowIsOneMeasurement) {
  std::set<std::string> seen;
  for (const auto& point : parse(text()).points) {
    EXPECT_TRUE(seen.insert(identity(point)).second) << point.read_at;
  }
}

TEST_P(ShippedPoints, EveryRowHasARateAndEveryPowerItsTag) {
  for (const auto& point : parse(text()).points) {
    EXPECT_TRUE(point.total_per_gpu || point.output_per_gpu) << point.read_at;
    if (point.power_is_derived) {
      EXPECT_TRUE(point.gpu_power) << point.read_at;
      EXPECT_TRUE(point.joules_per_output_token || point.joules_per_total_token) << point.read_at;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ShippedPoints,
                         ::testing::Values("inferencex.csv", "mlenergy.csv",
                                           "other_accelerators.csv"),
                         [](const auto& param_info) { return split(param_info.param, '.')[0]; });

TEST(ShippedPointFolder, HoldsTheFilesTestedHere) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator{fs::path{PERWATT_TEST_DATA_DIR} / "points"}) {
    if (entry.path().extension() == ".csv") {
      names.insert(entry.path().filename().string());
    }
  }
  EXPECT_EQ(names,
            (std::set<std::string>{"inferencex.csv", "mlenergy.csv", "other_accelerators.csv"}));
  EXPECT_EQ(load_points({fs::path{PERWATT_TEST_DATA_DIR} / "points"}, shipped_catalog()).size(),
            4695U);
}

// ---- the checks of one row --------------------------------------------------------------------

using Row = std::map<std::string, std::string>;

/// 8 H100 on 1024/1024: 1000 of 2000 tokens/s per GPU at 600 W.
Row good_row() {
  return {{"source", "test"},
          {"accelerator", "h100"},
          {"model", "deepseek-r1"},
          {"weights_precision", "fp8"},
          {"engine", "vllm"},
          {"spec_decode", "none"},
          {"serving", "aggregated"},
          {"num_gpus", "8"},
          {"isl_tokens", "1024"},
          {"osl_tokens", "1024"},
          {"concurrency", "64"},
          {"total_tokens_per_s_per_gpu", "2000"},
          {"output_tokens_per_s_per_gpu", "1000"},
          {"interactivity_tokens_per_s", "50"},
          {"tpot_median_s", "0.02"},
          {"gpu_power_watts", "600"},
          {"joules_per_output_token", "0.6"},
          {"joules_per_total_token", "0.3"},
          {"date", "2026-01-02"}};
}

std::string csv_of(const std::vector<Row>& rows) {
  std::string text = csv_line(point_columns());
  for (const auto& row : rows) {
    std::vector<std::string> fields;
    for (const auto& column : point_columns()) {
      const auto at = row.find(column);
      fields.push_back(at == row.end() ? "" : at->second);
    }
    text += csv_line(fields);
  }
  return text;
}

Row with(Row row, const Row& changes) {
  for (const auto& [column, value] : changes) {
    row[column] = value;
  }
  return row;
}

PointTable parse_rows(const std::vector<Row>& rows) {
  return parse_points(csv_of(rows), "p.csv", shipped_catalog());
}

MeasuredPoint point_of(const Row& changes) {
  const auto table = parse_rows({with(good_row(), changes)});
  for (const auto& row : table.rejected) {
    ADD_FAILURE() << row.where << " " << row.reason;
  }
  return table.points.empty() ? MeasuredPoint{} : table.points[0];
}

TEST(PointRow, TheGoodRowIsTaken) {
  const auto point = point_of({});
  EXPECT_EQ(point.read_at, "p.csv:2");
  EXPECT_EQ(point.gpu_power, watts(600));
  EXPECT_FALSE(point.power_is_derived || point.output_is_derived || point.interactivity_is_derived);
}

struct BadRow {
  const char* name;
  Row changes;
  const char* column;
  const char* reason;
};

void PrintTo(const BadRow& c, std::ostream* out) {
  *out << c.name;
}

class RejectedRows : public ::testing::TestWithParam<BadRow> {};

TEST_P(RejectedRows, AreReturnedWithPlaceValueAndRemedy) {
  const auto table = parse_rows({good_row(), with(good_row(), GetParam().changes), good_row()});
  EXPECT_EQ(table.points.size(), 2U);
  ASSERT_EQ(table.rejected.size(), 1U);
  EXPECT_EQ(table.rejected[0].where, std::string{"p.csv:3: "} + GetParam().column);
  EXPECT_THAT(table.rejected[0].reason, AllOf(HasSubstr(GetParam().reason), HasSubstr(";")));
}

const std::vector<BadRow> kBadRows = {
    {"no_source", {{"source", ""}}, "source", "is empty"},
    {"unknown_accelerator", {{"accelerator", "h1000"}}, "accelerator", "'h1000'"},
    {"no_accelerator", {{"accelerator", ""}}, "accelerator", "is empty"},
    {"unknown_model", {{"model", "gpt-9"}}, "model", "'gpt-9'"},
    {"precision", {{"weights_precision", "fp6"}}, "weights_precision", "'fp6'"},
    {"no_engine", {{"engine", ""}}, "engine", "is empty"},
    {"no_spec_decode", {{"spec_decode", ""}}, "spec_decode", "is empty"},
    {"serving", {{"serving", "disagg"}}, "serving", "'disagg'"},
    {"no_gpus", {{"num_gpus", ""}}, "num_gpus", "is empty"},
    {"zero_gpus", {{"num_gpus", "0"}}, "num_gpus", "'0'"},
    {"half_a_gpu", {{"num_gpus", "7.5"}}, "num_gpus", "whole number"},
    {"gpu_sum",
     {{"prefill_gpus", "4"}, {"decode_gpus", "8"}},
     "num_gpus",
     "prefill_gpus + decode_gpus is 12"},
    {"no_lengths", {{"isl_tokens", ""}}, "isl_tokens", "name a task"},
    {"zero_length", {{"osl_tokens", "0"}}, "osl_tokens", "'0'"},
    {"zero_concurrency", {{"concurrency", "0"}}, "concurrency", "'0'"},
    {"text_rate", {{"total_tokens_per_s_per_gpu", "2k"}}, "total_tokens_per_s_per_gpu", "'2k'"},
    {"nan_rate", {{"total_tokens_per_s_per_gpu", "nan"}}, "total_tokens_per_s_per_gpu", "'nan'"},
    {"zero_rate", {{"output_tokens_per_s_per_gpu", "0"}}, "output_tokens_per_s_per_gpu", "'0'"},
    {"negative_power", {{"gpu_power_watts", "-600"}}, "gpu_power_watts", "'-600'"},
    {"huge_ttft", {{"ttft_median_s", "1e7"}}, "ttft_median_s", "'1e7'"},
    {"blank_in_number", {{"ttft_median_s", " 1"}}, "ttft_median_s", "' 1'"},
    {"output_above_total",
     {{"output_tokens_per_s_per_gpu", "2200"}, {"joules_per_output_token", ""}},
     "output_tokens_per_s_per_gpu",
     "above total_tokens_per_s_per_gpu"},
    {"output_over_decode_gpus_only",
     {{"output_tokens_per_s_per_gpu", "1300"}, {"joules_per_output_token", ""}},
     "output_tokens_per_s_per_gpu",
     "0.65 of the total"},
    {"output_of_input_tokens",
     {{"isl_tokens", "8192"}, {"joules_per_output_token", ""}},
     "output_tokens_per_s_per_gpu",
     "count both over all GPUs"},
    {"tpot_in_milliseconds", {{"tpot_median_s", "20"}}, "interactivity_tokens_per_s", "is 1000"},
    {"tpot_of_another_percentile",
     {{"tpot_median_s", "0.0203"}},
     "interactivity_tokens_per_s",
     "1.015"},
    {"energy_per_request",
     {{"joules_per_output_token", "600"}},
     "joules_per_output_token",
     "gpu_power_watts is 600"},
    {"energy_six_percent_off",
     {{"joules_per_output_token", "0.636"}},
     "joules_per_output_token",
     "636 W"},
    {"total_energy_is_output_energy",
     {{"joules_per_total_token", "0.6"}},
     "joules_per_total_token",
     "1200 W"},
    {"no_rate",
     {{"total_tokens_per_s_per_gpu", ""},
      {"output_tokens_per_s_per_gpu", ""},
      {"joules_per_output_token", ""}},
     "total_tokens_per_s_per_gpu",
     "no token rate"},
    {"power_of_the_node",
     {{"gpu_power_watts", "1100"}, {"joules_per_output_token", ""}, {"joules_per_total_token", ""}},
     "gpu_power_watts",
     "per GPU, not per node"},
    {"derived_power_of_the_node",
     {{"gpu_power_watts", ""}, {"joules_per_output_token", "1.1"}, {"joules_per_total_token", ""}},
     "joules_per_output_token",
     "1100 W per GPU"},
};

INSTANTIATE_TEST_SUITE_P(All, RejectedRows, ::testing::ValuesIn(kBadRows),
                         [](const auto& param_info) { return param_info.param.name; });

TEST(PointRow, TolerancesTakeWhatIsInside) {
  static_cast<void>(point_of({{"joules_per_output_token", "0.62"}}));   // 3 % of 5 %
  static_cast<void>(point_of({{"tpot_median_s", "0.0201"}}));           // 0.5 % of 1 %
  static_cast<void>(point_of({{"output_tokens_per_s_per_gpu", "1200"},  // 20 % of 25 %
                              {"joules_per_output_token", "0.5"}}));
  static_cast<void>(point_of({{"gpu_power_watts", "1040"},  // 1.486 of 1.5 TDP
                              {"joules_per_output_token", ""},
                              {"joules_per_total_token", ""}}));
}

TEST(PointRow, NamesBecomeCatalogIds) {
  const auto point = point_of({{"accelerator", "H100-SXM5"}, {"model", "deepseek-ai/DeepSeek-R1"}});
  EXPECT_EQ(point.accelerator, "h100");
  EXPECT_EQ(point.model, "deepseek-r1");
}

TEST(PointRow, ATaskStandsForLengths) {
  const auto point = point_of({{"task", "gpqa"}, {"isl_tokens", ""}, {"osl_tokens", "615.054"}});
  EXPECT_EQ(to_string(point.workload), "gpqa");
  EXPECT_EQ(point.workload.osl_tokens, std::nullopt);
  EXPECT_EQ(point.mean_output_tokens, 615.054);
  EXPECT_EQ(to_string(point_of({}).workload), "1024/1024");
}

TEST(PointRow, WhatIsMissingIsDerivedAndMarked) {
  const auto interactivity = point_of({{"interactivity_tokens_per_s", ""}});
  EXPECT_TRUE(interactivity.interactivity_is_derived);
  EXPECT_DOUBLE_EQ(in_tokens_per_second(*interactivity.interactivity), 50);

  const auto output = point_of({{"output_tokens_per_s_per_gpu", ""}});
  EXPECT_TRUE(output.output_is_derived);
  EXPECT_DOUBLE_EQ(in_tokens_per_second(*output.output_per_gpu), 1000);

  const auto by_energy =
      point_of({{"output_tokens_per_s_per_gpu", ""}, {"total_tokens_per_s_per_gpu", ""}});
  EXPECT_TRUE(by_energy.output_is_derived);
  EXPECT_DOUBLE_EQ(in_tokens_per_second(*by_energy.output_per_gpu), 1000);

  const auto power = point_of({{"gpu_power_watts", ""}});
  EXPECT_TRUE(power.power_is_derived);
  EXPECT_DOUBLE_EQ(in_watts(*power.gpu_power), 600);

  const auto by_total = point_of({{"gpu_power_watts", ""}, {"joules_per_output_token", ""}});
  EXPECT_TRUE(by_total.power_is_derived);
  EXPECT_DOUBLE_EQ(in_watts(*by_total.gpu_power), 600);
}

TEST(PointRow, DerivedValuesAreNotWritten) {
  for (const char* column :
       {"interactivity_tokens_per_s", "output_tokens_per_s_per_gpu", "gpu_power_watts"}) {
    const auto row = with(good_row(), {{column, ""}});
    EXPECT_EQ(format_points(parse_rows({row}).points), csv_of({row})) << column;
  }
}

TEST(PointRow, AMissingColumnAndABrokenFileAreErrors) {
  EXPECT_THROW(static_cast<void>(parse_points("source,model\n", "p.csv", shipped_catalog())),
               Error);
  EXPECT_THROW(static_cast<void>(parse_points("", "p.csv", shipped_catalog())), Error);
}

TEST(PointRow, ColumnsMayComeInAnyOrderAndOthersAreIgnored) {
  auto table = CsvTable::parse(csv_of({good_row()}), "p.csv");
  auto columns = table.columns();
  auto fields = table.rows()[0].fields;
  std::reverse(columns.begin(), columns.end());
  std::reverse(fields.begin(), fields.end());
  columns.push_back("remark");
  fields.push_back("x");
  const auto turned =
      parse_points(csv_line(columns) + csv_line(fields), "p.csv", shipped_catalog());
  ASSERT_EQ(turned.points.size(), 1U);
  EXPECT_EQ(fields_of(turned.points[0]), fields_of(point_of({})));
}

// Defect: a flag takes any whole number up to 1e7 and writes it back as 1.
TEST(PointRow, AFlagIsZeroOrOne) {
  EXPECT_EQ(parse_rows({with(good_row(), {{"decode_dp_attention", "8"}})}).rejected.size(), 1U);
}

// Defect: input lengths beside a task are dropped in silence; formatting the point loses them.
TEST(PointRow, LengthsBesideATaskAreRefused) {
  EXPECT_EQ(parse_rows({with(good_row(), {{"task", "gpqa"}})}).rejected.size(), 1U);
}

// ---- merging ----------------------------------------------------------------------------------

TEST(MergePoints, ReplacesByIdentityInPlace) {
  const auto old = parse_rows({good_row(), with(good_row(), {{"concurrency", "128"}})}).points;
  const auto fresh = parse_rows({with(good_row(), {{"concurrency", "256"}}),
                                 with(good_row(), {{"ttft_median_s", "0.5"}})})
                         .points;
  std::size_t replaced = 99;
  const auto merged = merge_points(old, fresh, replaced);
  EXPECT_EQ(replaced, 1U);
  ASSERT_EQ(merged.size(), 3U);
  EXPECT_EQ(merged[0].ttft_median, seconds(0.5));
  EXPECT_EQ(merged[1].concurrency, 128);
  EXPECT_EQ(merged[2].concurrency, 256);
}

TEST(MergePoints, IdentityIsEveryPartOfTheMeasurementButItsResults) {
  const auto base = identity(point_of({}));
  for (const auto& [column, value] : Row{{"source", "x"},
                                         {"accelerator", "h200"},
                                         {"model", "gpt-oss-120b"},
                                         {"weights_precision", "bf16"},
                                         {"engine", "sglang"},
                                         {"spec_decode", "mtp"},
                                         {"serving", "disaggregated"},
                                         {"num_gpus", "16"},
                                         {"prefill_gpus", "4"},
                                         {"decode_gpus", "4"},
                                         {"prefill_tp", "4"},
                                         {"prefill_ep", "4"},
                                         {"prefill_dp_attention", "1"},
                                         {"decode_tp", "8"},
                                         {"decode_ep", "8"},
                                         {"decode_dp_attention", "1"},
                                         {"concurrency", "65"},
                                         {"date", "2026-01-03"}}) {
    EXPECT_NE(identity(point_of({{column, value}})), base) << column;
  }
  for (const auto& [column, value] : Row{{"ttft_median_s", "1"},
                                         {"tpot_p99_s", "1"},
                                         {"e2e_median_s", "9"},
                                         {"prefill_gpu_power_watts", "650"},
                                         {"gpu_power_watts", "601"},
                                         {"total_tokens_per_s_per_gpu", "2001"}}) {
    EXPECT_EQ(identity(point_of({{column, value}})), base) << column;
  }
}

/// A point told from others by its load and stamped by its TTFT.
MeasuredPoint stamped(int load, int stamp) {
  MeasuredPoint point;
  point.concurrency = load;
  point.ttft_median = seconds(stamp);
  return point;
}

RC_GTEST_PROP(MergePointsProperty, EveryIdentityIsThereOnceWithItsLastValue, ()) {
  const auto old_loads = *rc::gen::container<std::set<int>>(rc::gen::inRange(1, 12));
  const auto new_loads = *rc::gen::container<std::vector<int>>(rc::gen::inRange(1, 12));
  std::vector<MeasuredPoint> existing;
  std::vector<MeasuredPoint> added;
  std::map<int, int> last;
  int stamp = 0;
  for (const int load : old_loads) {
    existing.push_back(stamped(load, last[load] = ++stamp));
  }
  for (const int load : new_loads) {
    added.push_back(stamped(load, last[load] = ++stamp));
  }
  std::size_t replaced = 0;
  const auto merged = merge_points(existing, added, replaced);
  RC_ASSERT(merged.size() == last.size());
  RC_ASSERT(replaced == existing.size() + added.size() - merged.size());
  for (const auto& point : merged) {
    RC_ASSERT(in_seconds(*point.ttft_median) == last.at(*point.concurrency));
  }
}

// ---- loading ----------------------------------------------------------------------------------

class LoadPoints : public ::testing::Test {
 protected:
  LoadPoints() {
    folder_ = fs::temp_directory_path() / ("perwatt_points_test_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }

  ~LoadPoints() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::vector<Row>& rows) const {
    write_file(folder_ / name, csv_of(rows));
  }

  fs::path folder_;
};

TEST_F(LoadPoints, ALaterFileReplacesByIdentity) {
  write("a.csv", {good_row(), with(good_row(), {{"concurrency", "128"}})});
  write("b.csv", {with(good_row(), {{"ttft_median_s", "0.5"}})});
  const auto points = load_points({folder_}, shipped_catalog());
  ASSERT_EQ(points.size(), 2U);
  EXPECT_EQ(points[0].ttft_median, seconds(0.5));
  const auto turned = load_points({folder_ / "b.csv", folder_ / "a.csv"}, shipped_catalog());
  ASSERT_EQ(turned.size(), 2U);
  EXPECT_EQ(turned[0].ttft_median, std::nullopt);
}

TEST_F(LoadPoints, TheFirstRejectedRowIsTheErrorAndTheOthersAreCounted) {
  write("a.csv", {good_row(), with(good_row(), {{"model", "gpt-9"}}),
                  with(good_row(), {{"model", "gpt-8"}})});
  try {
    static_cast<void>(load_points({folder_}, shipped_catalog()));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    EXPECT_THAT(error.what(), AllOf(StartsWith((folder_ / "a.csv").string() + ":3: model: "),
                                    HasSubstr("'gpt-9'"), HasSubstr("1 more rows")));
  }
}

TEST_F(LoadPoints, AnAbsentFileIsAnError) {
  EXPECT_THROW(static_cast<void>(load_points({folder_ / "none.csv"}, shipped_catalog())), Error);
}

TEST_F(LoadPoints, AFolderWithoutTablesHoldsNoPoints) {
  EXPECT_THAT(load_points({folder_}, shipped_catalog()), IsEmpty());
}

// Defect: repeats of one identity inside the first file stay; inside any later file they replace.
TEST_F(LoadPoints, ARepeatInsideTheFirstFileReplacesToo) {
  write("a.csv", {good_row(), with(good_row(), {{"ttft_median_s", "0.5"}})});
  EXPECT_EQ(load_points({folder_}, shipped_catalog()).size(), 1U);
}

}  // namespace
}  // namespace perwatt::inference
