// Parameters of the shipped descriptions against counts nobody here made: exact ones of published
// checkpoints (tests/validation/model_parameters.csv) and the rounded sizes of the catalog.
#include <filesystem>
#include <map>
#include <string>

#include "error_of.hpp"
#include "shipped_catalog.hpp"
#include <gtest/gtest.h>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/inference/model_config.hpp"

namespace perwatt::inference {
namespace {

const std::filesystem::path kModels = PERWATT_TEST_DATA_DIR "/models";

CsvTable validation_table(const std::string& name) {
  const auto file = std::filesystem::path{PERWATT_SOURCE_DIR} / "tests/validation" / name;
  return CsvTable::parse(read_file(file), name);
}

TEST(ModelParameters, AreThoseOfThePublishedCheckpointsToTheLastOne) {
  const auto table = validation_table("model_parameters.csv");
  ASSERT_GE(table.rows().size(), 25U);
  for (const auto& row : table.rows()) {
    const auto shape = load_built_in_shape(kModels, row.fields[0]);
    EXPECT_EQ(shape.total_parameters(), *parse_number(row.fields[1])) << row.fields[0];
  }
}

/// What publishers count as active differs in the tables at both ends of the model.
double active_parameters(const ModelShape& shape, const std::string& counts) {
  const auto active = shape.active_parameters_by_part();
  const double table = active[ModelPart::lm_head];
  if (counts == "none") {
    return shape.active_parameters() - table;
  }
  if (counts == "lm_head") {
    return shape.active_parameters();
  }
  EXPECT_EQ(counts, "both");
  return shape.active_parameters() + (shape.has_tied_embeddings ? 0 : table);
}

struct Tolerance {
  double total = 0.02;
  std::string active_counts = "both";
  double active = 0.02;
};

std::map<std::string, Tolerance> published_tolerances() {
  std::map<std::string, Tolerance> tolerances;
  const auto table = validation_table("model_published_sizes.csv");
  for (const auto& row : table.rows()) {
    tolerances[row.fields[0]] = {*parse_number(row.fields[1]), row.fields[2],
                                 *parse_number(row.fields[3])};
  }
  return tolerances;
}

TEST(ModelParameters, AreNearTheSizesInTheCatalogForEveryModelOfIt) {
  const auto tolerances = published_tolerances();
  ASSERT_GE(shipped_catalog().models().size(), 60U);
  for (const auto& model : shipped_catalog().models()) {
    const auto shape = load_built_in_shape(kModels, model.id);
    const auto found = tolerances.find(model.id);
    const auto tolerance = found == tolerances.end() ? Tolerance{} : found->second;
    ASSERT_TRUE(model.total_parameters && model.active_parameters) << model.id;
    EXPECT_NEAR(shape.total_parameters() / *model.total_parameters, 1, tolerance.total) << model.id;
    EXPECT_NEAR(active_parameters(shape, tolerance.active_counts) / *model.active_parameters, 1,
                tolerance.active)
        << model.id;
    EXPECT_EQ(shape.has_experts(), *model.active_parameters < 0.9 * *model.total_parameters)
        << model.id;
    EXPECT_FALSE(shape.source.empty()) << model.id;
    EXPECT_EQ(shape.name, model.id);
  }
}

TEST(ModelParameters, EveryTolerancesModelIsInTheCatalog) {
  for (const auto& [model, tolerance] : published_tolerances()) {
    EXPECT_NE(shipped_catalog().find_model(model), nullptr) << model;
  }
}

// GLM-5 743/41, Qwen3.5 396, Gemma 3 27.0 (text), as an earlier model of ours counted them; the
// layers of MiniMax-M2.5 and Qwen3.5 as their publishers state them.
TEST(ModelParameters, HaveTheLayersThatArePublished) {
  const auto qwen = load_built_in_shape(kModels, "qwen3.5-397b-a17b");
  EXPECT_EQ(qwen.layer_count(), 60);
  std::map<std::string_view, int> kinds;
  for (const auto& group : qwen.layers) {
    kinds[kind_name(group.attention)] += group.count;
  }
  EXPECT_EQ(kinds, (std::map<std::string_view, int>{{"full", 15}, {"linear", 45}}));
  EXPECT_EQ(qwen.distinct_layers().size(), 2U);
  EXPECT_EQ(load_built_in_shape(kModels, "minimax-m2.5").layer_count(), 62);

  const auto maverick = load_built_in_shape(kModels, "llama-4-maverick");
  kinds.clear();
  int with_experts = 0;
  for (const auto& group : maverick.layers) {
    kinds[kind_name(group.attention)] += group.count;
    with_experts += std::holds_alternative<ExpertFeedForward>(group.feed_forward) ? group.count : 0;
  }
  EXPECT_EQ(kinds, (std::map<std::string_view, int>{{"full", 12}, {"chunked", 36}}));
  EXPECT_EQ(with_experts, 24);
}

TEST(ModelParameters, ANearNameIsSuggested) {
  const auto message =
      error_of([] { static_cast<void>(load_built_in_shape(kModels, "qwen3-9b")); });
  EXPECT_NE(message.find("did you mean 'qwen3-8b'?"), std::string::npos) << message;
}

}  // namespace
}  // namespace perwatt::inference
