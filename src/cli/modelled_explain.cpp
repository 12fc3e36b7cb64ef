#include "modelled_explain.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "json_values.hpp"
#include "table.hpp"
#include <fmt/format.h>

#include "perwatt/base/file.hpp"
#include "perwatt/inference/serving/kernel_times.hpp"

namespace perwatt::cli {

namespace {

namespace serving = inference::serving;

struct Explained {
  serving::ServingWork work;
  serving::StepModel::Breakdown step;
  double step_seconds = 0;
  double prompt_seconds = 0;
  double sequences = 0;
  std::string limit;
  serving::StepKernels kernels;
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

std::string rough_milliseconds(double value) {
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
  const auto tables = data_dir() / "ops";
  result.kernels =
      serving::kernels_of_step(setup, result.sequences, steps.verified_tokens(),
                               inference::OperatorTable::load(tables, question.catalog),
                               inference::CollectiveTable::load(tables, question.catalog));
  return result;
}

Json kernels_json(const serving::KernelTimes& times) {
  if (times.kernels == 0) {
    return {{"seconds", nullptr}, {"misses", times.misses}};
  }
  return {{"seconds", in_seconds(times.total)},
          {"relative_half_width", times.relative_half_width},
          {"weakest_relation", to_string(times.weakest)},
          {"count", times.kernels},
          {"misses", times.misses}};
}

std::string kernels_text(const serving::KernelTimes& times) {
  if (times.kernels == 0) {
    return "-";
  }
  return fmt::format("{} +-{} %, {}{}", rough_milliseconds(in_seconds(times.total)),
                     significant(100 * times.relative_half_width, 2), to_string(times.weakest),
                     times.misses.empty() ? "" : ", in part");
}

void print_misses(const serving::StepKernels& kernels) {
  for (const auto& group : kernels.groups) {
    for (const auto& miss : group.misses) {
      fmt::print("not measured: {}\n", miss);
    }
  }
  for (const auto& miss : kernels.collectives.misses) {
    fmt::print("not measured: {}\n", miss);
  }
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
                           {"memory_seconds", explained.step.memory[at]},
                           {"kernels", kernels_json(explained.kernels.groups[at])}});
    }
  }
  return {{"decode_sequences", explained.sequences},
          {"decode_step_seconds", explained.step_seconds},
          {"operators", operators},
          {"layer_overhead_seconds", explained.step.layers},
          {"collectives_seconds", explained.step.collectives},
          {"collective_kernels", kernels_json(explained.kernels.collectives)},
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
      significant(explained.sequences, 3), rough_milliseconds(explained.step_seconds),
      explained.limit);
  TextTable table{{"part", "ms", "compute alone", "memory alone", "its kernels in a loop"}, {0, 4}};
  for (int i = 0; i < serving::kOperatorGroups; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (explained.step.operators[at] > 0) {
      table.add({std::string{to_string(static_cast<serving::OperatorGroup>(i))},
                 rough_milliseconds(explained.step.operators[at]),
                 rough_milliseconds(explained.step.compute[at]),
                 rough_milliseconds(explained.step.memory[at]),
                 kernels_text(explained.kernels.groups[at])});
    }
  }
  const auto other = [&](const char* name, double value, const std::string& kernels = "") {
    if (value > 0) {
      table.add({name, rough_milliseconds(value), "-", "-", kernels});
    }
  };
  other("layer overheads", explained.step.layers);
  other("collectives", explained.step.collectives, kernels_text(explained.kernels.collectives));
  other("host", explained.step.host);
  other("draft tokens", explained.step.draft);
  fmt::print("{}", table.text());
  print_misses(explained.kernels);
  fmt::print(
      "prefill of one prompt: {} ms\nmemory per GPU: {} GB weights, {} GB for caches of "
      "{} GB a sequence\n",
      rough_milliseconds(explained.prompt_seconds),
      significant(explained.work.decode.weight_memory_bytes / kGiga, 3),
      significant(explained.work.kv_memory_bytes / kGiga, 3),
      significant(explained.work.cache_memory_bytes_per_sequence / kGiga, 2));
}

}  // namespace perwatt::cli
