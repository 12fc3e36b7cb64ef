#include "operator_spread.hpp"

#include <algorithm>
#include <array>

namespace perwatt::inference {

namespace {

// Upper ends of the distances that the columns below are for; the last column is for all beyond.
constexpr std::array<double, 4> kOctaves = {0.3, 0.6, 1.01, 2.01};

struct Spread {
  std::array<double, 5> interpolated;
  std::array<double, 5> held;
  std::array<double, 5> borrowed;
};

// 90th percentiles over all raw rows left out, rounded up and made to rise with the distance:
// PERWATT_OPS_DIR=... inference_test --gtest_filter='OperatorHoldOut.RawRows' prints them
// ("spread"). Distances without left-out rows (held beyond one octave, most last columns) are
// assumed.
constexpr std::array<Spread, 9> kSpreads = {{
    // gemm
    {{0.08, 0.12, 0.12, 0.15, 0.30},
     {0.11, 0.11, 0.15, 0.51, 0.60},
     {0.08, 0.09, 0.09, 0.09, 0.24}},
    // context_attention
    {{0.05, 0.07, 0.11, 0.20, 0.30},
     {0.07, 0.16, 0.45, 0.50, 0.60},
     {0.09, 0.09, 0.11, 0.19, 0.37}},
    // generation_attention
    {{0.12, 0.12, 0.12, 0.25, 0.40},
     {0.10, 0.10, 0.34, 0.50, 0.60},
     {0.08, 0.18, 0.30, 0.46, 1.12}},
    // context_mla
    {{0.05, 0.08, 0.11, 0.20, 0.30},
     {0.10, 0.12, 0.33, 0.50, 0.60},
     {0.12, 0.12, 0.12, 0.20, 0.40}},
    // generation_mla
    {{0.06, 0.08, 0.12, 0.20, 0.30},
     {0.10, 0.12, 0.24, 0.40, 0.60},
     {0.18, 0.18, 0.18, 0.30, 0.50}},
    // mla_context_module
    {{0.10, 0.11, 0.13, 0.20, 0.30},
     {0.10, 0.17, 0.29, 0.40, 0.60},
     {0.10, 0.10, 0.10, 0.20, 0.40}},
    // mla_generation_module
    {{0.05, 0.05, 0.05, 0.10, 0.20},
     {0.06, 0.10, 0.17, 0.30, 0.50},
     {0.12, 0.12, 0.12, 0.20, 0.40}},
    // mla_bmm
    {{0.10, 0.12, 0.12, 0.20, 0.30},
     {0.10, 0.14, 0.14, 0.30, 0.50},
     {0.18, 0.18, 0.18, 0.30, 0.50}},
    // moe
    {{0.10, 0.16, 0.20, 0.25, 0.30},
     {0.23, 0.23, 0.27, 0.40, 0.60},
     {0.37, 0.37, 0.37, 0.37, 0.93}},
}};

}  // namespace

double half_width(Operator op, OperatorRelation relation, double octaves) {
  const auto& spread = kSpreads.at(static_cast<std::size_t>(op));
  const auto column = static_cast<std::size_t>(
      std::lower_bound(kOctaves.begin(), kOctaves.end(), octaves) - kOctaves.begin());
  switch (relation) {
    case OperatorRelation::measured:
      return 0;
    case OperatorRelation::interpolated:
      return spread.interpolated.at(column);
    case OperatorRelation::held:
      return spread.held.at(column);
    case OperatorRelation::borrowed:
      break;
  }
  return spread.borrowed.at(column);
}

}  // namespace perwatt::inference
