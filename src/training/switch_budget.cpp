#include "switch_budget.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "parametric_flow.hpp"

namespace perwatt::training {

namespace {

/// Shares of the way from the time asked for to the fastest iteration at which time is priced.
constexpr int kTimes = 16;

/// Prices of a switch, as powers of kPriceStep times kLeastPrice joules; the last is as good as
/// infinite.
constexpr int kPrices = 24;
constexpr double kLeastPrice = 1e-3;
constexpr double kPriceStep = 2.5;

/// Times are this near the same.
constexpr double kTolerance = 1e-9;

/// The settings that all operations of a stage have in common, with each operation's option.
struct StageKnobs {
  std::vector<std::vector<const Option*>> options;  // by knob, then by place in the stage's order
};

StageKnobs knobs_of(const Pipeline& pipeline, const std::vector<std::uint32_t>& order) {
  StageKnobs knobs;
  if (order.empty()) {
    return knobs;
  }
  const auto leading = std::find_if(order.begin(), order.end(), [&](std::uint32_t operation) {
    return pipeline.work_of(operation).all.size() > 1;
  });
  const auto& leader = pipeline.work_of(leading == order.end() ? order.front() : *leading);
  for (const auto& first : leader.all) {
    std::vector<const Option*> options;
    for (const auto operation : order) {
      const auto& all = pipeline.work_of(operation).all;
      // An operation with one setting has no knob to turn: it goes with any.
      const auto found = all.size() == 1
                             ? all.begin()
                             : std::find_if(all.begin(), all.end(),
                                            [&](const Option& o) { return o.knob == first.knob; });
      if (found == all.end()) {
        break;
      }
      options.push_back(&*found);
    }
    if (options.size() == order.size()) {
      knobs.options.push_back(std::move(options));
    }
  }
  return knobs;
}

/// The cheapest cyclic sequence of knobs of one stage: energy and priced time of each operation,
/// and `switch_price` for each change. Exact but for the change from the last operation to the
/// first, which is counted for the knob that the first operation would take alone.
std::vector<const Option*> cheapest_sequence(const StageKnobs& knobs,
                                             const std::vector<double>& watts_of_time,
                                             double switch_price) {
  const auto count = watts_of_time.size();
  const auto choices = knobs.options.size();
  const auto cost = [&](std::size_t knob, std::size_t i) {
    const auto& option = *knobs.options[knob][i];
    return option.effective_energy.in_base() + watts_of_time[i] * option.time.in_base();
  };
  std::vector<std::vector<std::size_t>> came_from(count, std::vector<std::size_t>(choices));
  std::vector<double> best(choices);
  for (std::size_t knob = 0; knob < choices; ++knob) {
    best[knob] = cost(knob, 0);
  }
  for (std::size_t i = 1; i < count; ++i) {
    const auto cheapest =
        static_cast<std::size_t>(std::min_element(best.begin(), best.end()) - best.begin());
    const double after_switch = best[cheapest] + switch_price;
    for (std::size_t knob = 0; knob < choices; ++knob) {
      const bool stays = best[knob] <= after_switch;
      came_from[i][knob] = stays ? knob : cheapest;
      best[knob] = (stays ? best[knob] : after_switch) + cost(knob, i);
    }
  }
  auto knob = static_cast<std::size_t>(std::min_element(best.begin(), best.end()) - best.begin());
  std::vector<const Option*> chosen(count);
  for (auto i = count; i-- > 0;) {
    chosen[i] = knobs.options[knob][i];
    knob = came_from[i][knob];
  }
  return chosen;
}

}  // namespace

int switches_of(const Pipeline& pipeline, const std::vector<const Option*>& chosen) {
  int switches = 0;
  for (const auto& order : pipeline.order) {
    std::vector<const Knob*> knobs;
    for (const auto operation : order) {
      if (pipeline.work_of(operation).all.size() > 1) {
        knobs.push_back(&chosen[operation]->knob);
      }
    }
    for (std::size_t i = 0; i < knobs.size(); ++i) {
      switches += *knobs[i] == *knobs[(i + 1) % knobs.size()] ? 0 : 1;
    }
  }
  return switches;
}

std::optional<std::vector<const Option*>> choose_with_switches(
    const Pipeline& pipeline, const std::vector<std::uint32_t>& topological, Seconds time,
    int most_switches) {
  std::vector<StageKnobs> knobs;
  for (const auto& order : pipeline.order) {
    knobs.push_back(knobs_of(pipeline, order));
    if (!order.empty() && knobs.back().options.empty()) {
      return std::nullopt;
    }
  }
  const auto works = scale(pipeline);
  ParametricFlow flow{pipeline, works, topological};
  auto fastest = ParametricFlow{flow};
  while (fastest.shorten(0)) {
  }
  const auto end = std::clamp(to_picoseconds(time - pipeline.tail), fastest.time(), flow.time());
  std::optional<std::vector<const Option*>> best;
  Joules best_energy;
  for (int i = 0; i <= kTimes; ++i) {
    const auto until =
        end - static_cast<Picoseconds>(static_cast<double>(end - fastest.time()) * i / kTimes);
    while (flow.time() > until && flow.shorten(until)) {
    }
    for (int j = 0; j < kPrices; ++j) {
      const double price = kLeastPrice * std::pow(kPriceStep, j);
      std::vector<const Option*> chosen(pipeline.operations.size());
      for (std::size_t stage = 0; stage < pipeline.order.size(); ++stage) {
        const auto& order = pipeline.order[stage];
        std::vector<double> watts_of_time;
        watts_of_time.reserve(order.size());
        for (const auto operation : order) {
          watts_of_time.push_back(static_cast<double>(flow.price(operation)) *
                                  works.watts_per_flow);
        }
        const auto sequence = order.empty() ? std::vector<const Option*>{}
                                            : cheapest_sequence(knobs[stage], watts_of_time, price);
        for (std::size_t k = 0; k < order.size(); ++k) {
          chosen[order[k]] = sequence[k];
        }
      }
      if (switches_of(pipeline, chosen) > most_switches) {
        continue;
      }
      const auto result = replay(pipeline, chosen);
      if (result.time <= time * (1 + kTolerance) &&
          (!best || result.effective_energy < best_energy)) {
        best_energy = result.effective_energy;
        best = std::move(chosen);
      }
    }
  }
  return best;
}

}  // namespace perwatt::training
