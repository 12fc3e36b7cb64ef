#include "perwatt/training/iteration_fit.hpp"

#include <algorithm>
#include <numeric>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::training {

namespace {

constexpr int kHalvings = 60;
constexpr int kGrid = 50;

Seconds time_at(const CsvTable& table, const CsvRow& row, std::size_t column) {
  constexpr double kMostSeconds = 1e5;
  const auto value = parse_number(row.fields[column]);
  if (!value || !(*value > 0) || *value > kMostSeconds) {
    throw_bad_input("'" + printable(row.fields[column]) + "' is no time", table.where(row, column),
                    "give seconds above 0");
  }
  return seconds(*value);
}

/// The pipeline of one iteration's own times: one option per pass.
Profile profile_of(const MeasuredIteration& iteration) {
  Profile profile;
  for (std::size_t stage = 0; stage < iteration.forward.size(); ++stage) {
    const auto add = [&](const char* instruction, Seconds time) {
      ProfileRow row;
      row.stage = static_cast<int>(stage);
      row.instruction = instruction;
      row.time = time;
      profile.rows.push_back(std::move(row));
    };
    add("backward", iteration.backward[stage]);
    add("forward", iteration.forward[stage]);
  }
  return profile;
}

class Iteration {
 public:
  Iteration(const MeasuredIteration& iteration, PipelineShape shape) {
    // Any transfer marks the dependencies it is on.
    shape.transfer = seconds(1);
    shape.tail = Seconds{};
    pipeline_ = make_pipeline(profile_of(iteration), shape);
    topological_ = topological_order(pipeline_, "");
    for (const auto& operation : pipeline_.operations) {
      times_.push_back(pipeline_.works[operation.work].options.front().time);
    }
    for (std::size_t i = 0; i < pipeline_.dependencies.size(); ++i) {
      if (pipeline_.dependencies[i].delay > Seconds{}) {
        between_stages_.push_back(i);
      }
    }
  }

  Seconds with_transfer(Seconds transfer) {
    for (const auto i : between_stages_) {
      pipeline_.dependencies[i].delay = transfer;
    }
    return Makespan{pipeline_, topological_}(times_);
  }

 private:
  Pipeline pipeline_;
  std::vector<std::uint32_t> topological_;
  std::vector<Seconds> times_;
  std::vector<std::size_t> between_stages_;
};

}  // namespace

std::vector<MeasuredIteration> read_iterations(std::string_view text, const std::string& name) {
  const auto table = CsvTable::parse(text, name);
  const auto time = table.require("measured_iter_time_s");
  std::vector<std::pair<std::size_t, std::size_t>> passes;
  while (const auto forward = table.find("fwd_s" + std::to_string(passes.size()))) {
    passes.emplace_back(*forward, table.require("bwd_s" + std::to_string(passes.size())));
  }
  if (passes.empty() || table.rows().empty()) {
    throw_bad_input(passes.empty() ? "no column fwd_s0" : "no rows", name,
                    "give measured_iter_time_s, fwd_s0, bwd_s0, fwd_s1, … of measured iterations");
  }
  std::vector<MeasuredIteration> iterations;
  for (const auto& row : table.rows()) {
    auto& iteration = iterations.emplace_back();
    iteration.time = time_at(table, row, time);
    for (const auto& [forward, backward] : passes) {
      iteration.forward.push_back(time_at(table, row, forward));
      iteration.backward.push_back(time_at(table, row, backward));
    }
  }
  return iterations;
}

IterationFit fit_iterations(const std::vector<MeasuredIteration>& iterations,
                            const PipelineShape& shape) {
  std::vector<Iteration> makespans;
  makespans.reserve(iterations.size());
  for (const auto& iteration : iterations) {
    makespans.emplace_back(iteration, shape);
  }
  // The best tail for a transfer, and the squares that are left.
  const auto fit_tail = [&](Seconds transfer) {
    std::vector<double> missing;
    for (std::size_t i = 0; i < iterations.size(); ++i) {
      missing.push_back((iterations[i].time - makespans[i].with_transfer(transfer)).in_base());
    }
    const double mean = std::max(0.0, std::accumulate(missing.begin(), missing.end(), 0.0) /
                                          static_cast<double>(missing.size()));
    double squares = 0;
    for (const double m : missing) {
      squares += (m - mean) * (m - mean);
    }
    return std::pair{mean, squares};
  };
  // No transfer can be longer than what is missing from the iteration without any.
  Seconds low;
  Seconds high;
  for (std::size_t i = 0; i < iterations.size(); ++i) {
    high = std::max(high, iterations[i].time - makespans[i].with_transfer(Seconds{}));
  }
  // Squares may have several valleys: the lowest of a grid is followed down.
  const auto step = high / static_cast<double>(kGrid);
  Seconds lowest;
  for (int i = 1; i <= kGrid; ++i) {
    if (fit_tail(step * i).second < fit_tail(lowest).second) {
      lowest = step * i;
    }
  }
  low = std::max(Seconds{}, lowest - step);
  high = lowest + step;
  for (int i = 0; i < kHalvings; ++i) {
    const auto left = low + (high - low) / 3;
    const auto right = high - (high - low) / 3;
    if (fit_tail(left).second <= fit_tail(right).second) {
      high = right;
    } else {
      low = left;
    }
  }
  const auto transfer = fit_tail(Seconds{}).second <= fit_tail(low).second ? Seconds{} : low;
  return {transfer, seconds(fit_tail(transfer).first)};
}

Seconds predicted_time(const MeasuredIteration& iteration, const PipelineShape& shape,
                       const IterationFit& fit) {
  return Iteration{iteration, shape}.with_transfer(fit.transfer) + fit.tail;
}

}  // namespace perwatt::training
