#include "modelled_explain.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "table.hpp"
#include <fmt/format.h>

namespace perwatt::cli {

namespace {

namespace serving = inference::serving;
using Json = nlohmann::ordered_json;

struct Explained {
  serving::ServingWork work;
  serving::StepModel::Breakdown step;
  double step_seconds = 0;
  double prompt_seconds = 0;
  double sequences = 0;
  std::string limit;
};

/// What takes most of a step, in words of the hardware.
std::string limit_of(const serving::StepModel::Breakdown& step) {
  double memory = 0;
  double compute = 0;
  for (std::size_t i = 0; i < step.operators.size(); ++i) {
    (step.memory[i] > step.compute[i] ? memory : compute) += step.operators[i];
  }
  const std::array<std::pair<double, const char*>, 5> parts{{{memory, "memory bandwidth"},
                                                             {compute, "compute"},
                                                             {step.layers, "kernel overheads"},
                                                             {step.collectives, "links"},
                                                             {step.host, "host"}}};
  return std::max_element(parts.begin(), parts.end())->second;
}

std::string milliseconds(double value) {
  return significant(value * 1e3, 3);
}

Explained explain(const ModelledQuestion& question, const serving::Found& found) {
  serving::Setup setup = question.query.setup;
  setup.layout = found.layout;
  Explained result;
  result.work = serving::count_work(setup);
  const auto coefficients =
      question.calibration.coefficients.of(setup.hardware.accelerator, setup.hardware.vendor);
  const serving::StepModel steps{setup, result.work, coefficients};
  result.sequences = std::max(1.0, found.physical.sequences);
  result.step = steps.explain_decode(result.sequences);
  result.step_seconds = steps.decode(result.sequences).seconds;
  result.prompt_seconds = steps.prefill().seconds();
  result.limit = limit_of(result.step);
  return result;
}

}  // namespace

nlohmann::ordered_json explained_json(const ModelledQuestion& question,
                                      const serving::Found& found) {
  const Explained explained = explain(question, found);
  Json operators = Json::array();
  for (int i = 0; i < serving::kOperatorGroups; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (explained.step.operators[at] > 0) {
      operators.push_back({{"operators", to_string(static_cast<serving::OperatorGroup>(i))},
                           {"seconds", explained.step.operators[at]},
                           {"compute_seconds", explained.step.compute[at]},
                           {"memory_seconds", explained.step.memory[at]}});
    }
  }
  return {{"decode_sequences", explained.sequences},
          {"decode_step_seconds", explained.step_seconds},
          {"operators", operators},
          {"layer_overhead_seconds", explained.step.layers},
          {"collectives_seconds", explained.step.collectives},
          {"host_seconds", explained.step.host},
          {"draft_seconds", explained.step.draft},
          {"prompt_prefill_seconds", explained.prompt_seconds},
          {"weight_memory_bytes_per_gpu", explained.work.decode.weight_memory_bytes},
          {"kv_memory_bytes_per_gpu", explained.work.kv_memory_bytes},
          {"kv_bytes_per_sequence_per_gpu", explained.work.cache_memory_bytes_per_sequence},
          {"kv_transfer_bytes_per_prompt", explained.work.kv_transfer_bytes},
          {"decode_limit", explained.limit}};
}

void print_explained(const ModelledQuestion& question, const serving::Found& found) {
  const Explained explained = explain(question, found);
  constexpr double kGiga = 1e9;
  fmt::print(
      "\nA decode step of {} sequences takes {} ms before relatives correct it; {} decides\n",
      significant(explained.sequences, 3), milliseconds(explained.step_seconds), explained.limit);
  TextTable table{{"part", "ms", "compute alone", "memory alone"}};
  for (int i = 0; i < serving::kOperatorGroups; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (explained.step.operators[at] > 0) {
      table.add({std::string{to_string(static_cast<serving::OperatorGroup>(i))},
                 milliseconds(explained.step.operators[at]),
                 milliseconds(explained.step.compute[at]),
                 milliseconds(explained.step.memory[at])});
    }
  }
  const auto other = [&](const char* name, double value) {
    if (value > 0) {
      table.add({name, milliseconds(value), "-", "-"});
    }
  };
  other("layer overheads", explained.step.layers);
  other("collectives", explained.step.collectives);
  other("host", explained.step.host);
  other("draft tokens", explained.step.draft);
  fmt::print("{}", table.text());
  fmt::print(
      "prefill of one prompt: {} ms\nmemory per GPU: {} GB weights, {} GB for caches of "
      "{} GB a sequence\n",
      milliseconds(explained.prompt_seconds),
      significant(explained.work.decode.weight_memory_bytes / kGiga, 3),
      significant(explained.work.kv_memory_bytes / kGiga, 3),
      significant(explained.work.cache_memory_bytes_per_sequence / kGiga, 2));
}

}  // namespace perwatt::cli
