// Deployments for tests of the serving model.
#pragma once

#include <map>
#include <string>

#include "shipped_catalog.hpp"

#include "perwatt/inference/model_config.hpp"
#include "perwatt/inference/serving/setup.hpp"

namespace perwatt::inference::serving {

inline const ModelShape& shipped_shape(const std::string& id) {
  static std::map<std::string, ModelShape> shapes;
  auto found = shapes.find(id);
  if (found == shapes.end()) {
    found = shapes.emplace(id, load_built_in_shape(PERWATT_TEST_DATA_DIR "/models", id)).first;
  }
  return found->second;
}

inline Hardware shipped_hardware(const std::string& id) {
  return hardware_of(shipped_catalog().accelerator(id, "test"));
}

/// `model` at `precision` on `gpus` of an accelerator, tensor-parallel, 1024 tokens in and out.
inline Setup setup_of(const std::string& model, const std::string& precision,
                      const std::string& accelerator, int gpus) {
  Setup setup;
  setup.hardware = shipped_hardware(accelerator);
  setup.model = &shipped_shape(model);
  setup.format = setup.model->format(precision);
  setup.kv_element_bytes = precision == "bf16" ? 2 : 1;
  setup.engine = {EngineFamily::vllm, Router::none};
  setup.layout = tensor_parallel_layout(gpus);
  setup.input_tokens = 1024;
  setup.output_tokens = 1024;
  return setup;
}

/// The same with `prefill` and `decode` instances of `gpus` each.
inline Setup with_pools(Setup setup, int prefill, int decode, int gpus) {
  setup.layout.mode = Serving::disaggregated;
  setup.layout.prefill = {{gpus, 1, 1}, prefill, prefill * gpus};
  setup.layout.decode = {{gpus, 1, 1}, decode, decode * gpus};
  setup.layout.num_gpus = (prefill + decode) * gpus;
  return setup;
}

}  // namespace perwatt::inference::serving
