// Model configs: a shape or an error, and every shape adds up.
#include "perwatt/inference/model_config.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "fuzz_check.hpp"

namespace {

using namespace perwatt;
using inference::ModelShape;

bool is_positive(double value) {
  return std::isfinite(value) && value > 0;
}

double sum(const inference::ByPart<double>& values) {
  double total = 0;
  for (const auto part : inference::kAllModelParts) {
    fuzz::demand(std::isfinite(values[part]) && values[part] >= 0, "a part below 0");
    total += values[part];
  }
  return total;
}

void demand_sound_cache(const ModelShape& shape) {
  double before = 0;
  for (const double context : {1.0, 100.0, 5e3, 1e6}) {
    const double bytes = shape.kv_bytes(context, 1);
    fuzz::demand(std::isfinite(bytes) && bytes >= before, "a cache that shrinks");
    before = bytes;
    for (const auto& group : shape.layers) {
      const double read = inference::kv_read_bytes(group.attention, context, 1);
      const double held = inference::kv_bytes(group.attention, context, 1) +
                          inference::state_bytes(group.attention);
      fuzz::demand(read <= held * (1 + 1e-9), "more read than is held");
      const double flops =
          inference::core_flops(group.attention, context, inference::Phase::decode);
      fuzz::demand(std::isfinite(flops) && flops >= 0, "operations that are no number");
    }
  }
}

void demand_sound(const ModelShape& shape) {
  const double total = shape.total_parameters();
  fuzz::demand(is_positive(total), "no parameters");
  fuzz::demand(sum(shape.parameters()) == total, "parts that do not add up");
  const double active = shape.active_parameters();
  fuzz::demand(is_positive(active) && active <= total * (1 + 1e-9), "more active than there are");
  fuzz::demand(is_positive(shape.linear_flops_per_token()), "no operations");
  fuzz::demand(shape.layer_count() > 0 && shape.layer_count() <= 1024, "no layers");
  const double bytes = sum(shape.weight_bytes(shape.checkpoint));
  fuzz::demand(bytes >= total / 2 && bytes <= 2 * total, "bytes outside 4 to 16 bits");
  for (const auto& group : shape.layers) {
    fuzz::demand(inference::can_shard(group.attention, 1), "not for one GPU");
  }
  demand_sound_cache(shape);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text{reinterpret_cast<const char*>(data), size};
  // A config, and behind a form feed an hf_quant_config.json.
  const auto cut = text.find('\f');
  const auto quantization = cut == std::string::npos ? std::string{} : text.substr(cut + 1);
  fuzz::demand_answer_or_error([&] {
    demand_sound(inference::parse_model_config(text.substr(0, cut), "config.json", quantization));
  });
  return 0;
}
