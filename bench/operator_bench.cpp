// Cost of one kernel estimate from the shipped tables, by how it follows from the rows.
#include <chrono>
#include <cstdio>
#include <vector>

#include "perwatt/inference/operator_table.hpp"

namespace {

using perwatt::inference::AttentionKernelShape;
using perwatt::inference::GemmShape;
using perwatt::inference::Operator;
using perwatt::inference::OperatorFamily;
using perwatt::inference::OperatorShape;

constexpr int kRounds = 20;

void report(const char* name, const OperatorFamily& family, std::vector<OperatorShape> shapes) {
  std::erase_if(shapes, [&](const auto& shape) { return !family.estimate(shape).ok(); });
  double sum = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int round = 0; round < kRounds; ++round) {
    for (const auto& shape : shapes) {
      sum += in_seconds(family.estimate(shape).value().latency);
    }
  }
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  std::printf("%-34s %7.0f ns each (mean latency %.1f us)\n", name,
              took.count() / kRounds / static_cast<double>(shapes.size()),
              1e6 * sum / kRounds / static_cast<double>(shapes.size()));
}

}  // namespace

int main() {
  const auto catalog = perwatt::catalog::Catalog::load({PERWATT_SOURCE_DIR "/data/catalog"});
  const auto table =
      perwatt::inference::OperatorTable::load(PERWATT_SOURCE_DIR "/data/ops", catalog);
  const auto* gemm = table.find("h200", "trtllm", Operator::gemm, {"bf16", "", 0, ""});
  const auto* decode =
      table.find("h200", "vllm", Operator::generation_attention, {"bf16", "bf16", 128, ""});
  if (gemm == nullptr || decode == nullptr) {
    std::puts("the tables are not there");
    return 1;
  }
  std::vector<OperatorShape> known;
  std::vector<OperatorShape> unknown;
  std::vector<OperatorShape> tokens;
  for (int m = 1; m < 8000; m += 3) {
    known.emplace_back(GemmShape{static_cast<double>(m), 4096, 4096});
    unknown.emplace_back(GemmShape{static_cast<double>(m), 4608, 3840});
    tokens.emplace_back(AttentionKernelShape{m % 200 + 1.0, 10.0 * m + 1, 32, 8});
  }
  report("gemm, measured (n, k)", *gemm, known);
  report("gemm, borrowed (n, k)", *gemm, unknown);
  report("generation attention, any batch", *decode, tokens);
  return 0;
}
