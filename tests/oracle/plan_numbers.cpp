// Reads questions from standard input, one word and its numbers each, and prints one line of
// numbers for each answer, for the oracles beside it:
//   shapley PLAYERS worths...                            values, interactions, best subsets
//   tail SCENARIOS GROUPS SHARE LIMIT ratios... means... swings...
//                                     tail mean, excursion ratio, expected excess, cut coefficients
//   count SAMPLES PROBABILITY                            tail count; 0 when refused
#include <cstddef>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "perwatt/plan/excursion.hpp"
#include "perwatt/plan/shapley.hpp"

namespace {

using namespace perwatt::plan;

template <class T>
T next() {
  T value{};
  if (!(std::cin >> value)) {
    std::cerr << "plan_numbers: a number is missing\n";
    std::exit(2);
  }
  return value;
}

std::vector<double> next_numbers(std::size_t count) {
  std::vector<double> values(count);
  for (auto& value : values) {
    value = next<double>();
  }
  return values;
}

template <class T>
void print(const std::vector<T>& values) {
  for (const auto& value : values) {
    std::cout << value << ' ';
  }
}

void answer_shapley() {
  const auto worths = next_numbers(std::size_t{1} << next<std::size_t>());
  print(shapley_values(worths));
  print(shapley_interactions(worths));
  print(best_subsets(worths));
}

void answer_tail() {
  const auto scenarios = next<std::size_t>();
  const auto groups = next<std::size_t>();
  const auto share = next<double>();
  const auto limit = next<double>();
  auto ratios = next_numbers(scenarios * groups);
  const auto mean = next_numbers(groups);
  const auto swing = next_numbers(groups);
  const ExcursionLimit rule{ScenarioSet::from_samples(groups, std::move(ratios), 1), share};
  print(std::vector{rule.tail_mean(mean, swing), rule.excursion_ratio(mean, swing, limit),
                    rule.expected_excess(mean, swing, limit)});
  print(rule.cut_at(swing).swing_coefficients);
}

void answer_count() {
  const auto samples = next<double>();
  std::cout << tail_count(samples, next<double>()).value_or(0);
}

}  // namespace

int main() {
  std::cout << std::setprecision(17);
  std::string question;
  while (std::cin >> question) {
    if (question == "shapley") {
      answer_shapley();
    } else if (question == "tail") {
      answer_tail();
    } else if (question == "count") {
      answer_count();
    } else {
      std::cerr << "plan_numbers: no question is called '" << question << "'\n";
      return 2;
    }
    std::cout << '\n';
  }
}
