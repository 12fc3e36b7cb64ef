#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "config_node.hpp"
#include <nlohmann/json.hpp>

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/inference/model_config.hpp"

namespace perwatt::inference {

namespace {

std::vector<std::string> built_in_ids(const std::filesystem::path& folder) {
  std::vector<std::string> ids;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator{folder, ignored}) {
    if (entry.path().extension() == ".json") {
      ids.push_back(entry.path().stem().string());
    }
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace

ModelShape load_model_shape(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) {
    return parse_model_config(read_file(path), path.string());
  }
  const auto config = path / "config.json";
  if (!std::filesystem::exists(config, ignored)) {
    throw_bad_input("has no config.json", path.string(), "give the folder of a checkpoint");
  }
  const auto quantization = path / "hf_quant_config.json";
  return parse_model_config(
      read_file(config), config.string(),
      std::filesystem::exists(quantization, ignored) ? read_file(quantization) : std::string{});
}

ModelShape load_built_in_shape(const std::filesystem::path& folder, std::string_view catalog_id) {
  std::string id{catalog_id};
  const auto ids = built_in_ids(folder);
  if (std::find(ids.begin(), ids.end(), id) == ids.end()) {
    throw_bad_input("no description of the layers of '" + printable(id) + "'", folder.string(),
                    "give its config.json, or use a model that has one: " + suggestion(id, ids));
  }
  auto text = read_file(folder / (id + ".json"));
  auto document = parse_config(text, id + ".json");
  const ConfigNode alias{document, id + ".json"};
  if (alias.has("same_as")) {
    id = alias.text("same_as");
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) {
      alias.fail("same_as", "the id of a description beside it");
    }
    text = read_file(folder / (id + ".json"));
  }
  auto shape = parse_model_config(text, id + ".json");
  shape.name = catalog_id;
  return shape;
}

}  // namespace perwatt::inference
