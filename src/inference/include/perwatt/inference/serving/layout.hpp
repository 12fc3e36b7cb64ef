// How the GPUs of a deployment are split into pools and instances.
//
// An instance is one copy of the model. Aggregated serving is one instance that prefills and
// decodes. Disaggregated serving is a pool of prefill and a pool of decode instances.
#pragma once

#include <string>
#include <variant>

#include "perwatt/base/result.hpp"
#include "perwatt/inference/measured_point.hpp"
#include "perwatt/inference/model_shape.hpp"
#include "perwatt/inference/serving/hardware.hpp"

namespace perwatt::inference::serving {

struct Instance {
  int gpus = 1;
  int attention_dp = 1;  // copies of the attention layers, each with its own sequences
  int expert_parallel =
      1;  // GPUs the routed experts are spread over; the rest of a stage splits each
  int pipeline_stages = 1;  // groups of layers one after the other, on equal shares of `gpus`

  [[nodiscard]] int stage_gpus() const { return gpus / pipeline_stages; }

  [[nodiscard]] int attention_tp() const { return stage_gpus() / attention_dp; }

  bool operator==(const Instance&) const = default;
};

struct Pool {
  Instance instance;
  int instances = 1;
  int gpus = 1;  // of the pool; some may be left over

  bool operator==(const Pool&) const = default;
};

struct ServingLayout {
  Serving mode = Serving::aggregated;
  int num_gpus = 1;
  Pool prefill;  // aggregated: equal to decode
  Pool decode;

  bool operator==(const ServingLayout&) const = default;
};

/// The layout a measured row states. An instance of a disaggregated pool has max(TP, EP) GPUs, or
/// all of the pool where attention is data-parallel and neither is stated. A failure names what the
/// row lacks.
[[nodiscard]] Result<ServingLayout> layout_of(const Layout& layout, Serving mode);

/// One aggregated instance of `gpus`, tensor-parallel throughout.
[[nodiscard]] ServingLayout tensor_parallel_layout(int gpus);

/// Why `model` cannot run so (heads or experts that do not divide, a degree beyond its GPUs, more
/// GPUs than one scale-up domain where links beyond it are not known), or nothing.
[[nodiscard]] std::string layout_problem(const Instance& instance, const ModelShape& model,
                                         const Hardware& hardware);

}  // namespace perwatt::inference::serving
