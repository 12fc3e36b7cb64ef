// Deployments with the shipped calibration, for tests of the serving model.
#pragma once

#include <array>
#include <utility>

#include "serving_setup.hpp"
#include <rapidcheck.h>

#include "perwatt/inference/serving/calibration_file.hpp"
#include "perwatt/inference/serving/model.hpp"

namespace perwatt::inference::serving {

inline const Calibration& shipped() {
  static const auto kCalibration = load_calibration(PERWATT_TEST_DATA_DIR "/serving");
  return kCalibration;
}

inline CoefficientsOfOne coefficients_of(const Setup& setup) {
  return shipped().coefficients.of(setup.hardware.accelerator, setup.hardware.vendor);
}

/// A deployment with what the model needs for it.
struct Modelled {
  explicit Modelled(Setup with)
      : setup{std::move(with)},
        work{count_work(setup)},
        coefficients{coefficients_of(setup)},
        model{setup, work, coefficients},
        board{setup.hardware, coefficients.accelerator_power, coefficients.power} {}

  Modelled(const Modelled&) = delete;
  Modelled& operator=(const Modelled&) = delete;

  Setup setup;
  ServingWork work;
  CoefficientsOfOne coefficients;
  ServingModel model;
  BoardPower board;
};

struct Choice {
  const char* model;
  const char* precision;
};

inline constexpr std::array<Choice, 8> kModels{{{"llama-3.1-8b", "bf16"},
                                                {"llama-3.1-70b", "fp8"},
                                                {"gpt-oss-120b", "mxfp4"},
                                                {"deepseek-r1", "fp8"},
                                                {"deepseek-r1", "fp4"},
                                                {"qwen3.5-397b-a17b", "fp8"},
                                                {"nemotron-nano-9b-v2", "bf16"},
                                                {"gemma-3-27b", "bf16"}}};
inline constexpr std::array<const char*, 5> kAccelerators{"h100", "h200", "b200", "gb200",
                                                          "mi355x"};

inline rc::Gen<Setup> any_setup() {
  return rc::gen::exec([] {
    const auto choice = kModels[*rc::gen::inRange<std::size_t>(0, kModels.size())];
    const auto* accelerator =
        kAccelerators[*rc::gen::inRange<std::size_t>(0, kAccelerators.size())];
    const int gpus = 1 << *rc::gen::inRange(0, 4);
    Setup setup = setup_of(choice.model, choice.precision, accelerator, gpus);
    setup.input_tokens = *rc::gen::inRange(1, 30000);
    setup.output_tokens = *rc::gen::inRange(1, 8000);
    setup.has_mtp = *rc::gen::arbitrary<bool>();
    setup.engine.family =
        *rc::gen::element(EngineFamily::tensorrt_llm, EngineFamily::sglang, EngineFamily::vllm);
    return setup;
  });
}

}  // namespace perwatt::inference::serving
